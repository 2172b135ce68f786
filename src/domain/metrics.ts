// What the steps count. Names, units and labels are chosen in telemetry/metrics.ts; no ids ever become labels.

import type { ErrorCode } from '../errors.ts';
import type { CallFacts } from './call-facts.ts';
import type { HoldState } from './hold.ts';

/** Durations in seconds. */
export interface Metrics {
  /** A call ended: request duration without the time it was held, and the decision. */
  call(facts: CallFacts, seconds: number): void;
  upstream(
    upstream: string,
    method: string,
    status: number | undefined,
    error: ErrorCode | undefined,
    seconds: number,
  ): void;
  tokenRefused(issuer: string | undefined, code: ErrorCode): void;
  holdEnded(state: HoldState, seconds: number): void;
  minted(provider: string, ok: boolean, seconds: number): void;
  revoked(provider: string, ok: boolean): void;
  auditAppended(seconds: number): void;
  /** A vote counted; seconds from opening the hold to the vote. */
  reviewed(verdict: 'approve' | 'deny', seconds: number): void;
  /** An entry under `violations` was reached, by what it counts. */
  violations(of: string): void;
  /** An attempt to deliver a notification ended. */
  notified(channel: string, outcome: 'delivered' | 'failed' | 'dead'): void;
}

/** A decision that took less than this was hardly read. Seconds. */
export const TOO_FAST_SECONDS = 3;

export const noMetrics: Metrics = {
  call() {},
  upstream() {},
  tokenRefused() {},
  holdEnded() {},
  minted() {},
  revoked() {},
  auditAppended() {},
  reviewed() {},
  violations() {},
  notified() {},
};
