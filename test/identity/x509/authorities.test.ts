// The authorities of a bundle, as a run of DER.

import 'reflect-metadata';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readDerAuthorities, splitDer } from '../../../src/identity/x509/authorities.ts';
import { other, root } from './verdict.ts';

describe('authorities of a bundle', () => {
  it('come as a run of DER; what is no fit authority is left out', async () => {
    const leaf = await root.issue();
    const run = Buffer.concat([root.der, leaf.der, other.der]);
    expect(readDerAuthorities(run).map(({ x509: { subject } }) => subject)).toEqual([
      'CN=prod.test root',
      'CN=stage.test root',
    ]);
    expect(readDerAuthorities(new Uint8Array())).toEqual([]);
    for (const bytes of [
      run.subarray(0, -1),
      Buffer.concat([run, Buffer.from([0x30])]),
      Buffer.from('nonsense'),
      Buffer.from([0x30, 0x80]),
      Buffer.from([0x31, 0x00]),
    ]) {
      expect(() => readDerAuthorities(bytes)).toThrow('not_der');
    }
  });

  it('are split without loss, and never read beyond their end', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        let parts: Uint8Array[];
        try {
          parts = splitDer(bytes);
        } catch {
          return;
        }
        expect(Buffer.concat(parts)).toEqual(Buffer.from(bytes));
      }),
    );
  });
});
