// What is wrong with a certificate or with its path, as a constant name. Stays inside identity/: callers see a refusal,
// operators its check.

import type { ErrorCode, GatewayError } from '../../errors.ts';
import { refusal } from '../refusal.ts';

const FAULTS = {
  der: ['certificate_malformed', 'The certificate is not one DER certificate.'],
  size: ['certificate_malformed', 'The certificate is too large.'],
  chain_length: ['certificate_malformed', 'The chain has too many certificates.'],
  version: ['certificate_malformed', 'The certificate is not of version 3.'],
  extension_repeated: ['certificate_malformed', 'The certificate has an extension twice.'],
  extensions: ['certificate_malformed', 'The certificate has more than 32 extensions.'],
  extension_critical: [
    'certificate_malformed',
    'The certificate has a critical extension that is not understood here.',
  ],
  name_constraints: ['certificate_malformed', 'The certificate has name constraints, which are not accepted here.'],
  signature_algorithm: ['certificate_malformed', 'The certificate is signed with an algorithm that is not accepted.'],
  key: ['certificate_malformed', 'The certificate’s key is of a kind or size that is not accepted.'],

  uri_count: ['certificate_profile', 'An X.509-SVID has exactly one URI name.'],
  spiffe_id: ['certificate_profile', 'The certificate’s URI name is not a well-formed SPIFFE ID of a workload.'],
  leaf_authority: ['certificate_profile', 'The certificate of a workload must not be an authority (cA).'],
  leaf_key_usage: [
    'certificate_profile',
    'The certificate of a workload has the key usage digitalSignature, and neither keyCertSign nor cRLSign.',
  ],
  leaf_key_usage_critical: ['certificate_profile', 'The certificate’s key usage is not marked critical.'],
  leaf_extended_key_usage: [
    'certificate_profile',
    'The certificate’s extended key usage lacks clientAuth or serverAuth.',
  ],

  trust_domain: ['certificate_untrusted', 'The certificate’s trust domain is not one of those trusted here.'],
  authority_unknown: ['certificate_untrusted', 'The certificate leads to no authority of its trust domain.'],
  signature: ['certificate_untrusted', 'A signature in the certificate’s chain does not hold.'],
  not_authority: ['certificate_untrusted', 'The chain leads over a certificate that is not an authority.'],
  authority_key_usage: ['certificate_untrusted', 'The chain leads over an authority that may not sign certificates.'],
  authority_extended_key_usage: [
    'certificate_untrusted',
    'The chain leads over an authority that is not meant for client certificates.',
  ],
  path_length: ['certificate_untrusted', 'The chain is longer than one of its authorities allows.'],
  authority_expired: ['certificate_untrusted', 'The chain leads over an authority that is not valid now.'],
  work: ['certificate_untrusted', 'The chain takes too much work to check.'],

  expired: ['certificate_expired', 'The certificate has expired.'],
  not_yet_valid: ['certificate_not_yet_valid', 'The certificate is not valid yet.'],
} as const satisfies Record<string, readonly [ErrorCode, string]>;

export type CertificateCheck = keyof typeof FAULTS;

export class CertificateFault extends Error {
  override readonly name = 'CertificateFault';
  readonly check: CertificateCheck;

  constructor(check: CertificateCheck) {
    super(check);
    this.check = check;
  }
}

/**
 * The refusal that a caller gets: `certificate_malformed`, `_profile`, `_untrusted`, `_expired` or `_not_yet_valid`,
 * with the check's name.
 */
export function certificateRefusal({ check }: CertificateFault): GatewayError {
  const [code, detail] = FAULTS[check];
  return refusal(code, check, detail);
}
