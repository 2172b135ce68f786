import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compilePath, type Reading, readPath } from '../../src/policy/paths.ts';

const matches = (pattern: string, path: string, reading: Reading = 'exact'): Record<string, string> | undefined => {
  const read = readPath(path);
  const params = read && compilePath(pattern).match(read, reading);
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
    ['/a/:rest*', '/a/b/c', { rest: 'b/c' }],
    ['/a/:rest+', '/a', undefined],
    ['/a{-:part}*', '/a-b-c', { part: 'b-c' }],
    ['/(a|b)/x', '/b/x', {}],
    ['/\\:a', '/:a', {}],
    ['/:x(\\u0061+)', '/aa', { x: 'aa' }],
    ['/:x([\\s]+)', '/%20', { x: ' ' }],
    ['/:x(.)', '/%C3%A9', { x: 'é' }],
  ])('%s and %s', (pattern, path, params) => {
    expect(matches(pattern, path)).toEqual(params);
  });

  test.each(['x', '/a//b', '/a/../b', '/a/%2e', '/a#b', '/a?', '/:x/:x', '/(', ''])('%j is refused', (pattern) => {
    expect(() => compilePath(pattern)).toThrow(TypeError);
  });

  test.each([
    ['/:x((?=a).*)', 'no lookaround'],
    ['/:x((?!a).*)', 'no lookaround'],
    ['/:x((?<=a).*)', 'looks around'],
    ['/:x((?:a)\\1)', 'no backreferences'],
    ['/:x((?:a{1,1000}){1,1000})', 'no large repetitions'],
    ['/:x((?<y>a))', 'a group of its own'],
    ['/:x((?:a|)+)', 'can be empty'],
    ['/:x((?:a*)*)', 'can be empty'],
    ['/{:p}/1:q(a*)?', 'Drop the ?'],
    ['/:x([a&&b])', 'one set'],
    ['/:x([[a-z]--[b]])', 'one set'],
    ['/:x([\\S])', 'write the characters'],
  ])(
    '%s cannot be matched in linear time, or not as URLPattern does, and is refused with what to write',
    (pattern, message) => {
      expect(() => new URLPattern({ pathname: pattern })).not.toThrow();
      expect(() => compilePath(pattern)).toThrow(message);
    },
  );
});

