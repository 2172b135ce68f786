// Who is one person. Kind: a second account must not make a second person, and two people must stay two.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { agentKeysOf, chainOf, groupByPerson, type Named, personKeys, samePerson } from '../../src/domain/person.ts';
import type { Party } from '../../src/domain/principal.ts';
import { principalNamed } from '../support/clearances.ts';

const at = (issuer: string, subject: string, person?: string): Named => ({
  id: `https://${issuer}.example#${subject}`,
  subject,
  ...(person !== undefined && { person }),
});

describe('two parties', () => {
  it.each([
    ['with one claim and two subjects', at('idp', 'a1', 'oid-7'), at('console', 'b2', 'oid-7')],
    ['with one subject and two claims', at('idp', 'alice', 'oid-7'), at('console', 'alice', 'oid-8')],
    ['with one subject, where only one has a claim', at('idp', 'alice', 'oid-7'), at('console', 'alice')],
    [
      'with claims that differ in letter case only',
      at('idp', 'a1', 'Alice@Corp.example'),
      at('console', 'b2', 'alice@corp.EXAMPLE'),
    ],
    ['with claims that differ in width only', at('idp', 'a1', 'ａｌｉｃｅ'), at('console', 'b2', 'alice')],
    [
      'where the claim of one is the subject of the other',
      at('idp', 'a1', 'alice@corp.example'),
      at('console', 'alice@corp.example'),
    ],
  ])('%s are one person', (_, one, other) => {
    expect(samePerson(one, other)).toBe(true);
    expect(samePerson(other, one)).toBe(true);
  });

  it('without a common name are two people', () => {
    expect(samePerson(at('idp', 'alice', 'oid-7'), at('console', 'bob', 'oid-8'))).toBe(false);
    expect(samePerson(at('idp', 'alice'), at('console', 'bob'))).toBe(false);
  });
});

describe('the keys of a person', () => {
  it('are folded, distinct, and hold every name', () => {
    expect(personKeys(at('idp', 'Alice', 'ALICE'))).toEqual(['alice', 'https://idp.example#alice']);
    expect(personKeys(at('idp', 'a1', 'oid-7'))).toEqual(['oid-7', 'a1', 'https://idp.example#a1']);
  });

  it('have one in common exactly where two parties are one person', () => {
    const name = fc.constantFrom('a', 'A', 'b', 'c', 'ａ');
    const party = fc
      .tuple(fc.constantFrom('i', 'j'), name, fc.option(name, { nil: undefined }))
      .map((parts) => at(...parts));
    fc.assert(
      fc.property(party, party, (one, other) => {
        const shared = personKeys(one).filter((key) => personKeys(other).includes(key));
        return shared.length > 0 === samePerson(one, other);
      }),
    );
  });
});

it('the chain of a caller is the caller and everyone that it acts for, nearest first', () => {
  const parties = ['bot', 'alice', 'planner'].map((name) => ({ ...at('idp', name), issuer: 'https://idp.example' }));
  const [bot, ...onBehalfOf] = parties as [Party, ...Party[]];
  expect(chainOf({ ...bot, onBehalfOf }).map(({ subject }) => subject)).toEqual(['bot', 'alice', 'planner']);
});

describe('the people among several accounts', () => {
  it('are found through an account that shares one name with each of two others', () => {
    const [one, bridge, other, alone] = [
      at('i', 'a', 'p1'),
      at('j', 'b', 'p1'),
      at('k', 'b', 'p2'),
      at('i', 'c', 'p3'),
    ] as const;
    expect(groupByPerson([one, other, alone]).length).toBe(3);
    expect(groupByPerson([one, other, alone, bridge])).toHaveLength(2);
  });

  it('are the same however the accounts are ordered', () => {
    const accounts = fc.array(
      fc.tuple(
        fc.constantFrom('i', 'j'),
        fc.constantFrom('a', 'b', 'c', 'd'),
        fc.constantFrom('p', 'q', 'r', undefined),
      ),
      { maxLength: 7 },
    );
    fc.assert(
      fc.property(
        accounts.map((all) => all.map((parts) => at(...parts))),
        fc.nat(),
        (all, turn) => {
          const turned = [...all.slice(turn % (all.length + 1)), ...all.slice(0, turn % (all.length + 1))].reverse();
          return groupByPerson(all).length === groupByPerson(turned).length;
        },
      ),
    );
  });
});

describe('the agent keys of a call', () => {
  const caller = principalNamed('bot', {
    agentKey: 'https://idp.example.org?client_id=bot',
    onBehalfOf: [
      { id: 'https://idp.example.org#alice', issuer: 'https://idp.example.org', subject: 'alice' },
      { id: 'https://idp.example.org#p2', issuer: 'https://idp.example.org', subject: 'p2', agentKey: 'key-of-p2' },
    ],
  });

  it('are those of the caller and of everyone in the chain', () => {
    expect(agentKeysOf(caller)).toEqual([caller.agentKey, 'https://idp.example.org#alice', 'key-of-p2']);
  });

  it('hold the key of its SVID', () => {
    const spiffeId = 'spiffe://prod.test/ns/a/sa/b/pod/1';
    expect(agentKeysOf({ ...caller, spiffeId })).toContain(spiffeId);
    const keyed = agentKeysOf({ ...caller, spiffeId, spiffeKey: 'spiffe://prod.test/ns/a/sa/b/*' });
    expect(keyed).toContain('spiffe://prod.test/ns/a/sa/b/*');
    expect(keyed).not.toContain(spiffeId);
  });
});
