// Seals what is needed to take a credential back while it waits on disk: AES-256-GCM under one key, bound to the
// credential's id. Trusts the key file's owner and permissions. Refuses key files that others can read, texts sealed
// for another credential, and texts that were changed.

import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import {
  closeSync,
  fstatSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { Secret, type SecretSource } from '../domain/secret.ts';
import { unavailable } from './broker-provider.ts';

const VERSION = 'v1';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const LEAST_KEY_CHARS = 32;

/** Seals and opens revocation handles. `sealed` is `v1.` and base64url of nonce, ciphertext and tag. */
export interface Sealer {
  seal(id: string, secret: Secret): string;
  /** Throws `credential_unavailable` when the text was sealed under another key or id, or was changed. */
  open(id: string, sealed: string): Secret;
  /** A sealer with a key of its own: without the salt nobody can open what it sealed. */
  under(salt: string): Sealer;
}

/**
 * A key of the operator's (at least 32 characters of good randomness), or a file that is generated on first use, with
 * mode 0600.
 */
export type SealerOptions = { readonly key: SecretSource } | { readonly keyFile: string };

/**
 * Reads the key once. Throws `credential_unavailable` for a key that is too short or a key file that others can read.
 *
 * @example
 * const sealer = createSealer({ keyFile: './data/seal.key' });
 * const handle = sealer.open('cred_1', sealer.seal('cred_1', new Secret('token')));
 */
export function createSealer(options: SealerOptions): Sealer {
  const text = 'key' in options ? options.key.read().reveal() : readOrCreate(options.keyFile);
  if (text.length < LEAST_KEY_CHARS)
    throw unavailable(`The key that seals credentials has fewer than ${LEAST_KEY_CHARS} characters.`);
  return sealerOver(text, '');
}

function sealerOver(text: string, salt: string): Sealer {
  const key = Buffer.from(hkdfSync('sha256', text, salt, 'countersign/credential-seal/v1', 32));

  return {
    under: (own) => sealerOver(text, own),
    seal(id, secret) {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(boundTo(id));
      const body = Buffer.concat([nonce, cipher.update(secret.reveal(), 'utf8'), cipher.final(), cipher.getAuthTag()]);
      return `${VERSION}.${body.toString('base64url')}`;
    },
    open(id, sealed) {
      const [version, encoded, ...rest] = sealed.split('.');
      const body = Buffer.from(encoded ?? '', 'base64url');
      // Only one spelling is accepted: ignored letters would make another text with the same meaning.
      const plain = body.toString('base64url') === encoded;
      if (version !== VERSION || rest.length > 0 || !plain || body.length < NONCE_BYTES + TAG_BYTES)
        throw unavailable('The sealed handle has an unknown format.');
      try {
        const decipher = createDecipheriv('aes-256-gcm', key, body.subarray(0, NONCE_BYTES), {
          authTagLength: TAG_BYTES,
        });
        decipher.setAAD(boundTo(id)).setAuthTag(body.subarray(-TAG_BYTES));
        return new Secret(
          Buffer.concat([decipher.update(body.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()]).toString('utf8'),
        );
      } catch {
        throw unavailable('The sealed handle cannot be opened: it was sealed under another key, or changed.');
      }
    },
  };
}

function boundTo(id: string): Buffer {
  return Buffer.from(`countersign/credential-seal/${VERSION}\n${id}`);
}

function readOrCreate(path: string): string {
  try {
    return readOwn(path);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== 'ENOENT') throw thrown;
  }
  create(path);
  return readOwn(path);
}

function readOwn(path: string): string {
  const file = openSync(path, 'r');
  try {
    if (process.platform !== 'win32' && (fstatSync(file).mode & 0o077) !== 0) {
      throw unavailable('The key file that seals credentials can be read by others; its mode must be 0600.');
    }
    return readFileSync(file, 'utf8').trim();
  } finally {
    closeSync(file);
  }
}

// The file is written whole beside its place and then linked into it. So two processes that start together end with one
// key, and no process reads half of it.
function create(path: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const draft = `${path}.${randomBytes(6).toString('hex')}`;
  const file = openSync(draft, 'wx', 0o600);
  try {
    writeSync(file, `${randomBytes(32).toString('base64url')}\n`);
    fsyncSync(file);
    linkSync(draft, path);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== 'EEXIST') throw thrown;
  } finally {
    closeSync(file);
    unlinkSync(draft);
  }
  syncFolder(dirname(path));
}

function syncFolder(path: string): void {
  const folder = openSync(path, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
