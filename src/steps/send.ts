// send: the call goes out, once. A held call is marked SENT, durably, before its first byte. After a crash between the
// two, its outcome is unknown and nobody sends it again.

import type { Approvals } from '../domain/approvals.ts';
import type { Call } from '../domain/call.ts';
import { factsOf } from '../domain/call-facts.ts';
import { kindOf, type Ways } from '../domain/call-kind.ts';
import type { Broker, Credential } from '../domain/credential.ts';
import type { HeaderList } from '../domain/headers.ts';
import type { Answered, Armed, Departed } from '../domain/stages.ts';
import { refuseSuspended } from '../domain/suspension.ts';
import type { TaskStore } from '../domain/task.ts';
import { type SpanRef, traceparent } from '../domain/trace.ts';
import type { Forwarder, Outgoing, ResponseSink, Sent, WebSocketPass } from '../domain/upstream.ts';
import { asGatewayError, GatewayError } from '../errors.ts';
import { arm } from './arm.ts';
import type { CallMeters } from './call-meters.ts';
import type { FactWatch } from './fact-watch.ts';
import type { CallHistory } from './history.ts';
import type { Suspensions } from './identify.ts';
import type { KeptBack } from './kept-back.ts';
import type { Marking } from './marking.ts';
import type { OpenCalls } from './open-calls.ts';
import { RefusedAnswer } from './refused-answer.ts';

export interface SendDependencies {
  readonly approvals: Approvals;
  readonly broker: Broker;
  readonly suspensions: Suspensions;
  readonly tasks: Pick<TaskStore, 'isOpen'>;
  readonly forwarder: Forwarder;
  readonly webSockets: WebSocketPass;
  readonly ways: Ways;
  readonly history: Pick<CallHistory, 'record' | 'sinkOf'>;
  readonly metering: Pick<CallMeters, 'count'>;
  readonly factWatch: Pick<FactWatch, 'refuseBarred' | 'isStale'>;
  readonly marking: Pick<Marking, 'beforeAnswer' | 'beforeHandingOut' | 'keepBack' | 'beforeSending'>;
  readonly openCalls: Pick<OpenCalls, 'enter'>;
}

const NOTHING: HeaderList = [];
const neverClosed = (): (() => void) => () => {};

export async function send(deps: SendDependencies, armed: Armed): Promise<void> {
  const { call, clearance, mount, action, credential } = armed;
  const { handler } = mount;
  const plan = handler && (await handler.beforeSend(armed, deps.marking.beforeHandingOut(armed)));
  const kind = kindOf(armed);
  const atOnce = deps.ways.history[kind] === 'sent';
  const own = atOnce ? call.sink : deps.history.sinkOf(armed);
  const kept = atOnce ? undefined : deps.marking.keepBack(armed, own);
  const sink = plan?.through(kept ?? own) ?? kept ?? own;
  // From here on it counts, whatever comes back. Where a count must be on disk first, the call waits for it.
  const counted = deps.metering.count(call, clearance.kind === 'released');
  if (counted !== undefined) await counted;
  for (let look = deps.marking.beforeSending(armed); look !== undefined; look = lookAgain(deps, armed)) await look;
  if (clearance.kind === 'released') {
    deps.factWatch.refuseBarred(call);
    await deps.approvals.markSent(clearance);
    for (let look = lookAgain(deps, armed); look !== undefined; look = lookAgain(deps, armed)) await look;
  } else {
    refuseSuspended(deps.suspensions, armed);
    refuseEndedTask(deps.tasks, armed);
  }
  // The last look at what may have changed. In the same turn the call becomes visible to the kill switch, to the end of
  // its task and to changes of facts, so nothing falls in between.
  deps.factWatch.refuseBarred(call);
  deps.openCalls.enter(call);
  const request = plan?.detached ? { ...armed.request, onClosed: neverClosed } : armed.request;
  const departed = call.reach<Departed>({ ...armed, request, departed: true });
  // An approved call is sent at most once, even if it fails. A call that a rule allows may be sent again while its body
  // is still at hand.
  const mayRepeat =
    deps.ways.again[kind] && clearance.kind === 'allowed' && !action.streamed && credential?.exclusive === false;
  // How a WebSocket ends is known when it is over, which may be much later.
  if (atOnce) deps.history.record(departed, undefined);
  const keeping = mayRepeat ? new RefusedAnswer(sink) : undefined;
  const answered = await attempt(deps, departed, keeping ?? sink, kept);
  if (keeping?.kept === true && credential !== undefined) {
    const again = await rearm(deps, answered, credential);
    if (again?.credential === undefined) keeping.letGo();
    else await attempt(deps, again, sink, kept);
  }
  if (kept?.passed !== undefined) await kept.passed.catch(unknownEffect);
}

