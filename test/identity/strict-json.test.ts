import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { deepFreeze, parseStrictJson } from '../../src/identity/strict-json.ts';

const parse = (text: string) => parseStrictJson(Buffer.from(text));

describe('strict JSON', () => {
  it('reads whatever unambiguous JSON says, as JSON.parse does', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6, stringUnit: 'grapheme' }), fc.constantFrom(undefined, 1, '\t'), (value, space) => {
        const text = JSON.stringify(value, null, space);
        fc.pre(!text.includes('__proto__') && !text.includes('\\ud'));
        expect(parse(text)).toEqual(JSON.parse(text));
      }),
    );
  });

  it('refuses every object with a repeated key, however the key is escaped and wherever it stands', () => {
    const escaped = (text: string) => [...text].map((char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`).join('');
    fc.assert(
      fc.property(fc.stringMatching(/^[a-z":\\{}]{1,8}$/), fc.boolean(), fc.integer({ min: 0, max: 5 }), (key, asEscapes, depth) => {
        const again = asEscapes ? `"${escaped(key)}"` : JSON.stringify(key);
        const object = `{${JSON.stringify(key)}:"{", "other":[1,{"a":"b"}],${again} : 2}`;
        const text = `${'[{"x":'.repeat(depth)}${object}${'}]'.repeat(depth)}`;
        expect(JSON.parse(text)).toBeDefined();
        expect(() => parse(text)).toThrow();
      }),
    );
  });

  it('lets one key name values of different objects', () => {
    expect(parse('{"a":{"a":[{"a":1},{"a":2}]},"b":"a"}')).toEqual({ a: { a: [{ a: 1 }, { a: 2 }] }, b: 'a' });
  });

  it.each([
    ['a byte order mark', Buffer.from('\ufeff{}')],
    ['bytes that are not UTF-8', Buffer.from([0x22, 0xff, 0x22])],
    ['an overlong encoding', Buffer.from([0x22, 0xc0, 0xaf, 0x22])],
    ['a lone surrogate', Buffer.from('"\\ud800"')],
    ['a lone surrogate in a key', Buffer.from('{"\\udc00":1}')],
    ['a number beyond a double', Buffer.from('{"exp":1e400}')],
    ['a negative number beyond a double', Buffer.from('[-1e400]')],
    ['the key __proto__', Buffer.from('{"__proto__":{}}')],
    ['the key __proto__, escaped', Buffer.from('{"\\u005f_proto__":{}}')],
    ['33 levels', Buffer.from('['.repeat(33) + ']'.repeat(33))],
    ['trailing text', Buffer.from('{} x')],
    ['nothing', Buffer.from('')],
  ])('refuses %s', (_what, bytes) => {
    expect(() => parseStrictJson(bytes)).toThrow();
  });

  it('accepts 32 levels', () => {
    expect(() => parse('['.repeat(32) + ']'.repeat(32))).not.toThrow();
  });

  it('freezes values through and through', () => {
    const value = deepFreeze({ a: [{ b: 1 }] });
    expect(() => Object.assign(value.a[0] as object, { b: 2 })).toThrow(TypeError);
  });
});
