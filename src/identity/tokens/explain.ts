// What the verifier checks, in order, and how far a token came: for people who want to know why their token is refused.
// Says nothing about what comes after the first refusal, because nothing was looked at there.

import type { GatewayError } from '../../errors.ts';
import { failedCheck } from '../refusal.ts';

interface Step {
  readonly title: string;
  /** Codes, or `code/check` where one code is used by several steps. The more exact one counts. */
  readonly refusals: readonly string[];
}

const STEPS: readonly Step[] = [
  { title: 'it is one token in canonical form', refusals: ['token_malformed', 'unauthenticated', 'bad_header'] },
  { title: 'its issuer or trust domain is trusted here', refusals: ['token_untrusted', 'token_claims/spiffe_id'] },
  { title: 'its algorithm is accepted', refusals: ['token_algorithm'] },
  { title: 'its issuer’s keys are at hand', refusals: ['issuer_unavailable'] },
  { title: 'its key is one of them', refusals: ['token_key_unknown'] },
  { title: 'its signature holds', refusals: ['token_signature'] },
  {
    title: 'it is an access token of the expected profile',
    refusals: ['token_claims/typ', 'token_claims/sub', 'token_claims/client_id', 'token_claims/jti'],
  },
  { title: 'it is addressed to this gateway', refusals: ['token_audience', 'token_claims/aud'] },
  {
    title: 'it is in force now',
    refusals: ['token_expired', 'token_not_yet_valid', 'token_claims/exp', 'token_claims/nbf', 'token_claims/iat'],
  },
  { title: 'it does not live too long', refusals: ['token_lifetime'] },
  { title: 'it names a caller, and for whom it calls', refusals: ['token_claims'] },
  {
    title: 'its issuer confirms it, where it is asked',
    refusals: ['token_inactive', 'issuer_unavailable/introspection', 'issuer_unavailable/token_review'],
  },
  {
    title: 'the key that it is bound to is proven',
    refusals: ['proof_required', 'proof_invalid', 'proof_nonce_required', 'token_claims/cnf'],
  },
];

export interface ExplainedStep {
  readonly title: string;
  readonly outcome: 'holds' | 'fails' | 'not reached';
}

/**
 * Every step with its outcome; all hold when there was no refusal. A refusal that no step knows leaves all of them
 * unreached.
 */
export function explainSteps(refused: GatewayError | undefined): readonly ExplainedStep[] {
  const failed = refused === undefined ? STEPS.length : stepOf(refused);
  return STEPS.map(({ title }, index) => ({
    title,
    outcome: index < failed ? 'holds' : index === failed ? 'fails' : 'not reached',
  }));
}

function stepOf(refused: GatewayError): number {
  const exact = `${refused.code}/${failedCheck(refused)}`;
  const at = STEPS.findIndex(({ refusals }) => refusals.includes(exact));
  return at === -1 ? STEPS.findIndex(({ refusals }) => refusals.includes(refused.code)) : at;
}