/** The upstream has answered, and the agent gets a refusal. */
function unknownEffect(thrown: unknown): never {
  throw asGatewayError(thrown).knowing('maybe');
}

/** Whether a mark was set meanwhile, so that the call has to be looked at once more. */
function lookAgain({ factWatch, marking }: SendDependencies, armed: Armed): undefined | Promise<void> {
  return factWatch.isStale(armed.call) ? marking.beforeSending(armed) : undefined;
}

/** The task may have ended since it was found. Throws `task_ended`. */
function refuseEndedTask(tasks: Pick<TaskStore, 'isOpen'>, { task }: Armed): void {
  if (task !== undefined && !tasks.isOpen(task.id))
    throw new GatewayError('task_ended', 'The task ended while the call was under way.');
}

/**
 * The call with another credential in place of the one that the upstream refused. Undefined when there is no other:
 * then the agent gets the refusal.
 */
async function rearm(
  { broker, suspensions }: SendDependencies,
  answered: Answered,
  refused: Credential,
): Promise<Answered | undefined> {
  if (!broker.invalidate(refused)) return undefined;
  try {
    return await arm(broker, suspensions, answered);
  } catch {
    // The broker has logged and counted the failure, or the caller was suspended meanwhile.
    return undefined;
  }
}

/** Throws what the forwarder throws, with what is known of the call's effect. */
async function attempt(
  deps: SendDependencies,
  departed: Departed | Answered,
  sink: ResponseSink,
  kept: KeptBack | undefined,
): Promise<Answered> {
  const { call, clearance, request, mount, action, credential } = departed;
  const released = clearance.kind === 'released';
  const { handler } = mount;
  const beforeOpening = call.upgrade && deps.marking.beforeAnswer(departed);
  const outgoing: Outgoing = {
    request,
    action,
    ...(credential && { credential }),
    boundHeadersOnly: released,
    requestHeaders: gatewayFields(
      mount.kind === 'single' && mount.traceContext ? call.span?.ref : undefined,
      handler?.requestHeaders(departed) ?? NOTHING,
    ),
    ...(beforeOpening && { beforeOpening }),
    ...(kept && { onAbandoned: kept.onAbandoned.bind(kept) }),
    // A protocol handler reads the answer.
    mustRead: handler !== undefined,
    responseHeaders: released ? ['countersign-hold', clearance.hold.id] : NOTHING,
    mayStream() {
      // An approved call runs to its end (open-calls.ts).
      if (released) return;
      refuseEndedTask(deps.tasks, departed);
      if (deps.suspensions.covering(departed) === undefined) return;
      throw new GatewayError(
        'principal_suspended',
        'The caller was suspended while the call was under way. Its answer is withheld.',
      );
    },
  };
  const span = call.span?.child('client', () => factsOf(call.reached));
  try {
    const sent = await (mount.kind === 'shared'
      ? mount.handler.respond(departed, sink)
      : depart(deps, call, outgoing, sink));
    const answered = call.reach<Answered>({ ...departed, sent });
    if (handler !== undefined) await handler.afterResponse(answered);
    span?.end();
    return answered;
  } catch (thrown) {
    const error = asGatewayError(thrown).knowing('maybe');
    span?.end(error.code);
    // An upstream has received the call before.
    if (error.executed === 'no' && 'sent' in departed)
      throw new GatewayError(error.code, error.detail, { ...error.details, executed: 'maybe' });
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
