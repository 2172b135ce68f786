// A call that nobody could approve is refused at once, where that can be known; groups are taken on trust.

import { describe, expect, it } from 'vitest';
import { codeOf } from '../support/failures.ts';
import type { BenchOptions } from '../support/holds/bench.ts';
import { useBench } from '../support/holds/use-bench.ts';
import { decisionOf, principalOf, requestOf, requirementOf } from '../support/holds/values.ts';

const IDP = 'https://idp.example.org';
const bench = useBench();

/** What a request under these requirements is answered with at once. */
async function answerTo(
  requirements: readonly ReturnType<typeof requirementOf>[],
  options: BenchOptions = {},
  onBehalfOf: readonly string[] = [],
): Promise<string> {
  await bench.renew(options);
  const principal = principalOf({
    onBehalfOf: onBehalfOf.map((subject) => ({ id: `${IDP}#${subject}`, issuer: IDP, subject })),
  });
  return codeOf(bench.approvals.obtain(requestOf({ principal, decision: decisionOf({ requirements }) })));
}
const of = (...reviewers: string[]) => requirementOf({ reviewers });

describe('a call whose tier names people one by one', () => {
  it('waits when one of them may decide', async () => {
    expect(await answerTo([of('user:alice', 'user:bob')], {}, ['alice'])).toBe('approval_pending');
  });

  it.each([
    ['acts for the only one', [of('user:alice')], {}, ['alice']],
    ['acts for the only one, named with an issuer', [of(`user:${IDP}#alice`)], {}, ['alice']],
    ['is owned by the only one', [of('user:alice')], { owners: () => ['user:alice'] }, []],
    ['has only a suspended reviewer', [of('user:alice')], { suspended: () => new Set(['alice']) }, []],
    [
      'needs two of two and acts for one',
      [requirementOf({ reviewers: ['user:alice', 'user:bob'], count: 2 })],
      {},
      ['bob'],
    ],
    [
      'needs the same person twice',
      [
        requirementOf({ tier: 'a', reviewers: ['user:alice'] }),
        requirementOf({ tier: 'b', reviewers: [`user:${IDP}#alice`] }),
      ],
      {},
      [],
    ],
  ] as const)('is refused when it %s', async (_, requirements, options, onBehalfOf) => {
    expect(await answerTo(requirements, options, onBehalfOf)).toBe('no_eligible_reviewer');
    expect((await bench?.store.holds.list({}))?.holds).toEqual([]);
    expect(bench?.audit).toEqual([]);
  });

  it('waits when only the escalation names somebody who may', async () => {
    const escalate = { afterMs: 60_000, to: ['user:carol'] };
    expect(await answerTo([requirementOf({ reviewers: ['user:alice'], escalate })], {}, ['alice'])).toBe(
      'approval_pending',
    );
  });

  it('waits when a group is named: its members cannot be listed here', async () => {
    expect(await answerTo([of('user:alice', 'group:finance')], {}, ['alice'])).toBe('approval_pending');
  });
});
