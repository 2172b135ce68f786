// What a provider may tell the broker besides the port in domain/credential.ts. Everything here is optional, so a plain
// CredentialProvider is a BrokerProvider too.

import type { EpochMs } from '../domain/clock.ts';
import type { CredentialProvider, Grant } from '../domain/credential.ts';
import type { Secret } from '../domain/secret.ts';
import { GatewayError } from '../errors.ts';

export interface BrokerProvider extends CredentialProvider {
  /**
   * Keeps shared credentials apart that the broker would take for the same, for example a digest of the token that is
   * exchanged. Never a secret: it becomes part of a map's key.
   */
  shareKey?(grant: Grant): string;
  /** How long a shared credential without a known expiry is used again, ms; default five minutes. */
  readonly reuseMs?: number;
}

/** A token that exists at its issuer and must not be used. */
interface UnwantedToken {
  readonly handle?: Secret;
  readonly expiresAt?: EpochMs;
}

/**
 * Thrown by `mint` when the issuer made something that is not acceptable: `credential_too_broad`, or
 * `credential_unavailable` for another form. The broker takes the unwanted token back like any other, with durable
 * intent and retries, and then fails the call with this code and detail.
 */
export class UnwantedGrant extends GatewayError {
  readonly unwanted: UnwantedToken;

  constructor(code: 'credential_too_broad' | 'credential_unavailable', detail: string, unwanted: UnwantedToken) {
    super(code, detail);
    this.unwanted = unwanted;
  }
}

export function unavailable(detail: string, cause?: unknown): GatewayError {
  return new GatewayError('credential_unavailable', detail, cause === undefined ? {} : { cause });
}

/** The name and code of what was thrown, for logs. Never its message, which may quote a secret. */
export function faultName(thrown: unknown): string {
  if (thrown instanceof GatewayError) return thrown.code;
  const { name, code } = (typeof thrown === 'object' && thrown !== null ? thrown : {}) as {
    name?: unknown;
    code?: unknown;
  };
  const said = [name, code].filter((part): part is string => typeof part === 'string' && /^\w{1,64}$/.test(part));
  return said.length === 0 ? 'unknown' : said.join(' ');
}
