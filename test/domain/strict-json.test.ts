import { existsSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseStrictJson } from '../../src/domain/strict-json.ts';
import { HOSTILE_JSON } from '../support/hostile-requests.ts';

const parse = (text: string) => parseStrictJson(Buffer.from(text));
function refused(text: string): void {
  expect(() => parse(text)).toThrow(expect.objectContaining({ code: 'bad_json' }));
}

interface Vector {
  readonly name: string;
  readonly expect: 'accept' | 'reject' | 'either';
  readonly base64: string;
}

const file = '../shared/vectors/json-parsing.json';
const vectors = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Vector[]) : undefined;

/** Valid JSON that is refused all the same, and why. */
const STRICTER: Readonly<Record<string, string>> = {
  'y_number_minus_zero.json': '-0 is shown as 0 and canonicalised as 0',
  'y_number_negative_zero.json': '-0 is shown as 0 and canonicalised as 0',
  'y_object_duplicated_key.json': 'duplicate key: parsers differ on which one counts',
  'y_object_duplicated_key_and_value.json': 'duplicate key: parsers differ on which one counts',
};

describe.skipIf(vectors === undefined)('JSONTestSuite (skipped where ../shared/vectors is absent)', () => {
  const outcome = ({ base64 }: Vector): 'accept' | 'reject' => {
    try {
      parseStrictJson(Buffer.from(base64, 'base64'));
      return 'accept';
    } catch (error) {
      expect(error).toMatchObject({ code: 'bad_json' });
      return 'reject';
    }
  };
  const named = (kind: Vector['expect'], result: 'accept' | 'reject') =>
    (vectors ?? []).filter((v) => v.expect === kind && outcome(v) === result).map((v) => v.name);

  it('refuses everything that is not JSON', () => {
    expect(named('reject', 'accept')).toEqual([]);
    expect(named('reject', 'reject').length).toBeGreaterThan(150);
  });

  it('accepts everything that is JSON but for the listed exceptions', () => {
    expect(named('accept', 'reject').sort()).toEqual(Object.keys(STRICTER).sort());
  });

  it('refuses everything that parsers disagree on', () => {
    expect(named('either', 'accept')).toEqual([]);
    expect(named('either', 'reject').length).toBeGreaterThan(30);
  });
});

describe('parseStrictJson', () => {
  it.each(HOSTILE_JSON)('refuses $name', ({ body }) => {
    expect(() => parseStrictJson(body)).toThrow(expect.objectContaining({ code: 'bad_json' }));
  });

  it('gives what JSON.parse gives for anything that was serialised from numbers that survive and without __proto__', () => {
    const survives = (value: unknown): boolean => {
      if (typeof value === 'number')
        return !Number.isInteger(value) || Number.isSafeInteger(value) || String(value).includes('e');
      return (
        typeof value !== 'object' ||
        value === null ||
        (!Object.hasOwn(value, '__proto__') && Object.values(value).every(survives))
      );
    };
    fc.assert(
      fc.property(
        fc.jsonValue({ maxDepth: 6, stringUnit: 'grapheme' }).filter(survives),
        fc.constantFrom(undefined, ' ', '\t'),
        (value, indent) => {
          const text = JSON.stringify(value, null, indent);
          expect(parse(text)).toEqual(JSON.parse(text));
        },
      ),
      { numRuns: 500 },
    );
  });

  it('accepts every double and every safe integer as JavaScript writes them', () => {
    fc.assert(
      fc.property(fc.oneof(fc.double({ noDefaultInfinity: true, noNaN: true }), fc.maxSafeInteger()), (n) => {
        if (Object.is(n, -0) || (Number.isInteger(n) && !Number.isSafeInteger(n) && !String(n).includes('e'))) return;
        expect(parse(`[${String(n)}]`)).toEqual([n]);
      }),
    );
  });

  it.each([
    '0.1',
    '1.10',
    '1e2',
    '1E+2',
    '100e-2',
    '0.0',
    '0e5',
    '9007199254740991',
    '-9007199254740991',
    '1e300',
    '5e-324',
    '123456789012345.5',
    '0.000001e6',
    '-1.50',
  ])('accepts the number %s', (n) => expect(parse(n)).toBe(Number(n)));

  it.each([
    '9007199254740992',
    '-9007199254740993',
    '12345678901234567890',
    '0.1234567890123456789',
    '-0.0',
    '-0e1',
    '1e309',
    '2e-400',
    '0.10000000000000001',
  ])('refuses the number %s', refused);

  it('refuses every integer that a double cannot tell from its neighbour', () => {
    fc.assert(fc.property(fc.bigInt({ min: 2n ** 53n, max: 2n ** 80n }), (n) => refused(`{"a":${n}}`)));
  });

  it('refuses an object as soon as one of its keys is written twice, however it is spelt and wherever it stands', () => {
    const spell = (key: string, escaped: boolean) =>
      escaped
        ? `"${[...Array(key.length).keys()].map((i) => `\\u${key.charCodeAt(i).toString(16).padStart(4, '0')}`).join('')}"`
        : JSON.stringify(key);
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 2 })),
        fc.string(),
        fc.boolean(),
        fc.nat(),
        fc.jsonValue({ maxDepth: 3 }),
        (object, key, escaped, at, outer) => {
          const members = Object.entries(object).map(([k, v]) => `${JSON.stringify(k)}:${JSON.stringify(v)}`);
          if (!Object.hasOwn(object, key)) members.push(`${JSON.stringify(key)}:1`);
          members.splice(at % (members.length + 1), 0, `${spell(key, escaped)}:{"x":[1]}`);
          refused(`[${JSON.stringify(outer)},{"o":{${members.join(',')}}}]`);
        },
      ),
    );
  });

  it('is not misled by colons, quotes and digits in strings', () => {
    const value = { 'a:"b\\': ':::1e999', '"': '\\"', '-0': ['{"a":1,"a":2}', '\\u0061'] };
    expect(parse(JSON.stringify(value))).toEqual(value);
  });

  it('ends on any text, JSON or not, with a value or bad_json', () => {
    const piece = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      '"',
      '\\',
      ':',
      ',',
      '1',
      '-',
      '0',
      'e',
      '.',
      'a',
      '\\u0061',
      ' ',
      'null',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const text = pieces.join('');
        try {
          expect(parse(text)).toEqual(JSON.parse(text));
        } catch (error) {
          expect(error).toMatchObject({ code: 'bad_json' });
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('caps the depth at 64 and lets the caller choose another', () => {
    const nested = (depth: number) => Buffer.from('['.repeat(depth) + ']'.repeat(depth));
    expect(() => parseStrictJson(nested(64))).not.toThrow();
    expect(() => parseStrictJson(nested(65))).toThrow();
    expect(() => parseStrictJson(nested(3), { depth: 2 })).toThrow();
  });

  it('does not quote the body in its refusals', () => {
    try {
      parse('{"password": hunter2}');
    } catch (error) {
      expect(String(error)).not.toContain('hunter2');
      return;
    }
    throw new Error('was accepted');
  });
});
