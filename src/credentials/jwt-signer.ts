// Signs the short JWTs by which the gateway vouches for a call: as an issuer of its own, or with a client's key (RFC
// 7523). Refuses lifetimes beyond five minutes: such a token cannot be taken back.

import { randomUUID } from 'node:crypto';
import { SignJWT } from 'jose';
import type { Clock } from '../domain/clock.ts';
import type { Grant } from '../domain/credential.ts';
import type { JsonObject } from '../domain/json.ts';
import type { SigningKeySource } from './signing-key.ts';

export const LONGEST_JWT_MS = 300_000;

interface SignedJwt {
  readonly text: string;
  readonly id: string;
  readonly expiresAt: number;
}

export interface JwtSigner {
  /** The `iss` of what it signs. */
  readonly issuer: string;
  /** Adds iss, iat, exp and jti. Throws `credential_unavailable` when there is no usable key. */
  sign(claims: JsonObject, lifetimeMs: number): Promise<SignedJwt>;
}

export function createJwtSigner(issuer: string, key: SigningKeySource, clock: Clock): JwtSigner {
  return {
    issuer,
    async sign(claims, lifetimeMs) {
      const { key: signingKey, kid, algorithm } = await key();
      const iat = Math.floor(clock.now() / 1000);
      const exp = iat + Math.floor(Math.min(lifetimeMs, LONGEST_JWT_MS) / 1000);
      const id = randomUUID();
      const text = await new SignJWT({ ...claims, iss: issuer, iat, exp, jti: id })
        .setProtectedHeader({ alg: algorithm, kid, typ: 'JWT' })
        .sign(signingKey);
      return { text, id, expiresAt: exp * 1000 };
    },
  };
}

/**
 * Who stands behind a call, in the words of RFC 8693 section 4.1: `act.sub` is always the agent, earlier actors are
 * nested in it, and `sub` is the party that it acts for, or the agent itself. `countersign_hold` names the approval
 * that let the call through.
 */
export function delegation({ principal, holdId }: Grant): JsonObject {
  const [subject, ...earlier] = principal.onBehalfOf;
  let act: JsonObject | undefined;
  for (const { id } of earlier.toReversed()) act = act === undefined ? { sub: id } : { sub: id, act };
  return {
    sub: subject?.id ?? principal.id,
    act: act === undefined ? { sub: principal.id } : { sub: principal.id, act },
    ...(holdId !== undefined && { countersign_hold: holdId }),
  };
}
