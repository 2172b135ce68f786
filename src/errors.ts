// Every way in which the gateway refuses or fails: one class, one table. The code is spelled the same in err.code, the
// problem document, the span's error.type, the audit record and the docs (docs/errors.md is checked against this table
// both ways). Never match on message text: what a writer has to know is a column.

import { ARRIVAL } from './errors/arrival.ts';
import { DECISION } from './errors/decision.ts';
import type { Executed } from './errors/kinds.ts';
import { REVIEWERS } from './errors/reviewers.ts';
import { SENDING } from './errors/sending.ts';

export type { Executed } from './errors/kinds.ts';

/** In the order in which a call can meet them. Each code is a row of exactly one part. */
export const ERRORS = { ...ARRIVAL, ...DECISION, ...REVIEWERS, ...SENDING };

export type ErrorCode = keyof typeof ERRORS;

interface Details {
  /** Names the hold that the answer is about: `Countersign-Hold`, and a member of the problem document. */
  readonly holdId?: string;
  /** Of a pending hold, for programs: until when people may decide (RFC 3339), and who is needed. */
  readonly pending?: { readonly deadline: string; readonly needs: string };
  /** Seconds, for `Retry-After`. */
  readonly retryAfter?: number;
  /** The nonce that the next DPoP proof must hold: `DPoP-Nonce` (RFC 9449 section 8). */
  readonly dpopNonce?: string;
  /** The hold has ended, and its call was not sent. */
  readonly ended?: true;
  /** What is known of the call's effect, where more is known than the code tells. */
  readonly executed?: Executed;
  /** Further members of the problem document. Never secrets. */
  readonly members?: Readonly<Record<string, unknown>>;
  /** The fault underneath: logged by name and code, never sent. */
  readonly cause?: unknown;
}

/**
 * A refusal or a fault with a code of the table. `detail` says in one sentence what happened, free of secrets and
 * tokens. It says neither whether anything was executed nor what to do: those have authors of their own, and `tell`
 * (domain/telling.ts) puts the three together.
 */
export class GatewayError extends Error {
  override readonly name = 'GatewayError';
  readonly code: ErrorCode;
  readonly detail: string;
  readonly details: Details;

  constructor(code: ErrorCode, detail: string, details: Details = {}) {
    super(`${code}: ${detail}`, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.detail = detail;
    this.details = details;
  }

  get status(): number {
    return ERRORS[this.code].status;
  }

  /** What is known of the effect of the call that ends with this error. */
  get executed(): Executed {
    return this.details.executed ?? ERRORS[this.code].executed;
  }

  /** The same error with what its catcher knows of the call's effect; whoever said so before knew better. */
  knowing(executed: Executed): GatewayError {
    return this.details.executed === undefined
      ? new GatewayError(this.code, this.detail, { ...this.details, executed })
      : this;
  }
}

/** What anything thrown means to a caller: itself, or an opaque `internal`. */
export function asGatewayError(thrown: unknown): GatewayError {
  return thrown instanceof GatewayError
    ? thrown
    : new GatewayError('internal', 'The gateway failed; nothing more is said here.', { cause: thrown });
}
