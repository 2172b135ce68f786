// Pins the kind "what was not meant to be changed comes out changed": numbers, white space, escapes and order of JSON
// that is edited in places.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Json, JsonObject } from '../../src/domain/json.ts';
import { edited, locate, parseWithSource, rewritten, writeJson } from '../../src/domain/json-source.ts';

const NUMBERS = ['12345678901234567890', '1.0', '1e2', '-0', '0.10', '1E+400', '9007199254740993', '-1.50e-3'];

describe('JSON that is edited in places', () => {
  it('is the same text where nothing was', () => {
    const text = ' { "a" : [ 1.0, {"b":"\\u0041"} ] } ';
    expect(writeJson(parseWithSource(text))).toBe(text.trim());
  });

  it('keeps the text of every member that stays, around those that go, change and come', () => {
    const text = '{ "keep": 1.0 , "go":2,\n"change" :[1.0], "10":1e2, "\\u0061":{"x":12345678901234567890} }';
    const value = parseWithSource(text) as JsonObject;
    expect(writeJson(edited(value, { go: undefined, change: 'new', added: 3 }))).toBe(
      '{ "keep": 1.0 ,\n"change" :"new", "10":1e2, "\\u0061":{"x":12345678901234567890} ,"added":3}',
    );
  });

  it.each(NUMBERS)(
    'keeps the number %s at any depth, in lists that are cut and in members of entries that change',
    (number) => {
      const tool = (name: string): string =>
        `{"name":"${name}","n":${number},"list":[${number}],"in":{"deep":{"n":${number}}}}`;
      const value = parseWithSource(
        `{"id":1,"result":{"tools":[${tool('a')}, ${tool('b')},${tool('c')}],"n":${number}}}`,
      ) as JsonObject;
      const result = value.result as JsonObject;
      const [a, , c] = result.tools as JsonObject[];
      const tools = [
        edited(edited(a as JsonObject, { in: edited((a as JsonObject).in as JsonObject, { more: true }) }), {
          name: 'x',
        }),
        c as JsonObject,
      ];
      const written = writeJson(edited(value, { result: edited(result, { tools }) }));
      const first = `{"name":"x","n":${number},"list":[${number}],"in":{"deep":{"n":${number}},"more":true}}`;
      expect(written).toBe(`{"id":1,"result":{"tools":[${first},${tool('c')}],"n":${number}}}`);
    },
  );

  it('keeps the text of what was taken out of it and put elsewhere', () => {
    const value = parseWithSource('{"result":{"tools":[{"n":1.0}, {"n":2.0}]}}') as JsonObject;
    locate(value, 3);
    const [, second] = (value.result as JsonObject).tools as Json[];
    expect(writeJson({ all: [second as Json] })).toBe('{"all":[ {"n":2.0}]}');
  });

  it('says of a key that stands twice only what was read', () => {
    const value = parseWithSource(
      '{"method":"a","params":{"x":1,"x":2.0,"l":[{"y":1,"y":3.0},4.0]},"method":"b"}',
    ) as JsonObject;
    expect(writeJson(rewritten(value))).toBe('{"params":{"x":2.0,"l":[{"y":3.0},4.0]},"method":"b"}');
  });

  it('means after any edit what JSON.stringify would have said', () => {
    const json = fc.jsonValue({ maxDepth: 4, stringUnit: 'grapheme' });
    const object = fc
      .dictionary(fc.string(), json, { noNullPrototype: true })
      .filter((value) => !Object.hasOwn(value, '__proto__'));
    fc.assert(
      fc.property(
        object,
        object,
        fc.array(fc.nat(5)),
        fc.constantFrom(undefined, 1, '\t'),
        (source, changes, gone, indent) => {
          const value = parseWithSource(JSON.stringify(source, null, indent)) as JsonObject;
          const keys = Object.keys(value);
          const without = Object.fromEntries(
            gone.flatMap((n) => (keys[n] === undefined ? [] : [[keys[n], undefined]])),
          );
          const copy = edited(edited(value, changes as JsonObject), without);
          expect(JSON.parse(writeJson(copy))).toEqual(JSON.parse(JSON.stringify(copy)));
          expect(JSON.parse(writeJson(rewritten(value)))).toEqual(JSON.parse(JSON.stringify(value)));
        },
      ),
      { numRuns: 500 },
    );
  });
});
