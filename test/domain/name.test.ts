// Which texts can be a name, and which names are one. Kind: a difference that nobody sees must not make a second
// person.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isName, nameKey } from '../../src/domain/name.ts';

const UNSEEN = [
  '\u0000',
  '\t',
  '\n',
  '\u007f',
  '\u0085',
  '\u00a0',
  '\u00ad',
  '\u034f',
  '\u061c',
  '\u115f',
  '\u17b4',
  '\u180e',
  '\u200b',
  '\u200d',
  '\u200f',
  '\u2028',
];
const MORE_UNSEEN = [
  '\u202a',
  '\u202e',
  '\u2060',
  '\u2067',
  '\u206f',
  '\u2800',
  '\u3000',
  '\u3164',
  '\ufe00',
  '\ufeff',
  '\uffa0',
  '\ufff9',
  '\u{e0001}',
  '\u{e0101}',
  '\ud800',
];

describe('a name', () => {
  it.each([
    'alice',
    'spiffe://prod.example.org/ns/a',
    'https://idp.example.org#Zoë Ångström',
    'CN=Alice, O=Example',
    '王小明',
    'محمد',
    '/finance/leads',
    'a|b@c.d',
  ])('can be %s', (text) => {
    expect(isName(text)).toBe(true);
  });

  it('has no character that nobody sees, wherever it stands', () => {
    const unseen = fc.constantFrom(...UNSEEN, ...MORE_UNSEEN);
    fc.assert(
      fc.property(fc.string(), unseen, fc.string(), (before, character, after) => !isName(before + character + after)),
    );
  });

  it.each([
    '',
    ' ',
    ' alice',
    'alice ',
    'alice  archer',
    'alic\u0065\u0301',
    '\u212bngström',
    'a\u0301\u0302\u0303\u0304\u0305',
  ])('cannot be %j', (text) => {
    expect(isName(text)).toBe(false);
  });
});

describe('two names', () => {
  it.each([
    ['alice', 'ALICE'],
    ['alice', 'alice\u200b'],
    ['alice', '\u2068alice\u2069'],
    ['alice', 'ａｌｉｃｅ'],
    ['alice', 'alice\u00a0'],
    ['alice', 'a\u00adlice'],
    ['zoë', 'zoe\u0308'],
    ['straße', 'STRASSE'],
    ['σίσυφος', 'ΣΊΣΥΦΟΣ'],
    ['ﬁona', 'fiona'],
  ])('%j and %j are one', (a, b) => {
    expect(nameKey(a)).toBe(nameKey(b));
  });

  it('that differ in what is seen stay two, and a key is its own key', () => {
    expect(new Set(['alice', 'alicf', 'alice1', 'alice archer', 'a-lice'].map(nameKey)).size).toBe(5);
    fc.assert(fc.property(fc.string({ unit: 'grapheme' }), (text) => nameKey(nameKey(text)) === nameKey(text)));
  });
});
