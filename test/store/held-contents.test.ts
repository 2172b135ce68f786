// Where bodies stand, and who reads them. Kind: a view or a queue that costs what agents have stored, instead of what
// it shows.

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { isListed } from '../../src/approvals/quorum.ts';
import type { Hold, HoldState } from '../../src/domain/hold.ts';
import type { Reviewer } from '../../src/domain/reviewer.ts';
import { loadInbox } from '../../src/review/inbox.ts';
import { listHolds } from '../../src/review/listing.ts';
import type { Eligibility } from '../../src/review/permissions.ts';
import { approve, openHoldBy } from '../support/holds/bench.ts';
import { useBench } from '../support/holds/use-bench.ts';
import { actionOf, GENEROUS, principalOf, requestOf, reviewerOf } from '../support/holds/values.ts';
import { mcpOf } from '../support/mcp-message.ts';

const bench = useBench();

const eligibility: Eligibility = {
  isEligible: (requirement, reviewer: Reviewer) => isListed(requirement.reviewers, reviewer),
  requirementsOf: (hold) => hold.requirements,
  conflictOf: () => undefined,
};
const alice = reviewerOf('alice');
const words = { objective: 'w'.repeat(4_000), plan: Array.from({ length: 14 }, () => 'p'.repeat(4_000)), labels: [] };

async function pagesOf(query: { readonly limit: number }): Promise<Hold[][]> {
  const pages: Hold[][] = [];
  let after: string | undefined;
  do {
    const { holds, next } = await bench.store.holds.list({ ...query, ...(after !== undefined && { after }) });
    pages.push([...holds]);
    after = next;
  } while (after !== undefined);
  return pages;
}

describe('lists of holds', () => {
  // Whatever an agent may make large: its body, its arguments, its task, what its tool says of itself.
  it.each([
    ['a large body', { action: actionOf({}, `"${'x'.repeat(900_000)}"`) }],
    [
      'large arguments',
      { action: actionOf({ args: { memo: 'x'.repeat(900_000) } }, JSON.stringify({ memo: 'x'.repeat(900_000) })) },
    ],
    [
      'many arguments',
      { action: actionOf({ args: Object.fromEntries(Array.from({ length: 9_000 }, (_, n) => [`k${n}`, n])) }) },
    ],
    [
      'long words of a tool',
      { action: actionOf({ mcp: mcpOf({ toolWords: { description: 'd'.repeat(500_000), arguments: {} } }) }) },
    ],
    [
      'a changed tool',
      {
        action: actionOf({
          mcp: mcpOf({ toolChange: { pinned: { d: 'd'.repeat(300_000) }, now: { d: 'e'.repeat(300_000) } } }),
        }),
      },
    ],
    ['a long task', { task: 'opened' as const }],
  ])(
    'of calls with %s read a few kilobytes for each, and never what is large',
    async (_what, { task, ...request }: { task?: 'opened'; action?: object }) => {
      const opened = task && (await bench.store.tasks.open(principalOf().id, words, GENEROUS));
      for (let n = 0; n < 5; n++)
        await openHoldBy(bench, { ...(request as object), ...(opened && { task: opened }), idempotencyKey: `k${n}` });
      await bench.restart((db) => {
        for (const { bytes } of db.prepare('SELECT length(record) AS bytes FROM hold').all())
          expect(Number(bytes)).toBeLessThan(4_000);
        // What is poisoned like this is noticed by whoever reads it.
        db.exec("UPDATE held_content SET record = 'not JSON'");
      });
      const { holds } = await listHolds(
        bench.store.holds,
        eligibility,
        alice,
        new URLSearchParams('state=all&limit=200'),
      );
      expect(holds).toHaveLength(5);
      expect((await loadInbox(bench.store.holds, eligibility, alice, { view: 'open' })).entries).toHaveLength(5);
      const [{ id = '' } = {}] = holds;
      await expect(bench.store.holds.content(id)).rejects.toThrow(/JSON/);
    },
  );

  it('are cut into pages by their bytes, and every hold is on one of them, once', async () => {
    const target = `/transfers?q=${'y'.repeat(15_000)}`;
    const ids: string[] = [];
    for (let n = 0; n < 150; n++)
      ids.push((await openHoldBy(bench, { action: actionOf({ target }), idempotencyKey: `k${n}` })).id);
    const pages = await pagesOf({ limit: 200 });
    expect(pages.length).toBeGreaterThan(2);
    for (const page of pages) expect(JSON.stringify(page).length).toBeLessThan(1.1 * 1024 * 1024);
    expect(pages.flat().map(({ id }) => id)).toEqual(ids.toReversed());
  });

  it('give one hold that is larger than a page by itself', async () => {
    await openHoldBy(bench, { action: actionOf({ target: `/${'z'.repeat(1_200_000)}` }) });
    await openHoldBy(bench, { action: actionOf({ target: `/${'y'.repeat(1_200_000)}` }) });
    expect((await pagesOf({ limit: 10 })).map((page) => page.length)).toEqual([1, 1]);
  });
});

describe('a body', () => {
  it('is stored once', async () => {
    const marker = `marker-${'m'.repeat(200)}`;
    const args = { memo: marker };
    await openHoldBy(bench, { action: actionOf({ args }, JSON.stringify(args)) });
    const { path } = bench;
    await bench.restart(() => {
      expect(readFileSync(path, 'latin1').split(marker).length - 1).toBe(1);
    });
  });

  const kept = async (hold: Hold): Promise<[HoldState | undefined, boolean]> => [
    (await bench.store.holds.get(hold.id))?.state,
    (await bench.store.holds.content(hold.id))?.bodyText !== undefined,
  ];

  it.each<[HoldState, (hold: Hold) => Promise<unknown>]>([
    ['CANCELLED', (hold) => bench.approvals.cancel(hold.id, principalOf())],
    ['DENIED', (hold) => bench.approvals.vote(hold.id, alice, { decision: 'deny', bindingDigest: hold.bindingDigest })],
    ['REVOKED', (hold) => bench.approvals.revoke(hold.id, alice, undefined)],
    [
      'EXPIRED',
      async () => {
        bench.clock.advance(60 * 60_000);
        await bench.approvals.sweep();
      },
    ],
    ['INVALIDATED', (hold) => bench.store.tasks.revise(hold.task?.id ?? '', principalOf().id, words)],
  ])('is dropped when its hold becomes %s; its digest and the words of its task stay', async (state, end) => {
    const task = await bench.store.tasks.open(principalOf().id, words, GENEROUS);
    const hold = await openHoldBy(bench, { task });
    expect(await kept(hold)).toEqual(['PENDING', true]);
    await end(hold);
    expect(await kept(hold)).toEqual([state, false]);
    const after = await bench.store.holds.get(hold.id);
    expect([after?.action.bodyDigest, after?.action.bodyLength]).toEqual([
      hold.action.bodyDigest,
      hold.action.bodyLength,
    ]);
    expect((await bench.store.holds.content(hold.id))?.task).toMatchObject({ objective: words.objective });
  });

  it('is kept while its call may still be sent, and of what was sent', async () => {
    const hold = await openHoldBy(bench);
    await approve(bench, hold);
    expect(await kept(hold)).toEqual(['APPROVED', true]);
    const clearance = await bench.approvals.obtain(requestOf());
    expect(await kept(hold)).toEqual(['RELEASING', true]);
    await bench.approvals.markSent(clearance);
    await bench.approvals.settle(clearance, { known: true, status: 200 });
    expect(await kept(hold)).toEqual(['EXECUTED', true]);
  });
});
