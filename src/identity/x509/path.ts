// Finds the path from a certificate to an authority of its trust domain (RFC 5280 section 6.1, for what SPIFFE uses of
// it). Trusts the authorities handed in and nothing else: what the peer sent beside its leaf is only a hint at how to
// get there. Refuses paths that are too long, break a constraint, or take too much work; an attacker chooses every
// certificate but the last.

import type { EpochMs } from '../../domain/clock.ts';
import { type Certificate, EXTENDED_KEY_USAGE, KEY_USAGE } from './certificate.ts';
import { type CertificateCheck, CertificateFault } from './certificate-fault.ts';

/** Between leaf and root. */
const MAX_INTERMEDIATES = 5;
/** Signatures checked for one leaf. */
const MAX_SIGNATURES = 24;

/** An honest chain needs no more: the leaf, its intermediates, and a root that need not be there. */
export const MAX_CHAIN = MAX_INTERMEDIATES + 2;

export interface Path {
  /** The first moment at which one of its certificates is no longer valid. */
  readonly expiresAt: EpochMs;
}

/**
 * Throws CertificateFault: `expired`, `not_yet_valid` (the leaf), `authority_unknown`, and, where a certificate of the
 * right name did not do, `not_authority`, `authority_key_usage`, `authority_extended_key_usage`, `path_length`,
 * `authority_expired`, `signature`, `work`.
 */
export function findPath(
  leaf: Certificate,
  intermediates: readonly Certificate[],
  authorities: readonly Certificate[],
  now: EpochMs,
): Path {
  checkValidity(leaf, now);
  let fault: CertificateCheck | undefined;
  let signatures = 0;

  /**
   * `below`: how many authorities that are not self-issued stand between the leaf and the next issuer; `used`: how many
   * in all.
   */
  function climb(
    subject: Certificate,
    unused: readonly Certificate[],
    below: number,
    used: number,
    expiresAt: EpochMs,
  ): Path | undefined {
    for (const authority of authorities) {
      if (vouches(authority, subject, below)) return { expiresAt: Math.min(expiresAt, authority.notAfter) };
    }
    if (used === MAX_INTERMEDIATES) return undefined;
    for (const issuer of unused) {
      if (!vouches(issuer, subject, below)) continue;
      const rest = unused.filter((other) => other !== issuer);
      const path = climb(
        issuer,
        rest,
        isSelfIssued(issuer) ? below : below + 1,
        used + 1,
        Math.min(expiresAt, issuer.notAfter),
      );
      if (path !== undefined) return path;
    }
    return undefined;
  }

  function vouches(issuer: Certificate, subject: Certificate, below: number): boolean {
    if (issuer.x509.subject !== subject.x509.issuer) return false;
    const refused = findFault(issuer, subject, below);
    fault ??= refused;
    return refused === undefined;
  }

  function findFault(issuer: Certificate, subject: Certificate, below: number): CertificateCheck | undefined {
    const constraint = findConstraint(issuer, below, now);
    if (constraint !== undefined) return constraint;
    // Compares the key identifiers too, where both are there, and the names by the standard's own rules.
    if (!subject.x509.checkIssued(issuer.x509)) return 'authority_unknown';
    signatures += 1;
    if (signatures > MAX_SIGNATURES) throw new CertificateFault('work');
    return subject.x509.verify(issuer.x509.publicKey) ? undefined : 'signature';
  }

  const path = climb(leaf, intermediates, 0, 0, leaf.notAfter);
  if (path === undefined) throw new CertificateFault(fault ?? 'authority_unknown');
  return path;
}

/** What keeps a certificate from being the issuer of another with so many authorities below it. */
function findConstraint(issuer: Certificate, below: number, now: EpochMs): CertificateCheck | undefined {
  if (!issuer.isAuthority) return 'not_authority';
  if (((issuer.keyUsage ?? 0) & KEY_USAGE.keyCertSign) === 0) return 'authority_key_usage';
  const { extendedKeyUsage } = issuer;
  if (
    extendedKeyUsage !== undefined &&
    !extendedKeyUsage.includes(EXTENDED_KEY_USAGE.clientAuth) &&
    !extendedKeyUsage.includes(EXTENDED_KEY_USAGE.any)
  ) {
    return 'authority_extended_key_usage';
  }
  if (issuer.pathLength !== undefined && below > issuer.pathLength) return 'path_length';
  if (now < issuer.notBefore || now >= issuer.notAfter) return 'authority_expired';
  return undefined;
}

function checkValidity({ notBefore, notAfter }: Certificate, now: EpochMs): void {
  if (now >= notAfter) throw new CertificateFault('expired');
  if (now < notBefore) throw new CertificateFault('not_yet_valid');
}

/** RFC 5280 section 6.1: a certificate whose issuer has its own name does not count towards a path's length. */
function isSelfIssued({ x509 }: Certificate): boolean {
  return x509.subject === x509.issuer;
}
