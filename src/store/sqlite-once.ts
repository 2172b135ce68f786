// What was used once, in SQLite: on disk before anything follows from the use. Stores digests only, which mean nothing
// to a reader of the file. Refuses more than it can remember: if it forgot early, a second use would be let through.

import { hash } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import type { Clock } from '../domain/clock.ts';
import type { OnceKind, OnceStore } from '../domain/once.ts';
import type { SqliteWriter } from './sqlite-writer.ts';

/** How many values of each kind are remembered. */
const MOST = 200_000;
/** Each use deletes up to this many expired rows, so that the table stays small and no write is long. */
const FORGOTTEN_PER_USE = 4;

export function createOnceStore(db: DatabaseSync, writer: SqliteWriter, clock: Clock, most: number = MOST): OnceStore {
  const find = db.prepare('SELECT 1 FROM used WHERE kind = ? AND digest = ? AND until > ?');
  const insert = db.prepare('INSERT INTO used (kind, digest, until) VALUES (?, ?, ?)');
  const forget = db.prepare(
    `DELETE FROM used WHERE kind = :kind AND until <= :now AND digest IN (
       SELECT :digest UNION ALL SELECT digest FROM (
         SELECT digest FROM used WHERE kind = :kind AND until <= :now ORDER BY until LIMIT ${FORGOTTEN_PER_USE})
     )`,
  );
  const counts = new Map<OnceKind, number>();
  const count = (kind: OnceKind, change: number): void => void counts.set(kind, (counts.get(kind) ?? 0) + change);
  for (const { kind, n } of db.prepare('SELECT kind, count(*) AS n FROM used GROUP BY kind').all())
    count(kind as OnceKind, Number(n));

  const isUsed = (kind: OnceKind, digest: string): boolean =>
    writer.read(() => find.get(kind, digest, clock.now())) !== undefined;

  return {
    async use(kind, id, until) {
      const digest = hash('sha256', id, 'base64url');
      // A repeated value costs no write.
      if (isUsed(kind, digest)) return 'seen';
      const { verdict, change } = await writer.write(() => {
        const now = clock.now();
        const forgotten = Number(forget.run({ kind, digest, now }).changes);
        if (find.get(kind, digest, now) !== undefined) return { verdict: 'seen', change: -forgotten } as const;
        if ((counts.get(kind) ?? 0) - forgotten >= most) return { verdict: 'full', change: -forgotten } as const;
        insert.run(kind, digest, until);
        return { verdict: 'new', change: 1 - forgotten } as const;
      });
      // Counted after the commit, since a failed batch changes nothing. One batch may exceed the bound by its own
      // length.
      count(kind, change);
      return verdict;
    },
    wasUsed: async (kind, id) => isUsed(kind, hash('sha256', id, 'base64url')),
  };
}
