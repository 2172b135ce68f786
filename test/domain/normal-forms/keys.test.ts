// Pins the kind "two keys that some server takes for one": letters' case under Unicode's folding, width, characters
// that are not seen, and NUL.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { foldKey, hasTwins } from '../../../src/domain/normal-forms/keys.ts';
import { parseSharedJson, parseStrictJson } from '../../../src/domain/strict-json.ts';

const TWINS: readonly (readonly [string, string, string])[] = [
  ['case', 'amount', 'Amount'],
  ['all capitals', 'amount', 'AMOUNT'],
  ['camel case', 'toAccount', 'toaccount'],
  ['the long s, which Go folds', 'arguments', 'argumentſ'],
  ['the Kelvin sign, which Go folds', 'key', 'Key'],
  ['the Angstrom sign', 'ångström', 'Ångström'],
  ['sigma at the end of a word', 'λογος', 'ΛΟΓΟΣ'],
  ['both small sigmas', 'ς', 'σ'],
  ['sharp s written out', 'strasse', 'straße'],
  ['capital sharp s', 'straße', 'STRAẞE'],
  ['a Turkish dotless i', 'id', 'ıd'],
  ['a Turkish dotted capital I', 'id', 'İD'],
  ['i with a combining dot', 'id', 'i\u0307d'],
  ['fullwidth letters', 'amount', 'ａｍｏｕｎｔ'],
  ['fullwidth capitals', 'to', 'Ｔｏ'],
  ['fullwidth digits', 'line1', 'line１'],
  ['a ligature', 'file', 'ﬁle'],
  ['mathematical letters', 'amount', '𝐚mount'],
  ['composed and decomposed', 'café', 'cafe\u0301'],
  ['a zero width space', 'amount', 'amo\u200bunt'],
  ['a soft hyphen', 'amount', 'am\u00adount'],
  ['a byte order mark inside', 'amount', '\ufeffamount'],
  ['a variation selector', 'amount', 'amount\ufe0f'],
  ['a tag character', 'amount', 'amount\u{e0061}'],
  ['a Hangul filler', 'amount', 'amount\u3164'],
  ['NUL, where a name ends in C', 'amount', 'amount\0'],
  ['NUL and more', 'amount', 'amount\0x'],
  ['Cherokee', 'Ꮳ', 'ꮳ'],
  ['Deseret, beyond the first plane', '𐐀', '𐐨'],
];

describe('two keys that a server could take for one', () => {
  it.each(TWINS)('are refused in one object: %s', (_what, one, other) => {
    expect(foldKey(one)).toBe(foldKey(other));
    for (const keys of [
      [one, other],
      [other, one],
    ]) {
      const text = JSON.stringify({ list: [{ deep: Object.fromEntries(keys.map((key, i) => [key, i])) }] });
      expect(() => parseSharedJson(Buffer.from(text)), text).toThrow(expect.objectContaining({ code: 'bad_json' }));
      // What is read here alone, such as a token, is read exactly.
      expect(() => parseStrictJson(Buffer.from(text))).not.toThrow();
    }
  });

  it.each([
    ['amount', 'amounts'],
    ['a_b', 'ab'],
    ['a-b', 'a_b'],
    ['o', '0'],
    ['а', 'a'],
    ['size', 'seize'],
  ])('are not %s and %s', (one, other) => {
    expect(hasTwins([one, other])).toBe(false);
  });

  // The kind: a name whose cost grows faster than it does. Each of these took minutes, or hundreds of milliseconds,
  // where a name was normalised whole.
  it.each([
    ['combining marks in an order that is none', 'a\u0301\u0327'.padEnd(500_000, '\u0301\u0327')],
    ['ligatures that grow', '\ufdfa'.repeat(300_000)],
    ['Hangul that is put together', '\u1112\u1161\u11ab'.repeat(100_000)],
  ])('are told apart at any length: %s', (_what, name) => {
    for (let round = 0; round < 20; round++) expect(hasTwins([name, `${name}x`, 'A'])).toBe(false);
    expect(hasTwins([`x${name}`, `X${name}`])).toBe(true);
  });

  it('are found behind any number of characters that are not seen', () => {
    expect(hasTwins(['amount', `amount${'\u200b'.repeat(100_000)}`])).toBe(true);
  });

  it('may stand in two objects', () => {
    expect(parseSharedJson(Buffer.from('[{"a":1},{"A":2},{"x":{"a":1},"y":{"A":2}}]'))).toHaveLength(3);
  });

  it('are found wherever an object has them, however many other keys stand between', () => {
    const key = fc.string({
      unit: fc.constantFrom('a', 'B', 'ſ', 'K', 'é', '1', '_', 'ß', '\u200b'),
      minLength: 1,
      maxLength: 6,
    });
    fc.assert(
      fc.property(
        fc.uniqueArray(key, { maxLength: 8, selector: foldKey }),
        fc.nat(),
        fc.constantFrom('upper', 'lower', 'shy'),
        (keys, at, how) => {
          const chosen = keys[at % Math.max(1, keys.length)];
          expect(hasTwins(keys)).toBe(false);
          if (chosen === undefined) return;
          const twin =
            how === 'upper' ? chosen.toUpperCase() : how === 'lower' ? chosen.toLowerCase() : `${chosen}\u00ad`;
          if (!keys.includes(twin)) expect(hasTwins([...keys, twin])).toBe(true);
        },
      ),
    );
  });

  it('fold alike under the case folding of the engine, character by character', () => {
    const differing: string[] = [];
    for (let code = 0x21; code < 0x20000; code++) {
      if (code >= 0xd800 && code <= 0xdfff) continue;
      const character = String.fromCodePoint(code);
      for (const other of [character.toLowerCase(), character.toUpperCase()])
        if (foldKey(other) !== foldKey(character)) differing.push(character);
    }
    expect(differing).toEqual([]);
  });
});
