// Who calls: the result of identity/, and the only form in which the rest of the gateway knows a caller.

import type { EpochMs } from './clock.ts';
import type { JsonObject } from './json.ts';

/** One party named by a token: the user an agent works for, or an earlier actor in the chain (RFC 8693 section 4.1). */
export interface Party {
  /**
   * Stable name: a SPIFFE ID, or `<issuer>#<subject>` (an issuer identifier has no fragment, OIDC Core section 1.2).
   */
  readonly id: string;
  readonly issuer: string;
  readonly subject: string;
  /**
   * What the issuer's `personClaim` says of this party, exactly as issued; absent where the issuer has none or the token
   * does not say. Compared by domain/person.ts, beside subject and id, never instead of them.
   */
  readonly person?: string;
  /** Present for a party that a task token names, not the caller's own token. Bound with the task, not with the caller. */
  readonly by?: 'task';
  /** Which agent it is (`agentKey` of its issuer), where that is not its id and the token says so. */
  readonly agentKey?: string;
}

/** The types of issuer (identity/issuers.ts): what `type` says in an entry of `identity.issuers`. */
export type IssuerKind = 'spiffe' | 'oidc';

/** The verified caller. */
export interface Principal extends Party {
  readonly kind: IssuerKind;
  /**
   * Names the agent whose many ids count as one, by its issuer's `agentKey`; the id where the issuer has none. Limits,
   * facts and suspensions use it.
   */
  readonly agentKey: string;
  /** The `name` of the entry under `identity.issuers` that vouched for it. */
  readonly issuerName: string;
  /** SPIFFE trust domain; absent for OIDC principals. */
  readonly trustDomain?: string;
  /**
   * Of a caller with a token that is bound to its X.509-SVID: that SVID’s id, which is proven as well. For a SPIFFE
   * principal it is `id`.
   */
  readonly spiffeId?: string;
  /** The agent key of that SVID, where it is another text. */
  readonly spiffeKey?: string;
  /** How the caller proved itself. */
  readonly proof: 'jwt' | 'jwt-svid' | 'x509-svid';
  /**
   * The client that got the token (`azp`, `client_id`), where that is another name than the subject. For display and
   * for rules, never who somebody is.
   */
  readonly client?: string;
  /** What the issuer entry's `displayClaim` says. For display only; never compared. */
  readonly name?: string;
  /** Verified claims of the token, without the token. */
  readonly claims: JsonObject;
  /**
   * On whose behalf it acts, nearest first: the token's `sub` when an `act` names the agent, then earlier actors. Empty
   * when it acts for itself.
   */
  readonly onBehalfOf: readonly Party[];
  /** Thumbprint of the key that the caller's token is bound to (RFC 7800 `cnf`), where it is bound. */
  readonly keyThumbprint?: string;
  /** The session in which the token was got: what the issuer's `sessionClaim` says. */
  readonly session?: string;
  /** When this proof of identity ends. */
  readonly expiresAt: EpochMs;
}
