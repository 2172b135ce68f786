// Claims that the configuration names, as issuers write them.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { claimAt, textsAt } from '../../src/domain/claim.ts';

describe('a claim', () => {
  it.each<[string, object, unknown]>([
    ['groups', { groups: ['a'] }, ['a']],
    ['realm_access.roles', { realm_access: { roles: ['a'] } }, ['a']],
    ['realm_access.roles', { realm_access: { roles: ['a'] }, 'realm_access.roles': ['b'] }, ['b']],
    ['resource_access.my.client.roles', { resource_access: { 'my.client': { roles: ['a'] } } }, ['a']],
    ['https://example.org/groups', { 'https://example.org/groups': ['a'] }, ['a']],
    ['https://example.org/claims.groups', { 'https://example.org/claims': { groups: ['a'] } }, ['a']],
    ['a.b', { a: { b: null } }, undefined],
    ['a.b', { a: ['b'] }, undefined],
    ['a.b', { a: 'b' }, undefined],
    ['a.0', { a: ['x'] }, undefined],
    ['__proto__.polluted', {}, undefined],
    ['constructor.name', {}, undefined],
    ['a.length', { a: 'text' }, undefined],
    ['.', { '': { '': 'x' } }, 'x'],
  ])('%s is found by exact name first, then by path', (name, claims, expected) => {
    expect(claimAt(claims as Record<string, unknown>, name)).toEqual(expected);
  });

  it('under its whole name is found whatever dots are in it', () => {
    fc.assert(
      fc.property(
        fc.string(),
        fc.string(),
        (a, b) => claimAt({ [`${a}.${b}`]: 1, [a]: { [b]: 2 } }, `${a}.${b}`) === 1 || a === '__proto__',
      ),
    );
  });

  it('is a list of texts, or one', () => {
    expect(textsAt({ groups: 'owners' }, 'groups')).toEqual(['owners']);
    expect(textsAt({ groups: ['owners', ''] }, 'groups')).toEqual(['owners']);
    expect([textsAt({}, 'groups'), textsAt({ groups: null }, 'groups')]).toEqual([undefined, undefined]);
    for (const groups of [1, true, { owners: true }, ['a', 1], [['a']], [null]])
      expect(textsAt({ groups }, 'groups')).toBeNull();
  });
});
