// Whether a held call stands when the facts have changed since. Pins two kinds: an approval that is void because a mark
// ran out, and an approval that is used although another rule matches by now.

import { describe, expect, it } from 'vitest';
import { standingOf } from '../../src/approvals/standing.ts';
import type { Judged, Verdict } from '../../src/domain/approvals.ts';
import { sha256 } from '../../src/domain/canonical.ts';
import type { Facts } from '../../src/domain/facts.ts';
import type { Hold } from '../../src/domain/hold.ts';
import { taintsOf } from '../../src/domain/taint.ts';
import { openHoldBy } from '../support/holds/bench.ts';
import { useBench } from '../support/holds/use-bench.ts';
import { actionDigestOf, actionOf, decisionOf, NO_FACTS, principalOf } from '../support/holds/values.ts';

const bench = useBench();

const marked = (...taints: string[]): Facts => ({
  ...NO_FACTS,
  tainted: taints.map((taint) => ({
    ...{ scope: 'agent', key: 'a', taint, since: 1, until: 2 },
    cause: { call: 'c', at: 1, resources: ['r'], agent: 'a', chain: [] },
  })),
});

/** A rule that holds every call, one that holds what is marked `secret`, and one that allows what is not marked. */
function verdictOn({ tainted = [] }: Facts, tier = 'finance'): Verdict {
  const rules = [
    { id: 'pay', effect: 'hold', why: 'matched' } as const,
    ...(taintsOf(tainted).includes('secret') ? [{ id: 'leak', effect: 'hold', why: 'matched' } as const] : []),
    ...(tainted.length === 0 ? [{ id: 'clean', effect: 'allow', why: 'matched' } as const] : []),
  ];
  const decision = decisionOf({ rules, decisionDigest: sha256(JSON.stringify([rules, tier])) });
  return { decision, actionDigest: actionDigestOf(actionOf(), decision) };
}

const judgedOn = (facts: Facts, tier?: string): Judged => ({
  principal: principalOf(),
  ...verdictOn(facts, tier),
  facts,
  on: (others) => verdictOn(others, tier),
});

const heldOn = (facts: Facts): Promise<Hold> => openHoldBy(bench, judgedOn(facts));

describe('a call that was held', () => {
  it.each([
    ['nothing', marked(), marked()],
    ['a mark that a rule read and that has run out', marked('secret'), marked()],
    ['a mark that no rule reads', marked(), marked('other')],
    ['a mark that has replaced another one', marked('other'), marked('third')],
  ])('stands when what changed is %s', async (_what, then, now) => {
    const standing = standingOf(await heldOn(then), judgedOn(now));
    expect(standing).toMatchObject({ verdict: { decision: { rules: verdictOn(then).decision.rules } } });
  });

  it('is void when another rule matches because of a mark that appeared, and says which', async () => {
    expect(standingOf(await heldOn(marked('other')), judgedOn(marked('other', 'secret')))).toEqual({
      changed: 'New since the call was held: the mark secret. Rules that match because of it: leak.',
    });
  });

  it('is void when a rule changed, whatever the facts do', async () => {
    for (const now of [marked('secret'), marked(), marked('other')])
      expect(standingOf(await heldOn(marked('secret')), judgedOn(now, 'board'))).toEqual({
        changed: 'A rule or a tier that the approval rests on changed.',
      });
  });

  // A hold of an earlier version has no facts: whatever makes a difference voids it.
  it('is void for any difference where its facts were not recorded', async () => {
    const { facts: _facts, ...hold } = await heldOn(marked('secret'));
    expect(standingOf(hold as Hold, judgedOn(marked('secret')))).toHaveProperty('verdict');
    expect(standingOf(hold as Hold, judgedOn(marked()))).toHaveProperty('changed');
  });
});
