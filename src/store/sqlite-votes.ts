// Copies of votes, beside the holds that have them, from which a reviewer's own review speed is computed. Written in
// the transaction that counts the vote.

import type { DatabaseSync } from 'node:sqlite';
import type { EpochMs } from '../domain/clock.ts';
import type { Hold } from '../domain/hold.ts';
import type { VoteTimes } from '../domain/hold-store.ts';
import { TOO_FAST_SECONDS } from '../domain/metrics.ts';

/** How many decisions of one reviewer are looked at, newest first. */
const MOST_VOTES = 5_000;

export interface VoteRows {
  /** Adds the votes that are new in the later version. */
  add(before: Hold, next: Hold): void;
  times(reviewerId: string, since: EpochMs): VoteTimes;
}

export function createVoteRows(db: DatabaseSync): VoteRows {
  const insert = db.prepare('INSERT INTO vote (hold_id, reviewer_id, decision, at, seconds) VALUES (?, ?, ?, ?, ?)');
  const since = db.prepare('SELECT seconds FROM vote WHERE reviewer_id = ? AND at >= ? ORDER BY at DESC LIMIT ?');
  return {
    add(before, next) {
      for (const vote of next.votes.slice(before.votes.length)) {
        insert.run(next.id, vote.reviewer.id, vote.decision, vote.at, secondsToDecide(next, vote));
      }
    },
    times(reviewerId, from) {
      const seconds = since
        .all(reviewerId, from, MOST_VOTES)
        .map((row) => Number(row.seconds))
        .sort((a, b) => a - b);
      const middle = seconds.length / 2;
      const median =
        seconds.length % 2 === 1
          ? seconds[Math.floor(middle)]
          : ((seconds[middle - 1] ?? 0) + (seconds[middle] ?? 0)) / 2;
      return {
        decisions: seconds.length,
        ...(seconds.length > 0 && median !== undefined && { medianSeconds: median }),
        tooFast: seconds.filter((each) => each < TOO_FAST_SECONDS).length,
      };
    },
  };
}

const secondsToDecide = (hold: Hold, { at, openedAt }: Hold['votes'][number]): number =>
  Math.max(0, at - (openedAt ?? hold.createdAt)) / 1_000;
