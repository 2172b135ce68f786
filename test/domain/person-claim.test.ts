// Reading the claim that names a person. Kind: a value that anybody may choose, or that nobody can read, counts as a person.

import { describe, expect, it } from 'vitest';
import { personAt } from '../../src/domain/person-claim.ts';

describe('the person of a claim', () => {
  it.each<[string, object, string, string | undefined]>([
    ['a text', { oid: 'p1' }, 'oid', 'p1'],
    ['nothing', {}, 'oid', undefined],
    ['null', { oid: null }, 'oid', undefined],
    ['an empty text', { oid: '' }, 'oid', undefined],
    ['a number', { oid: 1 }, 'oid', undefined],
    ['a list', { oid: ['p1'] }, 'oid', undefined],
    ['a text with blanks around it', { oid: ' p1 ' }, 'oid', undefined],
    ['a text with a character that nobody sees', { oid: 'p\u200b1' }, 'oid', undefined],
    ['a text that is too long', { oid: 'p'.repeat(1025) }, 'oid', undefined],
    ['a text at a path', { ext: { employee: 'p1' } }, 'ext.employee', 'p1'],
    ['a verified address', { email: 'a@b.example', email_verified: true }, 'email', 'a@b.example'],
    ['an address', { email: 'a@b.example' }, 'email', undefined],
    ['an address that is not verified', { email: 'a@b.example', email_verified: false }, 'email', undefined],
    ['an address that is verified by a text', { email: 'a@b.example', email_verified: 'true' }, 'email', undefined],
    ['a verified address at a path', { u: { email: 'a@b.example', email_verified: true } }, 'u.email', 'a@b.example'],
    [
      'an address at a path, with the verification of another one',
      { u: { email: 'a@b.example' }, email_verified: true },
      'u.email',
      undefined,
    ],
    ['a claim whose name only ends so', { work_email: 'a@b.example' }, 'work_email', 'a@b.example'],
  ])('%s', (_, claims, name, person) => {
    expect(personAt(claims as Record<string, unknown>, name)).toBe(person);
  });
});
