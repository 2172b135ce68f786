import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compilePath, readPath } from '../../src/policy/paths.ts';

const matches = (pattern: string, path: string): Record<string, string> | undefined => {
  const read = readPath(path);
  const params = read && compilePath(pattern).match(read, 'exact');
  return params && Object.fromEntries(params);
};

describe('patterns', () => {
  test.each([
    ['/repos/:owner/:repo', '/repos/a/b', { owner: 'a', repo: 'b' }],
    ['/repos/:owner/:repo', '/repos/a/b%20c', { owner: 'a', repo: 'b c' }],
    ['/repos/:owner/:repo', '/repos/a/', undefined],
    ['/repos/:owner/:repo', '/repos/a/b/', undefined],
    ['/repos/*', '/repos/', {}],
    ['/repos/*', '/repos', undefined],
    ['/repos/*', '/repos/a/b', {}],
    ['/a/:id(\\d+)', '/a/12', { id: '12' }],
    ['/a/:id(\\d+)', '/a/x', undefined],
    ['/a/:b?', '/a', {}],
    ['/a/:b?', '/a/%62', { b: 'b' }],
    ['/a{/b}?/c', '/a/c', {}],
    ['/:file.json', '/x.json', { file: 'x' }],
    ['/', '/', {}],
    ['/*', '/', {}],
    ['/é', '/%C3%A9', {}],
  ])('%s and %s', (pattern, path, params) => {
    expect(matches(pattern, path)).toEqual(params);
  });

  test.each(['x', '/a//b', '/a/../b', '/a/%2e', '/a#b', '/a?', '/:x/:x', '/(', ''])('%j is refused', (pattern) => {
    expect(() => compilePath(pattern)).toThrow(TypeError);
  });
});

test('plain patterns mean what URLPattern says they mean', () => {
  const literal = fc.constantFrom('a', 'b', 'users', 'x.y', 'a-b', 'A');
  const patternSegment = fc.oneof(literal, fc.constantFrom(':p', ':q'));
  const pattern = fc
    .tuple(fc.uniqueArray(patternSegment, { maxLength: 4, comparator: (a, b) => a === b && a.startsWith(':') }), fc.constantFrom('', '/*', '/'))
    .map(([segments, end]) => `/${segments.join('/')}${segments.length === 0 ? end.slice(1) : end}`);
  const path = fc
    .tuple(fc.array(fc.oneof(literal, fc.constantFrom('c', 'é', 'a@b')), { maxLength: 5 }), fc.constantFrom('', '/'))
    .map(([segments, end]) => `/${segments.join('/')}${segments.length === 0 ? '' : end}`);
  fc.assert(
    fc.property(pattern, path, (patternText, pathText) => {
      const standard = new URLPattern({ pathname: patternText }).exec({ pathname: pathText })?.pathname.groups;
      const named =
        standard && Object.fromEntries(Object.entries(standard).flatMap(([key, value]) => (/^\d/.test(key) ? [] : [[key, decodeURIComponent(value ?? '')]])));
      expect(matches(patternText, pathText)).toEqual(named);
    }),
    { numRuns: 500 },
  );
});
