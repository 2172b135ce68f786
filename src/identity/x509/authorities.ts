// A trust domain's X.509 authorities, as bundles carry them. One that does not follow the rules is left out and does
// not spoil the others.

import { isJsonObject, type Json } from '../../domain/json.ts';
import { KeyFault } from '../keys/key-fault.ts';
import { type Certificate, KEY_USAGE, parseCertificate } from './certificate.ts';
import { CertificateFault } from './certificate-fault.ts';
import type { Authorities } from './svid.ts';

/**
 * SPIRE keeps an authority for a day after it has ended, so one that makes a new one every ten minutes has about 150.
 */
const MAX_AUTHORITIES = 256;

/**
 * From a SPIFFE bundle in JWKS form: entries with `use: x509-svid`, each with exactly one certificate (SPIFFE Trust
 * Domain and Bundle section 4.2.2).
 */
export function readJwksAuthorities(document: Json): Authorities {
  const entries = isJsonObject(document) && Array.isArray(document.keys) ? document.keys : [];
  const encoded = entries.flatMap((entry: Json) => {
    if (!isJsonObject(entry) || entry.use !== 'x509-svid' || !Array.isArray(entry.x5c) || entry.x5c.length !== 1)
      return [];
    const [certificate] = entry.x5c;
    return typeof certificate === 'string' ? [Buffer.from(certificate, 'base64')] : [];
  });
  return readAuthorities(encoded);
}

/** From concatenated DER certificates, as the Workload API gives them. Throws KeyFault `not_der`. */
export function readDerAuthorities(der: Uint8Array): Authorities {
  return readAuthorities(splitDer(der));
}

function readAuthorities(encoded: readonly Uint8Array[]): Authorities {
  if (encoded.length > MAX_AUTHORITIES) throw new KeyFault('too_many_authorities');
  return encoded.map(readAuthority).filter((authority) => authority !== undefined);
}

function readAuthority(der: Uint8Array): Certificate | undefined {
  try {
    const certificate = parseCertificate(der);
    return certificate.isAuthority && ((certificate.keyUsage ?? 0) & KEY_USAGE.keyCertSign) !== 0
      ? certificate
      : undefined;
  } catch (thrown) {
    if (thrown instanceof CertificateFault) return undefined;
    throw thrown;
  }
}

/**
 * The certificates of a run of DER: each is a SEQUENCE that says its own length (X.690 section 8.1.3). Throws KeyFault
 * `not_der`.
 */
export function splitDer(der: Uint8Array): Uint8Array[] {
  const certificates: Uint8Array[] = [];
  for (let at = 0; at < der.length; ) {
    const end = at + lengthOfSequence(der.subarray(at));
    if (end > der.length) throw new KeyFault('not_der');
    certificates.push(der.subarray(at, end));
    at = end;
  }
  return certificates;
}

const SEQUENCE = 0x30;

/** Header and content. Certificates need lengths of one to three further bytes. */
function lengthOfSequence(der: Uint8Array): number {
  const [tag, first] = der;
  if (tag !== SEQUENCE || first === undefined) throw new KeyFault('not_der');
  if (first < 0x80) return 2 + first;
  const count = first & 0x7f;
  const bytes = der.subarray(2, 2 + count);
  if (count === 0 || count > 3 || bytes.length < count) throw new KeyFault('not_der');
  return 2 + count + bytes.reduce((length, byte) => length * 256 + byte, 0);
}