describe('for random patterns and paths, what URLPattern says', () => {
  const name = fc.constantFrom(':p', ':q', ':long_name');
  const expression = fc.constantFrom(
    ...[
      '\\d+',
      '[a-z]+',
      'a|b',
      '(?:a|b)+',
      '.*',
      '.+?',
      '[^/]+',
      'a*',
      'a?',
      '(?:ab)*',
      '\\w{1,2}',
      '[^a]',
      '(?:a+b?)+',
      '[ab]*?',
      '\\w+\\d',
      '\\s*',
    ],
    ...['a{0,2}', '(?i:a)b?', '(?:a|aa)+', '(?:[a-z0-9]+-?)+', '\\S+', '[\\w-]+'],
  );
  const group = fc.oneof(
    name,
    fc.tuple(name, expression).map(([before, inner]) => `${before}(${inner})`),
    expression.map((inner) => `(${inner})`),
    fc.constant('*'),
  );
  const modifier = fc.constantFrom('', '', '', '?', '*', '+');
  const braced = fc.oneof(
    fc
      .tuple(fc.constantFrom('', '/', '-', 'a', '/a'), group, fc.constantFrom('', 'b', '-'))
      .map(([before, inner, after]) => `{${before}${inner}${after}}`),
    fc.constantFrom('{/a}', '{b}', '{-}', '{/a/b}', '{a}'),
  );
  const literal = fc.constantFrom('a', 'b', 'ab', 'A', 'x.y', '-', '1', '12', '\\:', '\\*', '\\(', 'foo', '@', 'é');
  const piece = fc.oneof(
    literal,
    fc.tuple(group, modifier).map((parts) => parts.join('')),
    fc.tuple(braced, modifier).map((parts) => parts.join('')),
    fc.tuple(fc.constant('/'), group, modifier).map((parts) => parts.join('')),
    fc.tuple(fc.constant('/'), literal).map((parts) => parts.join('')),
  );
  const pattern = fc.array(piece, { maxLength: 5 }).map((pieces) => `/${pieces.join('')}`);
  const segment = fc.oneof(
    fc.constantFrom('a', 'b', 'ab', 'foo', '1', '12', 'x.y', 'aab', 'a-b', '@'),
    fc.stringMatching(/^[abA12.xy:*(-]{1,4}$/),
  );
  const path = fc
    .tuple(fc.array(segment, { maxLength: 4 }), fc.constantFrom('', '/'))
    .map(([segments, end]) => `/${segments.join('/')}${segments.length === 0 ? '' : end}`);

  function agree(patternText: string, paths: readonly string[]): number {
    let standard: URLPattern;
    let compiled: ReturnType<typeof compilePath>;
    try {
      standard = new URLPattern({ pathname: patternText });
      compiled = compilePath(patternText);
    } catch {
      return 0;
    }
    let matched = 0;
    for (const pathText of paths) {
      const read = readPath(pathText);
      if (read === undefined) continue;
      const groups = standard.exec({ pathname: pathText })?.pathname.groups;
      const expected =
        groups &&
        Object.fromEntries(Object.entries(groups).filter(([key, value]) => !/^\d/.test(key) && value !== undefined));
      const params = compiled.match(read, 'exact');
      expect([patternText, pathText, params && Object.fromEntries(params)]).toEqual([patternText, pathText, expected]);
      // What a hold rule means is never less.
      if (params !== undefined)
        for (const reading of ['lenient', 'caseSensitive'] as const)
          expect(compiled.match(read, reading)).toBeDefined();
      matched += params === undefined ? 0 : 1;
    }
    return matched;
  }

  test('is what we say, group by group, or the pattern is refused', () => {
    let matched = 0;
    fc.assert(
      fc.property(pattern, fc.array(path, { minLength: 4, maxLength: 10 }), (patternText, paths) => {
        matched += agree(patternText, paths);
      }),
      { numRuns: 3_000 },
    );
    expect(matched).toBeGreaterThan(300);
  });
});

describe('a pattern and a path that backtrack', () => {
  // The kind: time that grows faster than the path. Costs are counted, so nothing here rests on a clock: it ends, or it
  // does not.
  test.each([
    ['/p/*/q/*/q/*/r', `/p/${'x/q/'.repeat(4_000)}`],
    ['/:slug((?:[a-z0-9]+-?)+)', `/${'a'.repeat(16_000)}!`],
    // Of the same kind.
    ['/:x((?:a|aa)+)', `/${'a'.repeat(16_000)}!`],
    ['/*a*a*a*a*a*a*a*b', `/${'a'.repeat(16_000)}`],
    ['/:a-:b-:c-:d-:e.json', `/${'-'.repeat(16_000)}`],
    ['/:x((?:.*a){12})', `/${'a'.repeat(8_000)}${'b'.repeat(8_000)}`],
    ['/{:a/}*:b{/:c}*/end', `/${'a/'.repeat(8_000)}`],
    ['/:x(\\w*)*(\\d*)!', `/${'1'.repeat(16_000)}`],
  ])('%s is matched in linear time', (pattern, path) => {
    for (const reading of ['exact', 'lenient', 'caseSensitive'] as const)
      expect(matches(pattern, path, reading)).toBeUndefined();
  });

  test('costs so much with many others that none of them is asked: hold and deny rules then match, allow rules do not', () => {
    const patterns = Array.from({ length: 200 }, (_, index) => compilePath(`/p/*/q/*/q/*/r${index}`));
    const read = readPath(`/p/${'x/q/'.repeat(4_000)}`);
    if (read === undefined) throw new Error('the path cannot be read');
    const answers = patterns.map((pattern) => pattern.match(read, 'lenient'));
    expect([read.overBudget, answers[0], answers.at(-1)?.size]).toEqual([true, undefined, 0]);
    expect(patterns.map((pattern) => pattern.match(read, 'exact')).filter(Boolean)).toEqual([]);
    // Those that cannot match anyway cost nothing.
    const other = readPath(`/o/${'x/q/'.repeat(4_000)}`);
    for (const pattern of patterns) expect(other && pattern.match(other, 'lenient')).toBeUndefined();
    expect(other?.overBudget).toBe(false);
  });
});

describe('the spellings of a path that hold and deny rules mean', () => {
  test.each([
    ['/transfers', '/Transfers'],
    ['/transfers', '/TRANSFERS/'],
    ['/transfers', '/%54ransfers'],
    ['/Transfers/:id', '/transfers/1'],
    ['/admin/*', '/aDMIN/x'],
    ['/kiosk', '/%E2%84%AAio%C5%BF%E2%84%AA'],
    ['/admin', '/%EF%BD%81dmin'],
    ['/straße', '/STRASSE'],
    ['/é', '/%C3%89'],
    ['/a/:id(\\d+)/Edit', '/A/12/eDIT'],
    ['/a/:id([a-z]+)', '/a/XYZ'],
    ['/a/:id([^a-z]+)', '/a/XYZ'],
    ['/a{/b}?/c', '/A/B/C/'],
    ['/admin', '/admin;jsessionid=1'],
    ['/admin/users', '/admin;a=b/users;c'],
    ['/admin', '/admin.'],
    ['/admin', '/admin%20'],
    ['/a/:id(\\d+)', '/a/12;x=y'],
  ])('%s means %s', (pattern, path) => {
    expect(matches(pattern, path, 'lenient')).toBeDefined();
  });

  test.each([
    ['/transfers', '/transfer'],
    ['/transfers', '/transfers/x'],
    ['/admin', '/admins'],
    ['/admin', '/x;admin'],
    ['/a/:id(\\d+)', '/a/x'],
  ])('%s does not mean %s', (pattern, path) => {
    expect(matches(pattern, path, 'lenient')).toBeUndefined();
  });

  test('are one, where case counts, but for the last slash; and parameters stay as they are written', () => {
    expect(matches('/transfers', '/Transfers', 'caseSensitive')).toBeUndefined();
    expect(matches('/a/:id([a-z]+)', '/a/XYZ', 'caseSensitive')).toBeUndefined();
    for (const path of ['/transfers', '/transfers/', '/transfers;x=1'])
      expect(matches('/transfers', path, 'caseSensitive')).toEqual({});
    expect(matches('/repos/:owner/:repo', '/REPOS/Acme/Site/', 'lenient')).toEqual({ owner: 'Acme', repo: 'Site' });
    expect(matches('/repos/:owner([a-z]+)/x', '/REPOS/Acme/X', 'lenient')).toEqual({ owner: 'Acme' });
  });
});
