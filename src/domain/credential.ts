// The short-lived secret for an upstream: minted after clearance, used for one call, then revoked.

import type { Action, Digest } from './action.ts';
import type { Clearance } from './clearance.ts';
import type { EpochMs } from './clock.ts';
import type { CredentialPlan } from './decision.ts';
import type { HeaderList } from './headers.ts';
import type { Identified } from './identity.ts';
import type { JsonObject } from './json.ts';
import type { Principal } from './principal.ts';
import type { Secret } from './secret.ts';

/**
 * What revoking a credential really ends: the token, its lease, the object that it depends on, or nothing before it
 * expires.
 */
export type Revocability = 'token' | 'lease' | 'object' | 'none';

/**
 * How a credential is put on the forwarded request. Host and framing fields are refused when the configuration is read.
 */
export type Injection =
  | { readonly in: 'header'; readonly name: string; readonly value: Secret }
  | { readonly in: 'query'; readonly name: string; readonly value: Secret }
  | SignatureInjection;

/**
 * A credential that is never sent: it signs the request. `value` is the signing secret; answers are searched for it.
 */
export interface SignatureInjection {
  readonly in: 'signature';
  readonly value: Secret;
  /**
   * Lower-case names of fields that the signature adds or contradicts. The agent's own fields of these names are not
   * forwarded.
   */
  readonly replaces: ReadonlySet<string>;
  /**
   * The fields to add. Throws `bad_request` for a request that cannot be signed without changing its meaning, and
   * `credential_unavailable` for a body that was not read.
   */
  sign(request: SignableRequest): Promise<HeaderList>;
}

/** A request as it is about to be sent, less framing. */
export interface SignableRequest {
  readonly method: string;
  /** host[:port], as the Host field will say. */
  readonly authority: string;
  /** Raw path and query. */
  readonly target: string;
  /** Every field that will be sent besides Host, framing and the signature's own. */
  readonly headers: HeaderList;
  /** The agent's fields before they were filtered: they may say how the body is framed. */
  readonly received: HeaderList;
  /**
   * SHA-256 of the body; for a held call, of the approved body; without a body, of nothing. Absent when the body is
   * streamed.
   */
  readonly bodyDigest?: Digest;
}

/** What a provider is asked for. */
export interface Grant {
  readonly principal: Principal;
  readonly action: Action;
  readonly plan: CredentialPlan;
  /** The agent's own token, for providers that exchange it (RFC 8693). Never sent to an upstream. */
  readonly subjectToken?: Secret;
  readonly holdId?: string;
  readonly now: EpochMs;
}

/** What a provider made. */
export interface Minted {
  readonly injection: Injection;
  /** The secret text(s) to scrub from answers. */
  readonly secrets: readonly Secret[];
  readonly expiresAt?: EpochMs;
  readonly revocability: Revocability;
  /** What was granted, without secrets, for the record: for example `{ scope: "transfers:write" }`. */
  readonly granted: JsonObject;
  /** What `revoke` needs after a crash; kept sealed. Absent when revocability is `none`. */
  readonly handle?: Secret;
}

/**
 * One type of credential: one file in credentials/. `mint` throws `credential_unavailable` (the issuer cannot be
 * reached, or refuses) or `credential_too_broad` (the issuer granted more than was asked for). `revoke` throws when the
 * issuer could not be told; it will be tried again.
 */
export interface CredentialProvider {
  readonly type: string;
  /** Whether calls that need no approval may share what was minted (per principal × upstream × scope). */
  readonly shareable: boolean;
  mint(grant: Grant): Promise<Minted>;
  revoke?(handle: Secret): Promise<void>;
}

/** A credential on one call. */
export interface Credential {
  /** `cred_` and random bits. Names the credential in audit and telemetry, and says nothing about the secret. */
  readonly id: string;
  readonly name: string;
  readonly provider: string;
  readonly injection: Injection;
  readonly secrets: readonly Secret[];
  readonly expiresAt?: EpochMs;
  readonly revocability: Revocability;
  readonly granted: JsonObject;
  /** True when it was made for this call alone. */
  readonly exclusive: boolean;
}

/** Hands out credentials for cleared calls and revokes them. */
export interface Broker {
  /** True when a credential will be minted for this call alone. Its decision must then be on disk before the mint. */
  mintsAlone(clearance: Clearance): boolean;
  /**
   * Undefined when the decision plans none. Returns without a promise when a shared credential is at hand. Rejects with
   * `credential_unavailable`, `credential_too_broad`. The intent to revoke is durable before the promise resolves.
   */
  issue(clearance: Clearance, caller: Identified, action: Action): Credential | undefined | Promise<Credential>;
  /**
   * Revokes an exclusive credential; shared ones stay. Never throws: a failure is kept, counted and tried again.
   * Resolves to false when the credential could not be revoked yet.
   */
  release(credential: Credential): Promise<boolean>;
  /**
   * Drops a shared credential that the upstream refused (401). True when the next `issue` gives another one. False for
   * exclusive credentials, and for a credential so fresh that it cannot be stale: the refusals of an upstream must not
   * become load for an issuer.
   */
  invalidate(credential: Credential): boolean;
}

/** A credential that was issued and must be taken back. `sealed` is opaque outside credentials/. */
export interface OutstandingCredential {
  readonly id: string;
  readonly name: string;
  readonly provider: string;
  readonly sealed: string;
  readonly holdId?: string;
  readonly taskId?: string;
  readonly issuedAt: EpochMs;
  readonly expiresAt?: EpochMs;
  readonly attempts: number;
}

/** Durable intents to revoke. A resolved promise means fsynced. */
export interface CredentialLedger {
  intend(entry: OutstandingCredential): Promise<void>;
  /** It was revoked, or has expired: forget it. */
  settle(id: string): Promise<void>;
  failed(id: string): Promise<void>;
  outstanding(): Promise<readonly OutstandingCredential[]>;
}
