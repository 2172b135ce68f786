// The principal that verified claims of an OIDC issuer speak of, whether a signature or the issuer's own answer vouches
// for the claims. Trusts the caller to have verified them. Refuses a delegation chain that cannot be read.

import { claimAt } from '../../domain/claim.ts';
import type { EpochMs } from '../../domain/clock.ts';
import type { JsonObject } from '../../domain/json.ts';
import type { Principal } from '../../domain/principal.ts';
import { type DelegationRules, readDelegation } from './actors.ts';
import { displayOf } from './claims.ts';

export interface NamedIssuer extends DelegationRules {
  /** The name in the configuration. */
  readonly name: string;
  readonly displayClaim?: string | undefined;
  readonly sessionClaim?: string | undefined;
}

/** Throws what `readDelegation` throws. */
export function oidcPrincipal(claims: JsonObject, issuer: NamedIssuer, expiresAt: EpochMs): Principal {
  const { caller, named, onBehalfOf } = readDelegation(claims, issuer);
  const session = claimAt(claims, issuer.sessionClaim ?? 'sid');
  return {
    ...caller,
    ...displayOf(claims, named, caller.subject, issuer.displayClaim),
    kind: 'oidc',
    issuerName: issuer.name,
    proof: 'jwt',
    claims,
    onBehalfOf,
    ...(typeof session === 'string' && session !== '' && { session }),
    expiresAt,
  };
}
