// The short-lived upstream secret: minted after clearance, used for one call, taken back.

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
 * What taking a credential back really does: ends the token, its lease, the object it hangs on, or nothing before it
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
 * A credential that never travels itself: it signs the request as it will be sent. `value` is what signs; answers are
 * searched for it.
 */
export interface SignatureInjection {
  readonly in: 'signature';
  readonly value: Secret;
  /**
   * Lower-case names of the fields that the signature brings or contradicts: the agent's own fields of these names stay
   * here.
   */
  readonly replaces: ReadonlySet<string>;
  /**
   * The fields to add. Throws `bad_request` for a request that cannot be signed without changing its meaning,
   * `credential_unavailable` for a body nobody has read.
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
   * SHA-256 of the body, which for a held call is the approved one; of nothing when there is no body. Absent when it is
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
 * One way to make credentials: one file in credentials/. `mint` throws `credential_unavailable` (the issuer cannot be
 * reached, or refuses) or `credential_too_broad` (it granted more than was asked for). `revoke` throws when the issuer
 * could not be told; it will be tried again.
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
  /** `cred_` and random bits: names it in audit and telemetry; says nothing of the secret. */
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

/** Hands out credentials for cleared calls and takes them back. */
export interface Broker {
  /**
   * True when the credential for this call will be made for it alone: then its decision must be on disk before the
   * mint.
   */
  mintsAlone(clearance: Clearance): boolean;
  /**
   * Undefined when the decision plans none; without a promise when a shared one is at hand. Rejects with
   * `credential_unavailable`, `credential_too_broad`. Intent to revoke is durable before the promise resolves.
   */
  issue(clearance: Clearance, caller: Identified, action: Action): Credential | undefined | Promise<Credential>;
  /**
   * Takes an exclusive credential back; shared ones stay. Never throws: what fails is kept, counted and tried again.
   * Resolves to false when it could not be revoked yet.
   */
  release(credential: Credential): Promise<boolean>;
  /**
   * Drops a shared credential that the upstream refused (401). True when the next `issue` gives another one; false for
   * exclusive credentials, and for one that is so fresh that it cannot be stale: an upstream's refusals must not become
   * an issuer's load.
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
