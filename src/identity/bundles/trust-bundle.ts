// The keys of one SPIFFE trust domain (SPIFFE Trust Domain and Bundle section 4), and where they come from.
// One bundle per trust domain, never merged with another. Refuses a bundle older than the one in force.

import { isJsonObject, type Json } from '../../domain/json.ts';
import { parseStrictJson } from '../../domain/strict-json.ts';
import { KeyFault } from '../keys/key-fault.ts';
import { type KeySet, readKeySet } from '../keys/key-set.ts';
import type { KeySource } from '../keys/key-source.ts';
import { type Refreshed, statusOf } from '../keys/refreshed.ts';
import { readJwksAuthorities } from '../x509/authorities.ts';
import type { Authorities } from '../x509/svid.ts';

export interface TrustBundle {
  /** The JWT authorities; an empty set trusts nothing. */
  readonly jwtKeys: KeySet;
  /** The X.509 authorities; an empty list trusts nothing. */
  readonly authorities: Authorities;
  /** `spiffe_sequence`, where the bundle has one. */
  readonly sequence?: number;
  /** `spiffe_refresh_hint`, where the bundle has one, ms. */
  readonly refreshHintMs?: number;
}

/**
 * A KeySource that is bound to one trust domain: `current()` and `renew()` give that domain's JWT authorities and
 * nobody else's.
 */
export interface TrustBundleSource extends KeySource {
  readonly trustDomain: string;
  /**
   * That domain's X.509 authorities: the same object as long as they are the same. Undefined as with `current()`;
   * `renew()` renews them, too.
   */
  authorities(): Authorities | undefined;
}

/** The source of a trust domain whose bundle is read again and again. */
export function bundleSource(trustDomain: string, bundle: Refreshed<TrustBundle>): TrustBundleSource {
  return {
    trustDomain,
    current: () => bundle.current()?.jwtKeys,
    authorities: () => bundle.current()?.authorities,
    renew: async () => (await bundle.renew())?.jwtKeys,
    heldBackMs: () => bundle.heldBackMs(),
    start: () => bundle.start(),
    close: () => bundle.close(),
    status() {
      const { jwtKeys, authorities } = bundle.current() ?? { jwtKeys: undefined, authorities: [] };
      return statusOf({ keys: jwtKeys?.keys.length ?? 0, authorities: authorities.length }, bundle);
    },
  };
}

/**
 * Reads a bundle in SPIFFE's JWKS form. Throws KeyFault (`not_a_jwks`, `too_many_keys`, `too_many_authorities`,
 * `bad_sequence`, `bad_refresh_hint`, `sequence_rollback`) or GatewayError (`bad_json`).
 */
export function readTrustBundle(bytes: Uint8Array, previous: TrustBundle | undefined): TrustBundle {
  return readBundleDocument(parseStrictJson(bytes), previous);
}

/** As `readTrustBundle`, for a document that was parsed strictly. */
export function readBundleDocument(document: Json, previous: TrustBundle | undefined): TrustBundle {
  const jwtKeys = readKeySet(document, 'jwt-svid', previous?.jwtKeys);
  const authorities = readJwksAuthorities(document);
  const sequence = readCount(document, 'spiffe_sequence', 'bad_sequence');
  const refreshHint = readCount(document, 'spiffe_refresh_hint', 'bad_refresh_hint');
  if (previous?.sequence !== undefined && (sequence ?? 0) < previous.sequence) throw new KeyFault('sequence_rollback');
  return {
    jwtKeys,
    authorities,
    ...(sequence !== undefined && { sequence }),
    ...(refreshHint !== undefined && { refreshHintMs: refreshHint * 1000 }),
  };
}

function readCount(document: Json, name: string, fault: string): number | undefined {
  const value = isJsonObject(document) ? document[name] : undefined;
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw new KeyFault(fault);
  return value;
}
