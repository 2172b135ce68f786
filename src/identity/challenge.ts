// The WWW-Authenticate field of a refusal (RFC 6750 section 3; RFC 9449 section 7.1; RFC 9470 section 3 for step-up).
// Says nothing that the problem document does not say.

import type { GatewayError } from '../errors.ts';
import { DEFAULT_ALGORITHMS } from './keys/algorithms.ts';

export interface ChallengeOptions {
  /** Names the protection space. Printable ASCII without quotes. */
  readonly realm: string;
  /** For `step_up_required`: how fresh the sign-in must be, seconds. Default 300. */
  readonly maxAgeSeconds?: number;
  /** RFC 9728 section 5.1: where the protected resource's metadata lie. */
  readonly resourceMetadata?: string;
}

const PROOF_ALGORITHMS = DEFAULT_ALGORITHMS.join(' ');

/**
 * The field's value. Without an error attribute when no credential was sent: such a caller is told the scheme and
 * nothing else (RFC 6750 section 3.1).
 */
export function challenge(error: GatewayError, options: ChallengeOptions): string {
  const parameters = [`realm="${quotable(options.realm)}"`];
  const name = errorName(error);
  if (name !== undefined) parameters.push(`error="${name}"`, `error_description="${quotable(error.detail)}"`);
  if (name === 'insufficient_user_authentication') parameters.push(`max_age=${options.maxAgeSeconds ?? 300}`);
  if (options.resourceMetadata !== undefined)
    parameters.push(`resource_metadata="${quotable(options.resourceMetadata)}"`);
  return error.code.startsWith('proof_')
    ? `DPoP ${parameters.join(', ')}, algs="${PROOF_ALGORITHMS}"`
    : `Bearer ${parameters.join(', ')}`;
}

function errorName(error: GatewayError): string | undefined {
  // A reviewer's refusal carries the code of what was wrong with the credential.
  const code = error.code === 'reviewer_unauthenticated' ? error.details.members?.reason : error.code;
  if (code === 'unauthenticated') return undefined;
  if (code === 'step_up_required') return 'insufficient_user_authentication';
  if (code === 'bad_header') return 'invalid_request';
  if (code === 'proof_invalid') return 'invalid_dpop_proof';
  if (code === 'proof_nonce_required') return 'use_dpop_nonce';
  return error.status === 401 ? 'invalid_token' : undefined;
}

/** RFC 6750 section 3 allows printable ASCII without quote and backslash. */
function quotable(text: string): string {
  return text.replaceAll('’', "'").replaceAll(/[^\x20-\x21\x23-\x5b\x5d-\x7e]/g, '?');
}
