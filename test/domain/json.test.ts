import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { deepFreeze, isJsonObject, type Json } from '../../src/domain/json.ts';

const isFrozen = (value: unknown): boolean =>
  typeof value !== 'object' || value === null || (Object.isFrozen(value) && Object.values(value).every(isFrozen));

describe('JSON values', () => {
  it('are frozen through and through, and otherwise left as they are', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const copy = structuredClone(value) as Json;
        expect(isFrozen(deepFreeze(copy))).toBe(true);
        expect(copy).toEqual(value);
      }),
    );
  });

  it.each([null, [], 'a', 1, true, undefined])('that are no objects are told from objects: %s', (value) => {
    expect(isJsonObject(value)).toBe(false);
  });
});
