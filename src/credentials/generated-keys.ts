// Keys of the gateway as an issuer that it makes and rotates itself (ES256), kept sealed in one file. A new key is
// published for one overlap before it signs, and an old key stays published for one overlap after it has stopped. So no
// verifier's cache meets an unknown key. Trusts the sealer and the file's folder. One gateway per file: several
// instances need keys that the operator gives them.

import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Clock, EpochMs } from '../domain/clock.ts';
import { readRegularFileSync } from '../domain/regular-file.ts';
import { Secret } from '../domain/secret.ts';
import { unavailable } from './broker-provider.ts';
import type { KeyRing } from './gateway-issuer.ts';
import type { Sealer } from './seal.ts';
import { importSigningKey, type SigningKey } from './signing-key.ts';

export interface GeneratedKeysOptions {
  readonly path: string;
  readonly seal: Sealer;
  readonly clock: Clock;
  /** How old the newest key becomes before the next one is made, ms. */
  readonly rotateEveryMs: number;
  /** How long a key is published before it signs, and after it has stopped, ms. Longer than verifiers cache keys. */
  readonly overlapMs: number;
}

interface StoredKey {
  readonly id: string;
  readonly createdAt: EpochMs;
  readonly sealed: string;
}

/** Throws TypeError when keys would be replaced faster than they overlap. */
export function createGeneratedKeyRing({ path, seal, clock, rotateEveryMs, overlapMs }: GeneratedKeysOptions): KeyRing {
  if (rotateEveryMs < 2 * overlapMs) throw new TypeError('keys must live at least twice their overlap');
  let entries: readonly StoredKey[] | undefined;
  const imported = new Map<string, Promise<SigningKey>>();

  /** Oldest first; brought up to date with the clock, on disk before anybody sees it. */
  function current(): readonly StoredKey[] {
    const known = entries ?? read(path);
    const now = clock.now();
    const newest = known.at(-1);
    const due = newest === undefined || now >= newest.createdAt + rotateEveryMs;
    const made = due ? [...known, make(seal, now)] : known;
    const kept = made.filter((_, index) => !isOver(made[index + 1], now));
    if (kept.length !== known.length || due) write(path, kept);
    entries = kept;
    return kept;
  }

  const isOver = (successor: StoredKey | undefined, now: EpochMs): boolean =>
    successor !== undefined && now >= successor.createdAt + 2 * overlapMs;

  function keyOf({ id, sealed }: StoredKey): Promise<SigningKey> {
    const known = imported.get(id) ?? importSigningKey(seal.open(boundTo(id), sealed).reveal());
    imported.set(id, known);
    return known;
  }

  return {
    async signing() {
      const keys = current();
      const signs = keys.findLast(({ createdAt }) => clock.now() >= createdAt + overlapMs) ?? keys[0];
      if (signs === undefined) throw unavailable('The gateway has no signing key.');
      return keyOf(signs);
    },
    published: async () => Promise.all(current().map(keyOf)),
  };
}

function make(seal: Sealer, now: EpochMs): StoredKey {
  const id = randomUUID();
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  return { id, createdAt: now, sealed: seal.seal(boundTo(id), new Secret(pem)) };
}

const boundTo = (id: string): string => `signing-key ${id}`;

function read(path: string): readonly StoredKey[] {
  let text: string;
  try {
    text = readRegularFileSync(path, 1024 * 1024).toString('utf8');
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw unavailable('The file of the gateway’s signing keys cannot be read.');
  }
  try {
    const { keys } = JSON.parse(text) as { keys: readonly StoredKey[] };
    if (
      keys.every(
        ({ id, createdAt, sealed }) =>
          typeof id === 'string' && typeof createdAt === 'number' && typeof sealed === 'string',
      )
    )
      return keys;
  } catch {
    // A damaged file is not replaced silently, because verifiers still trust its keys.
  }
  throw unavailable('The file of the gateway’s signing keys is damaged; remove it to have new keys made.');
}

function write(path: string, keys: readonly StoredKey[]): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const draft = `${path}.${process.pid}`;
  const file = openSync(draft, 'w', 0o600);
  try {
    writeSync(file, `${JSON.stringify({ keys }, null, 2)}\n`);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(draft, path);
}
