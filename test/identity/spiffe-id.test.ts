import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { looksLikeSpiffeId, parseSpiffeId } from '../../src/identity/spiffe-id.ts';

const domain = fc.stringMatching(/^[a-z0-9._-]{1,40}$/);
const segment = fc.stringMatching(/^[A-Za-z0-9._-]{1,20}$/).filter((text) => text !== '.' && text !== '..');

describe('SPIFFE IDs', () => {
  it('gives back exactly the parts that an ID was put together from', () => {
    fc.assert(
      fc.property(domain, fc.array(segment, { minLength: 1, maxLength: 5 }), (trustDomain, segments) => {
        const path = `/${segments.join('/')}`;
        const id = `spiffe://${trustDomain}${path}`;
        expect(parseSpiffeId(id)).toEqual({ id, trustDomain, path });
      }),
    );
  });

  it('accepts nothing outside its alphabet, whatever character is put wherever', () => {
    const valid = 'spiffe://prod.example.org/ns/agents/sa/payer';
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: valid.length }),
        fc.string({ unit: 'binary', minLength: 1, maxLength: 3 }),
        (at, inserted) => {
          fc.pre(!/^[A-Za-z0-9._/:-]*$/.test(inserted));
          expect(parseSpiffeId(valid.slice(0, at) + inserted + valid.slice(at))).toBeUndefined();
        },
      ),
    );
  });

  it.each([
    ['a trust domain alone', 'spiffe://prod.example.org'],
    ['a trailing slash', 'spiffe://prod.example.org/a/'],
    ['an empty segment', 'spiffe://prod.example.org//a'],
    ['a dot segment', 'spiffe://prod.example.org/./a'],
    ['a parent segment', 'spiffe://prod.example.org/a/..'],
    ['an escaped slash', 'spiffe://prod.example.org/a%2Fb'],
    ['upper case in the trust domain', 'spiffe://Prod.example.org/a'],
    ['upper case in the scheme', 'SPIFFE://prod.example.org/a'],
    ['a port', 'spiffe://prod.example.org:443/a'],
    ['user information', 'spiffe://root@prod.example.org/a'],
    ['a query', 'spiffe://prod.example.org/a?b'],
    ['a fragment', 'spiffe://prod.example.org/a#b'],
    ['a final line feed', 'spiffe://prod.example.org/a\n'],
    ['leading space', ' spiffe://prod.example.org/a'],
    ['a look-alike letter', 'spiffe://prod.example.org/\u0430'],
    ['an empty trust domain', 'spiffe:///a'],
    ['a trust domain of 256 characters', `spiffe://${'a'.repeat(256)}/a`],
    ['2049 characters', `spiffe://prod.example.org/${'a'.repeat(2049 - 26)}`],
    ['another scheme', 'https://prod.example.org/a'],
  ])('refuses %s', (_what, text) => {
    expect(parseSpiffeId(text)).toBeUndefined();
  });

  it('accepts 2048 characters and a trust domain of 255', () => {
    expect(parseSpiffeId(`spiffe://prod.example.org/${'a'.repeat(2048 - 26)}`)).toBeDefined();
    expect(parseSpiffeId(`spiffe://${'a'.repeat(255)}/a`)).toBeDefined();
  });

  it('recognises a claim to be a SPIFFE ID in any case', () => {
    expect([' SPIFFE://a/b', 'spiffe:x', 'Spiffe://a'].every(looksLikeSpiffeId)).toBe(true);
    expect(['alice', 'https://spiffe:80/'].some(looksLikeSpiffeId)).toBe(false);
  });
});
