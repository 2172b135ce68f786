// Texts from seeds and pieces: what a grammar makes, then cut, doubled, repeated many times over, and spoiled here and
// there.

import fc from 'fast-check';

/**
 * Texts put together from these pieces, some of them repeated so often that cost which grows faster than length is
 * felt.
 */
export function fromPieces(pieces: readonly string[], longest = 20): fc.Arbitrary<string> {
  const piece = fc.oneof(
    { weight: 12, arbitrary: fc.constantFrom(...pieces) },
    { weight: 1, arbitrary: anyCharacter },
    { weight: 1, arbitrary: fc.string() },
  );
  const repeated = fc
    .tuple(fc.array(piece, { minLength: 1, maxLength: 3 }), fc.constantFrom(2, 3, 50, 5_000))
    .map(([parts, times]) => parts.join('').repeat(times));
  return fc
    .array(fc.oneof({ weight: 20, arbitrary: piece }, { weight: 1, arbitrary: repeated }), { maxLength: longest })
    .map((parts) => parts.join('').slice(0, LARGEST));
}

/** As `limits.inspectedBody` has it: nothing longer is parsed. */
export const LARGEST = 1_048_576;

/** A character that some reader treats in its own way. */
const anyCharacter = fc.oneof(
  fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
  fc.constantFrom(
    ...'\0\t\n\v\f\r \u007f\u0080\u00a0\u00ad\u0130\u0131\u017f\u200b\u202e\u2028\u212a\ufeff\uff0f\ud800\udc00\ufffd',
  ),
);

/**
 * A text from `seeds` with a few changes: a piece taken out, put twice, replaced by another seed's, or a character
 * changed.
 */
export function mutated(seeds: fc.Arbitrary<string>): fc.Arbitrary<string> {
  const change = fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    length: fc.integer({ min: 0, max: 12 }),
    way: fc.constantFrom('drop', 'double', 'replace', 'insert'),
    other: fc.oneof(seeds, anyCharacter),
  });
  return fc.tuple(seeds, fc.array(change, { maxLength: 4 })).map(([seed, changes]) =>
    changes.reduce((text, { at, length, way, other }) => {
      const start = Math.floor(at * text.length);
      const [before, taken, after] = [
        text.slice(0, start),
        text.slice(start, start + length),
        text.slice(start + length),
      ];
      if (way === 'drop') return before + after;
      if (way === 'double') return before + taken + taken + after;
      const piece = other.slice(0, 1 + length);
      return way === 'replace' ? before + piece + after : before + piece + taken + after;
    }, seed),
  );
}

/** JSON texts, most of them valid, with keys and numbers that readers differ on. */
export const jsonText: fc.Arbitrary<string> = fc.oneof(
  { weight: 3, arbitrary: fc.json({ maxDepth: 4 }) },
  { weight: 3, arbitrary: mutated(fc.json({ maxDepth: 3 })) },
  {
    weight: 3,
    arbitrary: fromPieces([
      ...[
        '{',
        '}',
        '[',
        ']',
        ',',
        ':',
        '"a"',
        '"A"',
        '"\\u0061"',
        '"',
        '\\',
        '"__proto__":1',
        '{"a":1,"a":2}',
        '{"a":1,"b":[',
        ']}',
        '[[',
        ']]',
        ' ',
        '\n',
      ],
      ...[
        '0',
        '-0',
        '1.0',
        '1e400',
        '1e-400',
        '9007199254740993',
        '12345678901234567890',
        '0.1',
        '1E5',
        '-',
        '+1',
        '01',
        'true',
        'null',
        'NaN',
        '"\\ud800"',
        '//',
        '"\\u0000"',
      ],
    ]),
  },
);
