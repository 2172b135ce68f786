// The requestState that lets a client of protocol 2026-07-28 ask again about a held call: sealed, used once, good for
// one caller, one message and ten minutes. The state grants nothing: the call is matched to its hold by its content, as
// any repeated call is. Refuses a state that this gateway did not make for exactly this request.

import { randomBytes } from 'node:crypto';
import type { Action } from '../domain/action.ts';
import { canonicalDigest } from '../domain/canonical.ts';
import type { Clock } from '../domain/clock.ts';
import { type OnceStore, useOnce } from '../domain/once.ts';
import type { Principal } from '../domain/principal.ts';
import { REQUEST_STATE_PREFIX } from '../domain/request-state.ts';
import { Secret } from '../domain/secret.ts';
import { GatewayError } from '../errors.ts';

/** Authenticated encryption bound to an id; from credentials/seal.ts. */
export interface StateSealer {
  seal(id: string, secret: Secret): string;
  /** Throws for anything but what `seal` made for this id. */
  open(id: string, sealed: string): Secret;
}

export interface RequestStates {
  issue(principal: Principal, action: Action, holdId: string): string;
  /**
   * Marks the state as used, durably. Throws `bad_rpc` for a state of another caller or message, an expired one, and
   * one that was used before; `store_unavailable`.
   */
  redeem(principal: Principal, action: Action, state: string): Promise<void>;
}

const LIFETIME_MS = 10 * 60_000;

export function createRequestStates(seal: StateSealer, clock: Clock, once: OnceStore): RequestStates {
  return {
    issue(principal, action, holdId) {
      const nonce = randomBytes(12).toString('base64url');
      const text = JSON.stringify([holdId, nonce, clock.now() + LIFETIME_MS]);
      return REQUEST_STATE_PREFIX + seal.seal(boundTo(principal, action), new Secret(text));
    },
    async redeem(principal, action, state) {
      const [, nonce, until] = open(seal, boundTo(principal, action), state);
      if (until <= clock.now()) throw refusal('The requestState has expired.');
      if (!(await useOnce(once, 'request-state', nonce, until))) throw refusal('The requestState was used before.');
    },
  };
}

function open(seal: StateSealer, id: string, state: string): [holdId: string, nonce: string, until: number] {
  try {
    return JSON.parse(seal.open(id, state.slice(REQUEST_STATE_PREFIX.length)).reveal()) as [string, string, number];
  } catch (cause) {
    throw refusal('The requestState was not given for this request of this caller.', cause);
  }
}

function boundTo(principal: Principal, { upstream, target, body }: Action): string {
  const digest = canonicalDigest('countersign/request-state/v1', {
    principal: principal.id,
    upstream,
    target,
    message: body?.identity ?? null,
  });
  return `request-state ${digest}`;
}

function refusal(detail: string, cause?: unknown): GatewayError {
  return new GatewayError('bad_rpc', `${detail} Send the call without it.`, { cause });
}
