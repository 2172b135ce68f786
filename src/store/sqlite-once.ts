// What was used once, in SQLite: on disk before anything follows from it. Only digests are stored; they mean nothing to
// a reader of the file. Refuses more than can be remembered: forgetting early would let a second use through.

import { hash } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import type { Clock } from '../domain/clock.ts';
import type { OnceKind, OnceStore } from '../domain/once.ts';
import type { SqliteWriter } from './sqlite-writer.ts';

/** Of each kind. */
const MOST = 200_000;
/** Each use takes away so many that have ended: the table never grows beyond what is in force, and no write is long. */
const FORGOTTEN_PER_USE = 4;

export function createOnceStore(db: DatabaseSync, writer: SqliteWriter, clock: Clock, most: number = MOST): OnceStore {
  const find = db.prepare('SELECT 1 FROM used WHERE kind = ? AND digest = ? AND until > ?');
  const insert = db.prepare('INSERT INTO used (kind, digest, until) VALUES (?, ?, ?)');
  const forget = db.prepare(
    `DELETE FROM used WHERE kind = :kind AND until <= :now AND digest IN (
       SELECT :digest UNION ALL SELECT digest FROM (SELECT digest FROM used WHERE kind = :kind AND until <= :now ORDER BY until LIMIT ${FORGOTTEN_PER_USE})
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
      // A repetition costs no write.
      if (isUsed(kind, digest)) return 'seen';
      const { verdict, change } = await writer.write(() => {
        const now = clock.now();
        const forgotten = Number(forget.run({ kind, digest, now }).changes);
        if (find.get(kind, digest, now) !== undefined) return { verdict: 'seen', change: -forgotten } as const;
        if ((counts.get(kind) ?? 0) - forgotten >= most) return { verdict: 'full', change: -forgotten } as const;
        insert.run(kind, digest, until);
        return { verdict: 'new', change: 1 - forgotten } as const;
      });
      // After the commit: a batch that fails changes nothing. So one batch may go beyond the bound by its own length.
      count(kind, change);
      return verdict;
    },
    wasUsed: async (kind, id) => isUsed(kind, hash('sha256', id, 'base64url')),
  };
}
