import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createSealer } from '../../src/credentials/seal.ts';
import { Secret } from '../../src/domain/secret.ts';

const keyOf = (text: string) => ({ key: { origin: 'test', read: () => new Secret(text) } });
const KEY = keyOf('k'.repeat(43));

describe('sealing', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'seal-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('opens what it sealed, for any id and any text', () => {
    const sealer = createSealer(KEY);
    fc.assert(
      fc.property(fc.string(), fc.string({ unit: 'grapheme' }), (id, text) => {
        expect(sealer.open(id, sealer.seal(id, new Secret(text))).reveal()).toBe(Buffer.from(text).toString());
      }),
    );
  });

  it('seals the same text differently each time, without showing it', () => {
    const sealer = createSealer(KEY);
    const sealed = [1, 2].map(() => sealer.seal('cred_1', new Secret('plain-token')));
    expect(sealed[0]).not.toBe(sealed[1]);
    for (const text of sealed)
      expect(Buffer.from(text.slice(3), 'base64url').toString('latin1')).not.toContain('plain-token');
  });

  it('refuses a text that was sealed for another credential', () => {
    const sealer = createSealer(KEY);
    const sealed = sealer.seal('cred_1', new Secret('token'));
    expect(() => sealer.open('cred_2', sealed)).toThrow(expect.objectContaining({ code: 'credential_unavailable' }));
  });

  it('refuses a text sealed under another key', () => {
    const sealed = createSealer(keyOf('o'.repeat(43))).seal('cred_1', new Secret('token'));
    expect(() => createSealer(KEY).open('cred_1', sealed)).toThrow(
      expect.objectContaining({ code: 'credential_unavailable' }),
    );
  });

  it('refuses a text of which any byte was changed or cut off', () => {
    const sealer = createSealer(KEY);
    const body = Buffer.from(sealer.seal('cred_1', new Secret('token')).slice(3), 'base64url');
    fc.assert(
      fc.property(fc.nat(body.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const changed = Buffer.from(body);
        changed[at] = (changed[at] ?? 0) ^ flip;
        expect(() => sealer.open('cred_1', `v1.${changed.toString('base64url')}`)).toThrow(/cannot be opened/);
        expect(() => sealer.open('cred_1', `v1.${body.subarray(0, at).toString('base64url')}`)).toThrow(
          /cannot be opened|unknown format/,
        );
      }),
    );
  });

  it.each(['', 'v1', 'v1.', 'v2.AAAA', 'v1.AAAA.BBBB'])('refuses the format %j', (sealed) => {
    expect(() => createSealer(KEY).open('cred_1', sealed)).toThrow(
      expect.objectContaining({ code: 'credential_unavailable' }),
    );
  });

  it('makes a key file once, readable by its owner alone, and finds it again', () => {
    const keyFile = join(folder, 'data', 'credential.key');
    const sealed = createSealer({ keyFile }).seal('cred_1', new Secret('token'));
    expect(statSync(keyFile).mode & 0o777).toBe(0o600);
    const before = readFileSync(keyFile);
    expect(createSealer({ keyFile }).open('cred_1', sealed).reveal()).toBe('token');
    expect(readFileSync(keyFile)).toEqual(before);
  });

  it('refuses a key file that others can read', () => {
    const keyFile = join(folder, 'credential.key');
    createSealer({ keyFile });
    chmodSync(keyFile, 0o640);
    expect(() => createSealer({ keyFile })).toThrow(/0600/);
    expect(existsSync(keyFile)).toBe(true);
  });

  it('refuses a key that is too short', () => {
    expect(() => createSealer(keyOf('short'))).toThrow(expect.objectContaining({ code: 'credential_unavailable' }));
  });
});
