// How identity/ says no: a GatewayError whose `check` member names the one check that failed.
// The check goes to the caller and to the log; nothing of the token ever does.

import { type ErrorCode, GatewayError } from '../errors.ts';

/**
 * A refusal of the 401 family (or another code of the table), with the name of the failed check. `detail` is a constant
 * sentence.
 */
export function refusal(code: ErrorCode, check: string, detail: string): GatewayError {
  return new GatewayError(code, detail, { members: { check } });
}

/** The check that an error names, for the log line; its code where it names none. */
export function failedCheck(error: GatewayError): string {
  const check = error.details.members?.check;
  return typeof check === 'string' ? check : error.code;
}
