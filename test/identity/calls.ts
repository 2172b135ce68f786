// What identity's tests put into the port and read out of it: requests with given fields, a clock that tests own, the
// code of a refusal.

import type { Logger } from '../../src/domain/log.ts';
import { type Metrics, noMetrics } from '../../src/domain/metrics.ts';
import type { InboundRequest } from '../../src/domain/request.ts';
import { GatewayError } from '../../src/errors.ts';

export interface TestClock {
  time: number;
  now(): number;
}

export function createClock(time = Date.now()): TestClock {
  return {
    time,
    now() {
      return this.time;
    },
  };
}

export function requestWith(headers: readonly string[], mount = 'tools'): InboundRequest {
  return {
    id: '00000000000000000000000000000000',
    receivedAt: 0,
    method: 'GET',
    target: `/${mount}/`,
    mount,
    path: '/',
    headers,
    body: { empty: true, buffer: async () => new Uint8Array(), async *stream() {} },
    peer: { address: '127.0.0.1' },
    onClosed: () => () => {},
  };
}

export const bearer = (token: string, mount?: string): InboundRequest =>
  requestWith(['host', 'gateway', 'authorization', `Bearer ${token}`], mount);

/** `code/check` of what an action refuses with; fails when it does not refuse. */
export async function refusalOf(action: () => unknown): Promise<string> {
  try {
    await action();
  } catch (thrown) {
    if (!(thrown instanceof GatewayError)) throw thrown;
    const check = thrown.details.members?.check;
    return typeof check === 'string' ? `${thrown.code}/${check}` : thrown.code;
  }
  throw new Error('it was not refused');
}

export interface Recorder {
  readonly lines: { readonly event: string; readonly fields: Readonly<Record<string, unknown>> }[];
  readonly refusals: { readonly issuer: string | undefined; readonly code: string }[];
  readonly log: Logger;
  readonly metrics: Metrics;
}

export function createRecorder(): Recorder {
  const lines: Recorder['lines'] = [];
  const refusals: Recorder['refusals'] = [];
  const write = (event: string, fields = {}) => void lines.push({ event, fields });
  return {
    lines,
    refusals,
    log: { info: write, warn: write, error: write },
    metrics: { ...noMetrics, tokenRefused: (issuer, code) => void refusals.push({ issuer, code }) },
  };
}
