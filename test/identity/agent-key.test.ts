// Agent keys. Kinds: two agents, or two trust domains, that share a key; an id or a subject that spells the key of another
// agent; a pattern that means something else than it says.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { keyOfClaim, pathKey, spiffeKeys } from '../../src/identity/agent-key.ts';
import { parseSpiffeId } from '../../src/identity/spiffe-id.ts';

const keyFor = (path: string, id: string): string => {
  const parsed = parseSpiffeId(id);
  if (parsed === undefined) throw new Error(`${id} is no SPIFFE ID`);
  return spiffeKeys({ path })(parsed);
};

describe('the key of a SPIFFE ID', () => {
  it.each([
    ['/ns/:ns/sa/:sa/*', '/ns/a/sa/b/pod/1', '/ns/a/sa/b/*'],
    ['/ns/:ns/sa/:sa/*', '/ns/a/sa/b', '/ns/a/sa/b/*'],
    ['/ns/:ns/sa/:sa/*', '/ns/a/sa', '/ns/a/sa'],
    ['/ns/:ns/sa/:sa/*', '/ns/a/xx/b/pod', '/ns/a/xx/b/pod'],
    ['/ns/:ns/sa/:sa', '/ns/a/sa/b', '/ns/a/sa/b'],
    ['/ns/:ns/sa/:sa', '/ns/a/sa/b/pod', '/ns/a/sa/b/pod'],
    ['/*/:app', '/region-1/shop', '/*/shop'],
    ['/*/:app', '/shop', '/shop'],
    ['/:app/*/x', '/shop/1/x', '/shop/*/x'],
    ['/:app/*/x', '/shop/1/y', '/shop/1/y'],
  ])('by %s of %s is %s', (pattern, path, key) => {
    expect(keyFor(pattern, `spiffe://prod.test${path}`)).toBe(`spiffe://prod.test${key}`);
  });

  const segment = fc.stringMatching(/^[A-Za-z0-9._-]{1,3}$/).filter((text) => !/^\.+$/.test(text));
  const id = fc
    .tuple(fc.constantFrom('prod.test', 'other.test', 'prod'), fc.array(segment, { minLength: 1, maxLength: 5 }))
    .map(([domain, path]) => ({ domain, path, text: `spiffe://${domain}/${path.join('/')}` }));
  const pattern = fc
    .array(fc.oneof(segment, fc.constantFrom(':a', ':b', '*')), { minLength: 1, maxLength: 5 })
    .filter((segments) => segments.some((each) => each.startsWith(':')));

  it('is never shared by two trust domains, and never the id of another workload', () => {
    fc.assert(
      fc.property(pattern, id, id, (segments, one, other) => {
        const path = `/${segments.join('/')}`;
        const [keyOfOne, keyOfOther] = [keyFor(path, one.text), keyFor(path, other.text)];
        if (one.domain !== other.domain) expect(keyOfOne).not.toBe(keyOfOther);
        if (one.text !== other.text) expect(keyOfOne).not.toBe(other.text);
      }),
    );
  });

  it('is shared by two ids only where they agree in every named segment', () => {
    fc.assert(
      fc.property(pattern, id, id, (segments, one, other) => {
        const named = segments.flatMap((each, at) => (each.startsWith(':') ? [at] : []));
        const [keyOfOne, keyOfOther] = [one, other].map(({ text }) => keyFor(`/${segments.join('/')}`, text));
        if (keyOfOne !== keyOfOther || one.text === other.text) return;
        expect(named.map((at) => one.path[at])).toEqual(named.map((at) => other.path[at]));
      }),
    );
  });

  it('is shared by two ids that were made of one pattern with the same names', () => {
    const filled = (segments: readonly string[], name: string, wild: string, more: readonly string[]) => {
      const path = segments.map((each) => (each.startsWith(':') ? name : each === '*' ? wild : each));
      return `spiffe://prod.test/${[...path, ...(segments.at(-1) === '*' ? more : [])].join('/')}`;
    };
    fc.assert(
      fc.property(pattern, segment, segment, segment, fc.array(segment), (segments, name, one, other, more) => {
        const path = `/${segments.join('/')}`;
        expect(keyFor(path, filled(segments, name, one, more))).toBe(keyFor(path, filled(segments, name, other, [])));
      }),
    );
  });
});

describe('a pattern', () => {
  it.each(['ns/:ns', '/ns', '/*', '/ns/:ns/', '//:a', '/:a/b*', '/:a/../:b', '/:a/{b}', '/:', '/a b/:c', '/ns/:ns?'])(
    '%j is refused',
    (path) => expect(pathKey().safeParse({ path }).success).toBe(false),
  );
  it.each(['/ns/:ns/sa/:sa/*', '/:app', '/*/:app/v1.2'])('%j is taken', (path) =>
    expect(pathKey().safeParse({ path }).success).toBe(true),
  );
});

describe('the key of a claim', () => {
  const issuer = 'https://idp.example.org';
  const key = (value: unknown, claim = 'client_id', at = issuer) =>
    keyOfClaim(at, { claim }, { named: { [claim]: value as string }, token: {} });

  it('has no # and so is no id, and is another one for each issuer, claim and value', () => {
    const name = fc.string({ minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(
        name,
        name,
        fc.constantFrom('client_id', 'app.id', 'a=b'),
        fc.constantFrom(issuer, `${issuer}/x`),
        (one, other, claim, at) => {
          const [first, second] = [key(one), key(other, claim, at)];
          expect(first ?? '').not.toContain('#');
          if (first !== undefined && first === second) expect([other, claim, at]).toEqual([one, 'client_id', issuer]);
        },
      ),
    );
  });

  it.each([undefined, null, '', 7, ['a'], 'a\u200b', ' a', 'a'.repeat(1025)])('%j makes none', (value) => {
    expect(key(value)).toBeUndefined();
  });
});
