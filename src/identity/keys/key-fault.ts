// Why keys could not be fetched or read. The reason stays inside identity/ and the logs: callers see
// `issuer_unavailable`.

import { GatewayError } from '../../errors.ts';

/** `reason` is a constant in snake case, for the log and for /readyz. */
export class KeyFault extends Error {
  override readonly name = 'KeyFault';
  readonly reason: string;

  constructor(reason: string, cause?: unknown) {
    super(reason, cause === undefined ? undefined : { cause });
    this.reason = reason;
  }
}

/** A reason for anything thrown on the way to keys; system error codes (ENOENT, ECONNREFUSED) pass, messages do not. */
export function faultReason(thrown: unknown): string {
  if (thrown instanceof KeyFault) return thrown.reason;
  // The strict parser's refusal: `bad_json`.
  if (thrown instanceof GatewayError) return thrown.code;
  if (!(thrown instanceof Error)) return 'unknown';
  if (thrown.name === 'TimeoutError') return 'timeout';
  for (const error of [thrown, thrown.cause]) {
    if (
      error instanceof Error &&
      'code' in error &&
      typeof error.code === 'string' &&
      /^[A-Z0-9_]{1,64}$/.test(error.code)
    )
      return error.code;
  }
  return thrown.name;
}
