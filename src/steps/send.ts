// send: the call goes out, once. A held call is marked SENT, durably, before its first byte: after a crash between the two
// the outcome is unknown and nobody sends it again.

import type { Approvals } from '../domain/approvals.ts';
import type { HeaderList } from '../domain/headers.ts';
import type { Armed, Call } from '../domain/stages.ts';
import type { SpanRef } from '../domain/trace.ts';
import type { Forwarder, Outgoing, Sent, WebSocketPass } from '../domain/upstream.ts';
import { asGatewayError } from '../errors.ts';
import type { History } from './history.ts';

export interface SendDependencies {
  readonly approvals: Approvals;
  readonly forwarder: Forwarder;
  readonly webSockets: WebSocketPass;
  readonly history: Pick<History, 'record' | 'sinkOf'>;
}

const NOTHING: HeaderList = [];

export async function send(deps: SendDependencies, armed: Armed): Promise<void> {
  const { call, clearance, request, mount, action, credential } = armed;
  const released = clearance.kind === 'released';
  await deps.approvals.markSent(clearance);
  const outgoing: Outgoing = {
    request,
    action,
    ...(credential && { credential }),
    boundHeadersOnly: released,
    requestHeaders: mount.traceContext && call.span ? ['traceparent', traceparent(call.span.ref)] : NOTHING,
    responseHeaders: released ? ['countersign-hold', clearance.hold.id] : NOTHING,
  };
  const span = call.span?.child('client', call.facts);
  call.departed = true;
  try {
    call.sent = await depart(deps, call, outgoing);
    call.facts.upstreamStatus = call.sent.status;
    call.facts.status = call.sent.status;
    span?.end(call.facts);
  } catch (thrown) {
    span?.end(call.facts, asGatewayError(thrown).code);
    throw thrown;
  }
}

function depart({ forwarder, webSockets, history }: SendDependencies, call: Call, outgoing: Outgoing): Promise<Sent> {
  if (call.upgrade === undefined) return forwarder.send(outgoing, history.sinkOf(call));
  // What an open WebSocket ends with is known when it is over, and that may be much later.
  history.record(call, undefined);
  return webSockets.pass(call.upgrade, outgoing);
}

/** W3C Trace Context section 3.2. */
function traceparent({ traceId, spanId, sampled }: SpanRef): string {
  return `00-${traceId}-${spanId}-${sampled ? '01' : '00'}`;
}
