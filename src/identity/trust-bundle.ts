// The keys of one SPIFFE trust domain (SPIFFE Trust Domain and Bundle section 4), and where they come from.
// One bundle per trust domain, never merged with another. Refuses a bundle older than the one in force.
// Further sources (Workload API, bundle endpoint) are further implementations of TrustBundleSource.

import { isJsonObject, type JsonObject } from '../domain/json.ts';
import { parseStrictJson } from '../domain/strict-json.ts';
import { KeyFault } from './key-fault.ts';
import { type KeySet, readKeySet } from './key-set.ts';
import type { KeySource } from './key-source.ts';

export interface TrustBundle {
  /** The JWT authorities; an empty set trusts nothing. */
  readonly jwtKeys: KeySet;
  /** `spiffe_sequence`, where the bundle has one. */
  readonly sequence?: number;
}

/** A KeySource that is bound to one trust domain: `current()` and `renew()` give that domain's JWT authorities and nobody else's. */
export interface TrustBundleSource extends KeySource {
  readonly trustDomain: string;
}

/** Reads a bundle in SPIFFE's JWKS form. Throws KeyFault (`not_a_jwks`, `too_many_keys`, `bad_sequence`, `sequence_rollback`) or GatewayError (`bad_json`). */
export function readTrustBundle(bytes: Uint8Array, previous: TrustBundle | undefined): TrustBundle {
  const document = parseStrictJson(bytes);
  const jwtKeys = readKeySet(document, 'jwt-svid');
  const sequence = isJsonObject(document) ? readSequence(document) : undefined;
  if (previous?.sequence !== undefined && (sequence ?? 0) < previous.sequence) throw new KeyFault('sequence_rollback');
  return { jwtKeys, ...(sequence !== undefined && { sequence }) };
}

function readSequence(document: JsonObject): number | undefined {
  const sequence = document.spiffe_sequence;
  if (sequence === undefined) return undefined;
  if (typeof sequence !== 'number' || !Number.isSafeInteger(sequence) || sequence < 0) throw new KeyFault('bad_sequence');
  return sequence;
}
