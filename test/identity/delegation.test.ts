// Who calls and for whom, read from claims. Kinds: the person is taken for the agent, the agent of one token for that of
// another, the claim of one party for that of another.

import { describe, expect, it } from 'vitest';
import { asGatewayError } from '../../src/errors.ts';
import { type DelegationRules, readDelegation } from '../../src/identity/tokens/actors.ts';

const issuer = 'https://idp.example.org';
const agent: DelegationRules = { issuer, subject: 'agent' };
const person: DelegationRules = { issuer, subject: 'person' };
const withClaim = { personClaim: 'oid' };

function read(claims: Parameters<typeof readDelegation>[0], rules: DelegationRules): string {
  try {
    const { caller, onBehalfOf } = readDelegation(claims, rules);
    return [caller, ...onBehalfOf]
      .map(({ subject, person: who }) => (who === undefined ? subject : `${subject}=${who}`))
      .join(' < ');
  } catch (thrown) {
    const { code, details } = asGatewayError(thrown);
    return `${code}/${String(details.members?.check)}`;
  }
}

describe('a token whose subject is an agent', () => {
  it.each<[string, Parameters<typeof readDelegation>[0], string]>([
    ['alone', { sub: 'bot' }, 'bot'],
    ['with a claim', { sub: 'bot', oid: 'p1' }, 'bot=p1'],
    ['with an actor', { sub: 'alice', oid: 'p1', act: { sub: 'bot' } }, 'bot < alice=p1'],
    ['with an actor’s own claim', { sub: 'alice', oid: 'p1', act: { sub: 'bot', oid: 'p2' } }, 'bot=p2 < alice=p1'],
    ['with a chain', { sub: 'alice', oid: 'p1', act: { sub: 'b', act: { sub: 'a' } } }, 'b < alice=p1 < a'],
    ['with an actor and no claim', { sub: 'alice', act: { sub: 'bot' } }, 'person_unknown/person'],
    ['with the claim at the actor alone', { sub: 'alice', act: { sub: 'bot', oid: 'p2' } }, 'person_unknown/person'],
    ['of a client that another agent acts for', { sub: 'a', client_id: 'a', act: { sub: 'b' } }, 'b < a'],
  ])('%s', (_, claims, expected) => {
    expect(read(claims, { ...agent, ...withClaim })).toBe(expected);
  });
});

describe('a token whose subject is a person', () => {
  it.each<[string, Parameters<typeof readDelegation>[0], string]>([
    ['names its agent by client_id', { sub: 'alice', oid: 'p1', client_id: 'bot' }, 'bot < alice=p1'],
    ['names its agent by azp', { sub: 'alice', oid: 'p1', azp: 'bot' }, 'bot < alice=p1'],
    ['names its agent twice alike', { sub: 'alice', oid: 'p1', azp: 'bot', client_id: 'bot' }, 'bot < alice=p1'],
    ['names two agents', { sub: 'alice', oid: 'p1', azp: 'x', client_id: 'bot' }, 'token_claims/client'],
    ['names no agent', { sub: 'alice', oid: 'p1' }, 'token_claims/client'],
    ['names an agent that is no text', { sub: 'alice', oid: 'p1', client_id: 7 }, 'token_claims/client'],
    ['has no person', { sub: 'alice', client_id: 'bot' }, 'person_unknown/person'],
    ['has no subject', { oid: 'p1', client_id: 'bot' }, 'token_claims/sub'],
    ['names its actor', { sub: 'alice', oid: 'p1', client_id: 'c', act: { sub: 'bot' } }, 'bot < alice=p1'],
    [
      'names a chain',
      { sub: 'alice', oid: 'p1', client_id: 'c', act: { sub: 'b', act: { sub: 'erin', oid: 'p3' } } },
      'b < alice=p1 < erin=p3',
    ],
    [
      'names an actor of another issuer',
      { sub: 'alice', oid: 'p1', act: { sub: 'b', iss: 'https://x.example' } },
      'token_claims/act',
    ],
    ['is a client’s own', { sub: 'bot', client_id: 'bot' }, 'bot'],
    [
      'is a client’s own, under the name of its account',
      { sub: 'u-1', azp: 'bot', preferred_username: 'service-account-bot' },
      'bot < u-1',
    ],
    [
      'is a person’s, who chose a name like that of a client’s account',
      { sub: 'alice', oid: 'p1', azp: 'bot', preferred_username: 'service-account-alice' },
      'bot < alice=p1',
    ],
  ])('%s', (_, claims, expected) => {
    expect(read(claims, { ...person, ...withClaim })).toBe(expected);
  });

  it('needs no claim where none is configured', () => {
    expect(read({ sub: 'alice', client_id: 'bot' }, person)).toBe('bot < alice');
  });
});
