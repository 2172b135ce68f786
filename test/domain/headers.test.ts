import { expect, test } from 'vitest';
import { fieldPairs, keepFields, withoutField } from '../../src/domain/headers.ts';

const fields = ['accept', 'a', 'x-one', 'accept', 'accept', 'b'];

test('a field is kept or left out with its value, and repeats keep their order', () => {
  expect(keepFields(fields, (name) => name === 'accept')).toEqual(['accept', 'a', 'accept', 'b']);
  expect(keepFields(fields, (_name, value) => value !== 'a')).toEqual(['x-one', 'accept', 'accept', 'b']);
});

test('a value that looks like the name of a left-out field stays', () => {
  expect(withoutField(fields, 'accept')).toEqual(['x-one', 'accept']);
});

test('pairs come in the order of the list', () => {
  expect([...fieldPairs(fields)]).toEqual([
    ['accept', 'a'],
    ['x-one', 'accept'],
    ['accept', 'b'],
  ]);
});
