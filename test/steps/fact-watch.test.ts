// Calls that a rule allowed by the history of their task. Pins the kind "a call is taken for another one that looks like
// it": calls that are alike in everything, time included, still count each other.

import { describe, expect } from 'vitest';
import type { RuleOptions } from '../../src/policy/rules.ts';
import { it } from './workbench.ts';

/** Nothing more once a call of the task has succeeded. */
const UNTIL_ONE_SUCCEEDS: readonly RuleOptions[] = [
  {
    id: 'until',
    match: { upstream: 'ledger' },
    when: 'task.calls.all(c, !has(c.status) || c.status != 200)',
    decide: 'allow',
  },
];

describe('calls of one task that came in the same millisecond', () => {
  it.for([2, 3, 5])(
    'are all refused after the first success, but for its own call: %d of them',
    async (count, { work }) => {
      work.rules = UNTIL_ONE_SUCCEEDS;
      // One is with the upstream, and the others are allowed and wait for its place.
      work.mount = { pool: { connections: 1, queue: 100, waitMs: 60_000 } };
      const { id } = await work.task();
      const opened = Array.from({ length: count }, () =>
        work.call({ path: '/same', headers: ['countersign-task', id] }),
      );
      await Promise.all(opened.map((each) => work.run(each)));
      expect(work.sent).toHaveLength(1);
      expect(work.counted.map(({ error }) => error ?? 'none').sort()).toEqual([
        ...Array(count - 1).fill('denied'),
        'none',
      ]);
    },
  );
});
