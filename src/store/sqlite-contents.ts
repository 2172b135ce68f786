// The large parts of a held call, in a table of their own: written once, read for the hold's page and for sending,
// dropped when they are no longer needed. Votes and state changes never touch a body and cannot alter one, and no list
// reads one.

import type { DatabaseSync } from 'node:sqlite';
import type { EpochMs } from '../domain/clock.ts';
import type { HeldContent } from '../domain/hold.ts';

/** For the parts of the store that write holds inside their own transactions. */
export interface ContentRows {
  insert(holdId: string, content: HeldContent): void;
  find(holdId: string): HeldContent | undefined;
  /** The time of retention runs from then on. */
  end(holdId: string, at: EpochMs): void;
  /** Drops the body. The words of task and tool stay, for people who look at what became of the hold. */
  dropBody(holdId: string): void;
}

export function createContentRows(db: DatabaseSync): ContentRows {
  const insert = db.prepare('INSERT INTO held_content (hold_id, record) VALUES (?, ?)');
  const find = db.prepare('SELECT record FROM held_content WHERE hold_id = ?');
  const end = db.prepare('UPDATE held_content SET ended_at = ? WHERE hold_id = ?');
  const dropBody = db.prepare(
    "UPDATE held_content SET record = json_remove(record, '$.bodyText', '$.argsAt') WHERE hold_id = ?",
  );
  return {
    insert: (holdId, content) => void insert.run(holdId, JSON.stringify(content)),
    find(holdId) {
      const row = find.get(holdId);
      return row && (JSON.parse(String(row.record)) as HeldContent);
    },
    end: (holdId, at) => void end.run(at, holdId),
    dropBody: (holdId) => void dropBody.run(holdId),
  };
}
