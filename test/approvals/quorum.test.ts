import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { approversOf, isEligible, isSatisfied } from '../../src/approvals/quorum.ts';
import type { Requirement } from '../../src/domain/decision.ts';
import type { Reviewer } from '../../src/domain/reviewer.ts';
import { requirementOf, reviewerOf, TRACE } from '../support/holds/values.ts';

const tier = (name: string, count: number, ...groups: string[]) =>
  requirementOf({ tier: name, count, reviewers: groups.map((group) => `group:${group}`) });

describe('the quorum', () => {
  it('needs two people for two tiers of one, although each could satisfy both', () => {
    const tiers = [tier('a', 1, 'g'), tier('b', 1, 'g')];
    expect(isSatisfied(tiers, [reviewerOf('alice', ['g'])])).toBe(false);
    expect(isSatisfied(tiers, [reviewerOf('alice', ['g']), reviewerOf('bob', ['g'])])).toBe(true);
  });

  it('seats a person where only they fit, although they came first and fit elsewhere too', () => {
    const [both, onlyA] = [reviewerOf('both', ['a', 'b']), reviewerOf('only-a', ['a'])];
    expect(isSatisfied([tier('a', 1, 'a'), tier('b', 1, 'b')], [both, onlyA])).toBe(true);
    expect(isSatisfied([tier('b', 1, 'b'), tier('a', 1, 'a')], [both, onlyA])).toBe(true);
  });

  it('is not met by two people for a tier that only one of them may decide twice', () => {
    expect(isSatisfied([tier('a', 2, 'a')], [reviewerOf('x', ['a']), reviewerOf('y', ['b'])])).toBe(false);
  });

  it('counts the same subject of two issuers as one person', () => {
    const elsewhere = {
      ...reviewerOf('alice'),
      id: 'https://other.example.org#alice',
      issuer: 'https://other.example.org',
    };
    const two = [requirementOf({ count: 2 })];
    expect(isSatisfied(two, [reviewerOf('alice'), elsewhere])).toBe(false);
    expect(isSatisfied(two, [reviewerOf('alice'), reviewerOf('bob')])).toBe(true);
  });

  it('is never met by nobody, nor where nothing was asked for', () => {
    expect(isSatisfied([], [reviewerOf('alice')])).toBe(false);
    expect(isSatisfied([requirementOf({ count: 0 })], [])).toBe(false);
  });

  it('does not count the suspended, in whatever letters they are written', () => {
    const votes = ['alice', 'bob'].map((name) => ({
      reviewer: reviewerOf(name),
      decision: 'approve' as const,
      at: 0,
      bindingDigest: '',
      span: TRACE.admit,
    }));
    expect(approversOf(votes, new Set(['Alice'])).map((reviewer) => reviewer.subject)).toEqual(['bob']);
  });

  const people = fc.uniqueArray(
    fc.record({ name: fc.constantFrom('p', 'q', 'r', 's', 't'), groups: fc.subarray(['a', 'b', 'c']) }),
    {
      selector: (person) => person.name,
    },
  );
  const tiers = fc.array(
    fc.record({ groups: fc.subarray(['a', 'b', 'c'], { minLength: 1 }), count: fc.integer({ min: 1, max: 3 }) }),
    {
      minLength: 1,
      maxLength: 3,
    },
  );

  it('agrees with trying every assignment of people to seats', () => {
    fc.assert(
      fc.property(tiers, people, (asked, present) => {
        const requirements = asked.map(({ groups, count }, i) => tier(`t${i}`, count, ...groups));
        const reviewers = present.map(({ name, groups }) => reviewerOf(name, groups));
        expect(isSatisfied(requirements, reviewers)).toBe(byBruteForce(requirements, reviewers));
      }),
      { numRuns: 500 },
    );
  });

  it('stays met when one more person approves', () => {
    fc.assert(
      fc.property(tiers, people, (asked, present) => {
        const requirements = asked.map(({ groups, count }, i) => tier(`t${i}`, count, ...groups));
        const reviewers = present.map(({ name, groups }) => reviewerOf(name, groups));
        if (isSatisfied(requirements, reviewers))
          expect(isSatisfied(requirements, [reviewerOf('late', ['a']), ...reviewers])).toBe(true);
      }),
    );
  });
});

function byBruteForce(requirements: readonly Requirement[], people: readonly Reviewer[]): boolean {
  const seats = requirements.flatMap((requirement) => Array<Requirement>(requirement.count).fill(requirement));
  const place = (seat: number, free: readonly Reviewer[]): boolean => {
    const requirement = seats[seat];
    if (requirement === undefined) return true;
    return free.some(
      (person) =>
        isEligible(requirement, person) &&
        place(
          seat + 1,
          free.filter((other) => other !== person),
        ),
    );
  };
  return place(0, people);
}
