// X.509-SVIDs (SPIFFE standards, X509-SVID sections 2-5): the leaf's profile, and the path to its own trust domain's
// authorities. Trusts no authorities of another trust domain for it.

import type { EpochMs } from '../../domain/clock.ts';
import { parseSpiffeId, type SpiffeId } from '../spiffe-id.ts';
import { type Certificate, EXTENDED_KEY_USAGE, KEY_USAGE, parseCertificate } from './certificate.ts';
import { CertificateFault } from './certificate-fault.ts';
import { findPath, MAX_CHAIN } from './path.ts';

/** One generation of a trust domain's X.509 authorities: the same array as long as they are the same. */
export type Authorities = readonly Certificate[];

/** A chain that was read, of which nothing is proven yet. */
export interface UnverifiedX509Svid {
  readonly spiffeId: SpiffeId;
  readonly leaf: Certificate;
  /** DER, not read before somebody is trusted who could have issued the leaf: a stranger chooses what is in them. */
  readonly intermediates: readonly Uint8Array[];
}

/** Bytes of a whole chain. */
const MAX_CHAIN_BYTES = 24 * 1024;

/**
 * Reads the leaf of a chain, which comes first, and checks its profile. Verifies no signature and no time: `verifySvid`
 * does. Throws CertificateFault.
 *
 * @example
 * const svid = readSvidUnverified([leafDer, intermediateDer]);
 * const expiresAt = verifySvid(svid, authoritiesOf(svid.spiffeId.trustDomain), clock.now());
 */
export function readSvidUnverified(chain: readonly Uint8Array[]): UnverifiedX509Svid {
  if (chain.length > MAX_CHAIN) throw new CertificateFault('chain_length');
  if (chain.reduce((sum, { byteLength }) => sum + byteLength, 0) > MAX_CHAIN_BYTES) throw new CertificateFault('size');
  const [first, ...intermediates] = chain;
  if (first === undefined) throw new CertificateFault('der');
  const leaf = parseCertificate(first);
  return { spiffeId: checkLeaf(leaf), leaf, intermediates };
}

/**
 * Proves that the chain leads to one of these authorities now, and says when that ends. The caller chooses the
 * authorities: they must be those of the SVID's own trust domain. Throws CertificateFault.
 */
export function verifySvid(
  { leaf, intermediates }: UnverifiedX509Svid,
  authorities: Authorities,
  now: EpochMs,
): EpochMs {
  return findPath(leaf, intermediates.map(parseCertificate), authorities, now).expiresAt;
}

function checkLeaf({ uris, isAuthority, keyUsage = 0, keyUsageCritical, extendedKeyUsage }: Certificate): SpiffeId {
  const [uri, ...others] = uris;
  if (uri === undefined || others.length > 0) throw new CertificateFault('uri_count');
  const spiffeId = parseSpiffeId(uri);
  if (spiffeId === undefined) throw new CertificateFault('spiffe_id');
  if (isAuthority) throw new CertificateFault('leaf_authority');
  const signs = keyUsage & (KEY_USAGE.keyCertSign | KEY_USAGE.cRLSign);
  if (signs !== 0 || (keyUsage & KEY_USAGE.digitalSignature) === 0) throw new CertificateFault('leaf_key_usage');
  if (!keyUsageCritical) throw new CertificateFault('leaf_key_usage_critical');
  if (
    extendedKeyUsage !== undefined &&
    ![EXTENDED_KEY_USAGE.clientAuth, EXTENDED_KEY_USAGE.serverAuth].every((usage) => extendedKeyUsage.includes(usage))
  ) {
    throw new CertificateFault('leaf_extended_key_usage');
  }
  return spiffeId;
}
