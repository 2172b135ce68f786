// Verifying callers. Implemented by identity/.

import type { EpochMs } from './clock.ts';
import type { HeaderList } from './headers.ts';
import type { IssuerKind, Principal } from './principal.ts';
import type { InboundRequest } from './request.ts';
import type { Secret } from './secret.ts';
import type { TaskToken } from './task-token.ts';

export interface Identified {
  readonly principal: Principal;
  /** The token that proved it, for providers that exchange it (RFC 8693). Absent for X.509-SVIDs. */
  readonly token?: Secret;
}

/** State of one trusted issuer or trust domain, for /readyz and the operator. */
export interface IssuerStatus {
  readonly name: string;
  readonly type: IssuerKind;
  /** False while neither usable keys nor authorities are at hand. */
  readonly ready: boolean;
  readonly keys: number;
  /** X.509 authorities of a trust domain. */
  readonly authorities?: number;
  readonly fetchedAt?: EpochMs;
  /** Name of the last fault, when the last fetch failed. */
  readonly lastError?: string;
}

/** One X.509-SVID of the gateway itself, for the operator: no key and no certificate. */
export interface GatewaySvidStatus {
  /** The Workload API's address. */
  readonly from: string;
  readonly ready: boolean;
  readonly spiffeId?: string;
  readonly expiresAt?: EpochMs;
  /** Name of the last fault, while the agent cannot be heard. */
  readonly lastError?: string;
}

export interface Identity {
  /**
   * The verified caller, or a GatewayError of the 401 family (or `issuer_unavailable`, `bad_header`). Returns without a
   * promise when the token was verified before and is still good; every call re-checks its expiry.
   */
  identify(request: InboundRequest): Identified | Promise<Identified>;
  /**
   * The task token of a call; undefined where it carries none. Rejects with `task_token_invalid`, `issuer_unavailable`.
   */
  taskToken(headers: HeaderList): Promise<TaskToken> | undefined;
  /** The key of the agent of an id, as far as the id alone says: that of a SPIFFE ID of a trust domain that is trusted. */
  agentKeyOf(id: string): string | undefined;
  status(): readonly IssuerStatus[];
  /** Begins fetching keys. Does not throw when an issuer is down: that issuer's tokens are refused until it is back. */
  start(): Promise<void>;
  close(): void;
}
