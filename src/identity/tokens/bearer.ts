// Takes the one token of a call out of its fields (RFC 6750 section 2.1, RFC 9449 section 7.1). Trusts nothing.
// Refuses repeated fields, other schemes and oversize tokens; never looks at the query, the body or cookies.

import type { HeaderList } from '../../domain/headers.ts';
import type { GatewayError } from '../../errors.ts';
import { refusal } from '../refusal.ts';
import { MAX_TOKEN_LENGTH } from './unverified-jws.ts';

const SCHEME = /^(bearer|dpop)(?: +|$)/i;

export interface PresentedToken {
  readonly token: string;
  /** The word before it: `dpop` promises a proof. Absent only in a field that carries tokens bare. */
  readonly scheme?: 'bearer' | 'dpop';
}

/**
 * The token of a call; undefined when it carries none. With `tokenHeader` (lower case) that field carries it, with or
 * without a scheme, and Authorization is not read. Throws `bad_header` (400), `unauthenticated` (another scheme),
 * `token_malformed`.
 */
export function takeToken(headers: HeaderList, tokenHeader: string | undefined): PresentedToken | undefined {
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
  return value === undefined ? undefined : readToken(value, tokenHeader !== undefined);
}

/** The token of a lone Authorization value of a reviewer: a bearer token. Throws as `takeToken`. */
export function readAuthorization(values: readonly string[]): string {
  const [value, ...more] = values;
  if (more.length > 0) throw repeated();
  if (value === undefined) throw refusal('unauthenticated', 'credential', 'The call carries no credential.');
  const { token, scheme } = readToken(value, false);
  if (scheme !== 'bearer') throw refusal('unauthenticated', 'scheme', 'Only the Bearer scheme is accepted.');
  return token;
}

function readToken(value: string, schemeIsOptional: boolean): PresentedToken {
  const [prefix, word] = SCHEME.exec(value) ?? [];
  if (prefix === undefined && !schemeIsOptional)
    throw refusal('unauthenticated', 'scheme', 'Only the schemes Bearer and DPoP are accepted.');
  const token = value.slice(prefix?.length ?? 0);
  if (token === '') throw refusal('token_malformed', 'compact', 'The credential is empty.');
  if (token.length > MAX_TOKEN_LENGTH)
    throw refusal('token_malformed', 'size', `The token is longer than ${MAX_TOKEN_LENGTH} bytes.`);
  if (word === undefined) return { token };
  return { token, scheme: word.toLowerCase() === 'dpop' ? 'dpop' : 'bearer' };
}

function repeated(): GatewayError {
  return refusal('bad_header', 'repeated', 'The field that carries the credential is there more than once.');
}
