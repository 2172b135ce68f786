// Pins the kind "a parameter under another spelling of its name", and with it the names by which frameworks take
// another method.

import { describe, expect, it } from 'vitest';
import {
  overridesMethodByField,
  overridesMethodByKey,
  overridesMethodByParameter,
} from '../../../src/domain/normal-forms/methods.ts';
import { parameterName, parametersOf } from '../../../src/domain/normal-forms/parameters.ts';

describe('a parameter’s name', () => {
  it.each([
    ['_method', '_method'],
    ['  _method', '_method'],
    [' .method', '_method'],
    ['[method', '_method'],
    ['_method[]', '_method'],
    ['_method[0][x', '_method'],
    ['_method\0x', '_method'],
    ['_METHOD', '_method'],
    ['＿ｍethod', '_method'],
    ['a.b c', 'a_b_c'],
    ['a]', 'a]'],
  ])('%j is %j', (name, form) => expect(parameterName(name)).toBe(form));

  it('is found between either separator, with and without a value', () => {
    expect([...parametersOf('a=1;b&+c=%41%zz&&d=e=f')]).toEqual([
      { name: 'a', value: '1' },
      { name: 'b', value: '' },
      { name: ' c', value: 'A%zz' },
      { name: 'd', value: 'e=f' },
    ]);
  });
});

describe('what overrides the method', () => {
  it.each([
    '_method',
    '_Method',
    '.method',
    ' _method',
    '_method[]',
    '_HttpMethod',
    '_http_method',
    '$method',
    '$httpMethod',
    'X-HTTP-Method-Override',
  ])('as a parameter: %s', (name) => expect(overridesMethodByParameter(name)).toBe(true));
  it.each(['x-http-method', 'x_method_override', 'http-method-override', '_verb', '__method'])(
    'as a parameter, too: %s',
    (name) => expect(overridesMethodByParameter(name)).toBe(true),
  );
  it.each(['method', 'methods', '_methodology', 'payment_method', 'a_method', 'shipping[_method]', '_methods'])(
    'is not the parameter %s',
    (name) => expect(overridesMethodByParameter(name)).toBe(false),
  );
  it.each(['_method', '_METHOD', '_me\u200bthod', '_method\0'])('as a member of JSON: %j', (key) =>
    expect(overridesMethodByKey(key)).toBe(true),
  );
  it.each([
    'x-http-method',
    'x-http-method-override',
    'x-method-override',
    'x-original-method',
    'x-method',
    'x-override-method',
    'http-method-override',
    'x-http-verb',
    'x-tunneled-method',
    'x-real-method',
  ])('as a field: %s', (name) => expect(overridesMethodByField(name)).toBe(true));
  it.each(['method', 'mcp-method', 'access-control-request-method', 'x-payment-method', 'x-methods'])(
    'is not the field %s',
    (name) => expect(overridesMethodByField(name)).toBe(false),
  );
});
