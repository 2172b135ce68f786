import { expect, test } from 'vitest';
import { defined } from '../../src/domain/defined.ts';

test('members that are undefined are absent, and every other value stays', () => {
  const kept = defined({ a: undefined, b: 0, c: '', d: null, e: false });
  expect(kept).toStrictEqual({ b: 0, c: '', d: null, e: false });
  expect(Object.keys(kept)).not.toContain('a');
});
