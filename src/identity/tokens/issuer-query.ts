// Asks an issuer about single tokens, a few at a time: a flood of invented tokens must not become a flood at the
// issuer. When the issuer cannot be asked, or its answer is bad, the token is refused.

import type { Json } from '../../domain/json.ts';
import type { Logger } from '../../domain/log.ts';
import { GatewayError } from '../../errors.ts';
import { type IssuerQuestion, postJson } from '../keys/issuer-http.ts';
import { faultReason, KeyFault } from '../keys/key-fault.ts';

const MAX_AT_ONCE = 16;
const TIMEOUT_MS = 5_000;
const RETRY_AFTER_SECONDS = 5;

/** How long an answer may be used, ms: a token that is revoked must stop working within seconds. */
export const ANSWER_TTL_MS = 10_000;

export interface IssuerQueryOptions {
  /** The issuer entry's name, for the log. */
  readonly name: string;
  /** What refusals call it: `introspection`, `token_review`. */
  readonly check: string;
  readonly address: string;
}

/** Asks. Throws `issuer_unavailable` when there is no usable answer. */
export type QueryIssuer = (question: Omit<IssuerQuestion, 'timeoutMs'>) => Promise<Json>;

export function createIssuerQuery({ name, check, address }: IssuerQueryOptions, log: Logger): QueryIssuer {
  let asked = 0;
  return async (question) => {
    try {
      if (asked >= MAX_AT_ONCE) throw new KeyFault('too_many_at_once');
      asked += 1;
      try {
        return await postJson(address, { ...question, timeoutMs: TIMEOUT_MS });
      } finally {
        asked -= 1;
      }
    } catch (thrown) {
      log.warn('identity.inquiry.failed', { issuer: name, check, reason: faultReason(thrown) });
      throw new GatewayError('issuer_unavailable', 'The token’s issuer cannot be asked about it at the moment.', {
        retryAfter: RETRY_AFTER_SECONDS,
        members: { check },
      });
    }
  };
}
