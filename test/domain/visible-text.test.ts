import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { segments, visible, visibleLines } from '../../src/domain/visible-text.ts';

describe('visible text', () => {
  it.each([
    ['\u001b[2J', '␛[2J'],
    ['a\rb', 'a␍b'],
    ['a\nb\tc', 'a␊b␉c'],
    ['\u007f', '␡'],
    ['\u009b31m', '<U+009B>31m'],
    ['pay\u202eecila', 'pay<U+202E>ecila'],
    ['\u2066x\u2069', '<U+2066>x<U+2069>'],
    ['a\u200bb\ufeffc\u00add', 'a<U+200B>b<U+FEFF>c<U+00AD>d'],
    ['\u3164\u115f\u2800', '<U+3164><U+115F><U+2800>'],
    ['a\u00a0b\u2003c', 'a<U+00A0>b<U+2003>c'],
    ['\u2028\u2029', '<U+2028><U+2029>'],
    ['\u{e0041}\u{e007f}', '<U+E0041><U+E007F>'],
    ['\ud800', '<U+D800>'],
    ['\ue000', '<U+E000>'],
  ])('shows %j as %s', (text, shown) => {
    expect(visible(text).text).toBe(shown);
  });

  it('leaves plain text of any script as it is', () => {
    for (const text of ['POST /transfers?x=1', '{"memo":"Grüße, 你好, مرحبا, नमस्ते"}', 'e\u0301', '👍'])
      expect(visible(text)).toEqual({ text, made: 0 });
  });

  it('breaks up marks that are stacked to paint over other lines', () => {
    expect(visible(`a${'\u0301'.repeat(30)}`).made).toBe(26);
  });

  it('never lets through what moves, reorders or hides, and counts each', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const shown = visible(text);
        expect(shown.text).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/u);
        expect(shown.made === 0).toBe(shown.text === text);
        expect(visible(shown.text).text).toBe(shown.text);
      }),
    );
  });

  it('shows two different texts differently unless one spells the other’s marks', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' }), (one, other) => {
        fc.pre(one !== other && !/[<␀-␡]/.test(one + other));
        expect(visible(one).text).not.toBe(visible(other).text);
      }),
    );
  });

  it('keeps the lines of a text apart, and shows a carriage return before a line feed', () => {
    expect(visibleLines('a\r\nb\n')).toEqual({ lines: ['a␍', 'b', ''], made: 1 });
  });
});

describe('segments', () => {
  const marked = (text: string) =>
    segments(text)
      .filter(({ kind }) => kind !== 'plain')
      .map(({ kind, text: shown }) => `${kind}:${shown}`);

  it.each([
    ['plain ASCII, and words of other scripts, stay as they are', 'pay Müller, Ελλάδα, Москва, 東京', []],
    ['a Cyrillic letter in a Latin word', 'pаypal', ['lookalike:а']],
    ['a word of look-alikes only', 'АСМЕ', ['lookalike:А', 'lookalike:С', 'lookalike:М', 'lookalike:Е']],
    ['a Greek letter in a host name', 'gοοgle.com', ['lookalike:ο', 'lookalike:ο']],
    ['fullwidth forms', 'Ａ1', ['lookalike:Ａ']],
    ['what reorders', 'a\u202eb', ['invisible:<U+202E>']],
  ])('mark %s', (_what, text, expected) => {
    expect(marked(text)).toEqual(expected);
  });

  it('lose nothing: joined, they are what visible gives', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        expect(
          segments(text)
            .map((segment) => segment.text)
            .join(''),
        ).toBe(visible(text).text);
      }),
    );
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(
          segments(text)
            .map((segment) => segment.text)
            .join(''),
        ).toBe(visible(text).text);
      }),
    );
  });
});
