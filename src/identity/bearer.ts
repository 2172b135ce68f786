// Takes the one credential of a call out of its fields (RFC 6750 section 2.1). Trusts nothing.
// Refuses repeated fields, other schemes and oversize tokens; never looks at the query, the body or cookies.

import type { HeaderList } from '../domain/headers.ts';
import type { GatewayError } from '../errors.ts';
import { refusal } from './refusal.ts';
import { MAX_TOKEN_LENGTH } from './unverified-jws.ts';

const BEARER = /^bearer(?: +|$)/i;

/**
 * The bearer token of a call. With `tokenHeader` (lower case) that field carries it, with or without the word Bearer, and Authorization is
 * not read. Throws `bad_header` (400), `unauthenticated`, `token_malformed`.
 */
export function takeBearerToken(headers: HeaderList, tokenHeader: string | undefined): string {
  const name = tokenHeader ?? 'authorization';
  let value: string | undefined;
  let authorizations = 0;
  for (let i = 0; i < headers.length; i += 2) {
    const field = headers[i];
    if (field === 'authorization' && ++authorizations > 1) throw repeated();
    if (field !== name) continue;
    if (value !== undefined) throw repeated();
    value = headers[i + 1];
  }
  return readBearer(value, tokenHeader !== undefined);
}

/** The token of a lone Authorization value. Throws as `takeBearerToken`. */
export function readAuthorization(values: readonly string[]): string {
  if (values.length > 1) throw repeated();
  return readBearer(values[0], false);
}

function readBearer(value: string | undefined, schemeIsOptional: boolean): string {
  if (value === undefined) throw refusal('unauthenticated', 'credential', 'The call carries no credential.');
  const scheme = BEARER.exec(value)?.[0];
  if (scheme === undefined && !schemeIsOptional) throw refusal('unauthenticated', 'scheme', 'Only the Bearer scheme is accepted.');
  const token = value.slice(scheme?.length ?? 0);
  if (token === '') throw refusal('token_malformed', 'compact', 'The credential is empty.');
  if (token.length > MAX_TOKEN_LENGTH) throw refusal('token_malformed', 'size', `The token is longer than ${MAX_TOKEN_LENGTH} bytes.`);
  return token;
}

function repeated(): GatewayError {
  return refusal('bad_header', 'repeated', 'The field that carries the credential is there more than once.');
}
