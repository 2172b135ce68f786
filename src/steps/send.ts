// send: the call goes out, once. A held call is marked SENT, durably, before its first byte: after a crash between the
// two the outcome is unknown and nobody sends it again.

import type { Approvals } from '../domain/approvals.ts';
import type { Broker, Credential } from '../domain/credential.ts';
import type { HeaderList } from '../domain/headers.ts';
import type { Armed, Call } from '../domain/stages.ts';
import { refuseSuspended } from '../domain/suspension.ts';
import { type SpanRef, traceparent } from '../domain/trace.ts';
import type { Forwarder, Outgoing, ResponseSink, Sent, WebSocketPass } from '../domain/upstream.ts';
import { asGatewayError, GatewayError } from '../errors.ts';
import { arm } from './arm.ts';
import type { HandlerOf } from './classify.ts';
import type { CallHistory } from './history.ts';
import { refuseBarred } from './history-watch.ts';
import type { Suspensions } from './identify.ts';
import type { OpenCalls } from './open-calls.ts';
import { RefusedAnswer } from './refused-answer.ts';

export interface SendDependencies {
  readonly approvals: Approvals;
  readonly broker: Broker;
  readonly suspensions: Suspensions;
  readonly forwarder: Forwarder;
  readonly webSockets: WebSocketPass;
  readonly history: Pick<CallHistory, 'record' | 'sinkOf'>;
  readonly openCalls: Pick<OpenCalls, 'enter'>;
  readonly handler: HandlerOf;
}

const NOTHING: HeaderList = [];
const neverClosed = (): (() => void) => () => {};

export async function send(deps: SendDependencies, armed: Armed): Promise<void> {
  const { call, clearance, mount, action, credential } = armed;
  const handler = deps.handler(mount);
  const departure = handler && (await handler.beforeSend(armed));
  const own = call.upgrade === undefined ? deps.history.sinkOf(call) : call.sink;
  const sink = departure?.through(own) ?? own;
  const leaving = departure?.detached ? { ...armed, request: { ...armed.request, onClosed: neverClosed } } : armed;
  // The last look at the suspensions, and in the same turn the call is where a later one finds it.
  refuseBarred(call);
  if (clearance.kind === 'released') await deps.approvals.markSent(clearance);
  else refuseSuspended(deps.suspensions, armed.principal, armed.task?.id);
  deps.openCalls.enter(call);
  call.departed = true;
  // What people approved is sent once, whatever comes back; what a rule allows may be sent again when its bytes are at
  // hand.
  const mayRepeat =
    clearance.kind === 'allowed' && !action.streamed && call.upgrade === undefined && credential?.exclusive === false;
  // What an open WebSocket ends with is known when it is over, and that may be much later.
  if (call.upgrade !== undefined) deps.history.record(call, undefined);
  const keeping = mayRepeat ? new RefusedAnswer(sink) : undefined;
  await attempt(deps, leaving, credential, keeping ?? sink);
  if (keeping?.kept !== true || credential === undefined) return;
  const again = await rearm(deps, armed, credential);
  if (again?.credential === undefined) keeping.letGo();
  else await attempt(deps, leaving, again.credential, sink, true);
}

/**
 * The call with another credential in place of one that the upstream refused; undefined when none is to be had, and the
 * refusal stands.
 */
async function rearm(
  { broker, suspensions }: SendDependencies,
  armed: Armed,
  refused: Credential,
): Promise<Armed | undefined> {
  if (!broker.invalidate(refused)) return undefined;
  try {
    return await arm(broker, suspensions, armed);
  } catch {
    // The broker has logged and counted it, or the caller was suspended meanwhile; the agent gets the upstream's
    // answer.
    return undefined;
  }
}

/**
 * Throws what the forwarder throws, with what is known of the call's effect. `before`: an upstream has had the call
 * already.
 */
async function attempt(
  deps: SendDependencies,
  armed: Armed,
  credential: Credential | undefined,
  sink: ResponseSink,
  before = false,
): Promise<void> {
  const { call, clearance, request, mount, action } = armed;
  const released = clearance.kind === 'released';
  const handler = deps.handler(mount);
  const outgoing: Outgoing = {
    request,
    action,
    ...(credential && { credential }),
    boundHeadersOnly: released,
    requestHeaders: gatewayFields(
      mount.traceContext ? call.span?.ref : undefined,
      handler?.requestHeaders(armed) ?? NOTHING,
    ),
    // Who speaks a protocol reads the answer.
    mustRead: handler !== undefined,
    responseHeaders: released ? ['countersign-hold', clearance.hold.id] : NOTHING,
    mayStream() {
      // What people approved runs to its end (open-calls.ts).
      if (released || deps.suspensions.covering(armed.principal, armed.task?.id) === undefined) return;
      throw new GatewayError(
        'principal_suspended',
        'The caller was suspended while the call was under way. Its answer is withheld.',
      );
    },
  };
  const span = call.span?.child('client', call.facts);
  try {
    call.sent = await (handler?.respond?.(armed, sink) ?? depart(deps, call, outgoing, sink));
    call.facts.upstreamStatus = call.sent.status;
    call.facts.status = call.toldStatus ?? call.sent.status;
    if (handler !== undefined) await handler.afterResponse(call);
    span?.end(call.facts);
  } catch (thrown) {
    const error = asGatewayError(thrown).knowing('maybe');
    span?.end(call.facts, error.code);
    if (error.executed !== 'no') throw error;
    if (before) throw new GatewayError(error.code, error.detail, { ...error.details, executed: 'maybe' });
    call.neverArrived = true;
    throw error;
  }
}

function depart(
  { forwarder, webSockets }: SendDependencies,
  { upgrade }: Call,
  outgoing: Outgoing,
  sink: ResponseSink,
): Promise<Sent> {
  return upgrade === undefined ? forwarder.send(outgoing, sink) : webSockets.pass(upgrade, outgoing);
}

function gatewayFields(trace: SpanRef | undefined, more: HeaderList): HeaderList {
  return trace === undefined ? more : ['traceparent', traceparent(trace), ...more];
}
