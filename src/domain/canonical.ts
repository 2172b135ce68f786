// Digests over structured values: SHA-256 over a domain label and the RFC 8785 (JCS) form of the value. The label ends
// with a line feed, which cannot occur in a label, so no value of one kind can collide with another kind's.

import { hash } from 'node:crypto';
import canonicalize from 'canonicalize';
import type { Digest } from './action.ts';

/** For example `countersign/action/v1`. */
export type DigestLabel = `countersign/${string}/v${number}`;

/** SHA-256 of bytes or of the UTF-8 form of a text, in lower-case hex. */
export function sha256(data: Uint8Array | string): Digest {
  return hash('sha256', data, 'hex');
}

/**
 * The JCS form. Throws TypeError for values without one: undefined at the top, lone surrogates, NaN and the infinities.
 */
export function canonicalText(value: unknown): string {
  const text = canonicalize(value);
  if (text === undefined) throw new TypeError('the value has no canonical JSON form');
  return text;
}

/** Throws as canonicalText. */
export function canonicalDigest(label: DigestLabel, value: unknown): Digest {
  return digestText(label, canonicalText(value));
}

/** For a text that is in JCS form already. */
export function digestText(label: DigestLabel, text: string): Digest {
  return sha256(`${label}\n${text}`);
}
