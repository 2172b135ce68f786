import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../src/domain/json.ts';
import { decodeField } from '../../src/domain/mcp-field.ts';
import { checkParameterFields } from '../../src/mcp/parameter-fields.ts';

const encode = (text: string): string => `=?base64?${Buffer.from(text).toString('base64')}?=`;
const definition = {
  name: 'sql',
  inputSchema: {
    type: 'object',
    properties: {
      region: { type: 'string', 'x-mcp-header': 'Region' },
      dry: { type: 'boolean', 'x-mcp-header': 'Dry' },
      size: { type: 'integer', 'x-mcp-header': 'Size' },
      where: { type: 'object', properties: { zone: { type: 'string', 'x-mcp-header': 'Zone' } } },
      list: { type: 'array', items: { type: 'string', 'x-mcp-header': 'Item' } },
      query: { type: 'string' },
    },
  },
} satisfies JsonObject;

const check = (headers: readonly string[], args: JsonObject, complete = true, tool: JsonObject = definition) =>
  checkParameterFields(headers, args, tool, complete);

describe('Mcp-Param fields', () => {
  it.each<[string, string[], JsonObject]>([
    ['a plain text', ['mcp-param-region', 'us-west1'], { region: 'us-west1' }],
    ['a text in base64', ['mcp-param-region', encode('Hello, 世界')], { region: 'Hello, 世界' }],
    ['a text that looks encoded', ['mcp-param-region', encode('=?base64?literal?=')], { region: '=?base64?literal?=' }],
    ['an empty text', ['mcp-param-region', encode('')], { region: '' }],
    ['numbers and booleans', ['mcp-param-size', '42.0', 'mcp-param-dry', 'false'], { size: 42, dry: false }],
    ['a nested argument', ['mcp-param-zone', 'b'], { where: { zone: 'b' } }],
    ['nothing for what is absent or null', [], { region: null }],
  ])('may say %s', (_what, headers, args) => {
    expect(() => check(headers, args)).not.toThrow();
  });

  it.each<[string, string[], JsonObject]>([
    ['another value than the body', ['mcp-param-region', 'eu'], { region: 'us' }],
    ['the value of another argument', ['mcp-param-region', 'eu'], { region: 'us', query: 'eu' }],
    ['a value that the body has not', ['mcp-param-region', 'eu'], {}],
    ['a value where the body has null', ['mcp-param-region', 'null'], { region: null }],
    ['a text in another case', ['mcp-param-region', 'US'], { region: 'us' }],
    ['a number in hexadecimal', ['mcp-param-size', '0x2a'], { size: 42 }],
    ['a boolean in capitals', ['mcp-param-dry', 'FALSE'], { dry: false }],
    ['base64 in another form', ['mcp-param-region', '=?base64?dXM?='], { region: 'us' }],
    ['bytes that are no UTF-8', ['mcp-param-region', '=?base64?/w==?='], { region: '\ufffd' }],
    ['characters that have to be encoded', ['mcp-param-region', 'café'], { region: 'café' }],
    ['a marker in another case', ['mcp-param-region', '=?BASE64?dXM=?='], { region: 'us' }],
    ['what no schema marks', ['mcp-param-query', 'x'], { query: 'x' }],
    ['what is marked where it must not be', ['mcp-param-item', 'x'], { list: ['x'] }],
    ['nothing, though the argument is there', [], { region: 'us' }],
  ])('must not say %s', (_what, headers, args) => {
    expect(() => check(headers, args)).toThrow('header_mismatch');
  });

  it('are refused where nobody has listed the tool, or where two arguments claim the same field', () => {
    expect(() => checkParameterFields(['mcp-param-region', 'us'], { region: 'us' }, undefined, true)).toThrow(
      'List the tools',
    );
    const twice = {
      inputSchema: {
        properties: { a: { type: 'string', 'x-mcp-header': 'Same' }, b: { type: 'string', 'x-mcp-header': 'same' } },
      },
    };
    expect(() => check(['mcp-param-same', 'x'], { a: 'x', b: 'x' }, true, twice)).toThrow('header_mismatch');
  });

  it('are not demanded of clients before 2026-07-28', () => {
    expect(() => check([], { region: 'us' }, false)).not.toThrow();
    expect(() => check(['mcp-param-region', 'eu'], { region: 'us' }, false)).toThrow('header_mismatch');
  });

  it('say every text in exactly one way', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        expect(decodeField(encode(text))).toBe(text);
        const plain = decodeField(text);
        if (plain !== undefined && plain !== text) expect(encode(plain)).toBe(text);
      }),
    );
  });
});
