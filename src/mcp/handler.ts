// What MCP adds to the way of a call (domain/handler.ts): what is known about the tool, how the agent waits while
// people decide, and which part of the answer it may see. Each part has a file of its own; this file connects them to
// the call.

import type { Action, ActionBody, Digest, McpMessage } from '../domain/action.ts';
import type { Clock } from '../domain/clock.ts';
import type { Policy } from '../domain/decision.ts';
import { defined } from '../domain/defined.ts';
import type { JsonObject } from '../domain/json.ts';
import { waitPreference } from '../domain/prefer.ts';
import type { Principal } from '../domain/principal.ts';
import type { HoldWait, ProtocolHandler } from '../domain/protocol-handler.ts';
import { readUpstreamName } from '../domain/server-names.ts';
import type { Armed, Decided } from '../domain/stages.ts';
import type { TaskDesk } from '../domain/task-desk.ts';
import type { Forwarder, ResponseSink } from '../domain/upstream.ts';
import { GatewayError } from '../errors.ts';
import { judgeAnswer } from './answer.ts';
import { type JudgeMessage, judgedAnswer } from './answer-sink.ts';
import { checkArguments } from './arguments.ts';
import { type CancellationDependencies, heedCancellation, type WaitingCall } from './cancellation.ts';
import { type HeldStream, openHeldStream } from './held-stream.ts';
import { keptAlive } from './keep-alive.ts';
import { createOpenRequests } from './open-requests.ts';
import { answerOpenTask, withOwnTool } from './open-task.ts';
import { oweAnswer } from './owed-answer.ts';
import { checkParameterFields } from './parameter-fields.ts';
import { refusalMessage, rpcError } from './refusal.ts';
import type { RequestStates } from './request-state.ts';
import { serverRequests } from './server-requests.ts';
import { judgeServer } from './shared-mount/answer.ts';
import { answerEventId, lastPlace } from './shared-mount/events.ts';
import type { SharedServers } from './shared-mount/servers.ts';
import { isTaskTool } from './tasks/capabilities.ts';
import type { GatewayTasks } from './tasks/tasks.ts';
import type { PinningOptions, ToolPins } from './tool-pins.ts';

interface McpUpstreamOptions extends PinningOptions {
  readonly heldToolSuffix: string;
}

export interface McpDependencies extends CancellationDependencies {
  readonly forwarder: Pick<Forwarder, 'send'>;
  readonly pins: ToolPins;
  readonly states: RequestStates;
  readonly tasks: GatewayTasks;
  readonly clock: Clock;
  /** The policy in force. */
  policy(): Policy;
  /** The settings of an upstream as it is configured now. */
  options(upstream: string): McpUpstreamOptions;
  hash(bytes: Uint8Array): Digest;
  /** Between two progress notifications of a held call, ms. */
  readonly progressEveryMs: number;
  /** Where several servers share a mount: their sessions. */
  readonly servers: Pick<SharedServers, 'ready' | 'sessionFields' | 'sinkOf'>;
  /** How MCP says a refusal. */
  readonly refusal: ProtocolHandler['refusal'];
  /** Opens the tasks under which agents call. */
  readonly desk: Pick<TaskDesk, 'open'>;
}

/** A client that asked for progress waits until the hold ends by its own deadlines. */
const UNTIL_DECIDED_MS = 2 ** 31 - 1;
/** A client that accepts a task is told about its hold at once, and polls when it likes. */
const AT_ONCE: HoldWait = { waitMs: 0, cancelsOnClose: false, begin() {}, end() {} };
/** The method of an agent's response to a request that a rule allowed; see policy/mcp-lifecycle.ts. */
const ANSWER = '(answer)';

export function createMcpHandler(deps: McpDependencies): ProtocolHandler {
  const { waiting } = deps;
  const asked = createOpenRequests<true>('upstream');
  /** Upstreams whose servers said that they make tasks themselves (2026-07-28). */
  const taskMakers = new Set<string>();

  function examine(action: Action, principal: Principal): Action {
    const { mcp } = action;
    if (mcp === undefined) return action;
    if (mcp.method === undefined && mcp.id !== undefined && asked.get(principal, action, mcp.id))
      return { ...action, mcp: { ...mcp, method: ANSWER } };
    const { hints: _hints, toolWords: _words, toolChange: _change, ...bare } = mcp;
    const tool = action.tool === undefined ? undefined : deps.pins.get(action.upstream, action.tool);
    const call = taskCall(action, bare, tool?.definition);
    if (tool === undefined) return { ...action, ...call };
    const { words: toolWords, hints, pinned, definition: now } = tool;
    const changed = pinned !== undefined && !deps.options(action.upstream).acceptChanges;
    const known = defined({ toolWords, hints, toolChange: changed ? { pinned, now } : undefined });
    return { ...action, ...call, mcp: { ...call.mcp, ...known } };
  }

  /** Marks the call as one for which the gateway may make a task, unless the server makes its own tasks. */
  function taskCall(
    action: Action,
    mcp: McpMessage,
    definition: JsonObject | undefined,
  ): { readonly mcp: McpMessage; readonly body?: ActionBody } {
    if (mcp.method !== 'tools/call' || mcp.task === undefined) return { mcp };
    const { withoutTask, ownTask: _own, ...rest } = mcp;
    if (rest.task === 'core' ? isTaskTool(definition) : taskMakers.has(action.upstream)) return { mcp: rest };
    return { mcp: { ...rest, ownTask: true }, ...(withoutTask && { body: withoutTask }) };
  }

  async function keep({ call, request, action, principal }: Decided, longestWaitMs: number): Promise<HoldWait> {
    const { mcp, tool } = action;
    const rpcId = mcp?.id;
    if (mcp?.requestState !== undefined) await deps.states.redeem(principal, action, mcp.requestState);
    const run = deps.tasks.runOf(call);
    const known = tool === undefined || run !== undefined ? undefined : deps.pins.get(action.upstream, tool);
    if (known !== undefined) checkArguments(known.definition, action.args ?? {});
    if (mcp?.ownTask || run?.asks === 'get') return AT_ONCE;
    const { waitMs } = waitPreference(request.headers);
    const progressToken = rpcId !== undefined && mcp?.streams ? mcp.progressToken : undefined;
    const patient = progressToken !== undefined && mcp?.stateless !== true;
    let stream: HeldStream | undefined;
    const waitingCall: WaitingCall = { cancelled: false };
    // A client that stops waiting for a task's result has not cancelled the task.
    const cancellable = rpcId !== undefined && run === undefined;
    if (cancellable) waiting.put(principal, action, rpcId, waitingCall);
    return {
      waitMs: waitMs === undefined && patient ? UNTIL_DECIDED_MS : Math.min(waitMs ?? longestWaitMs, longestWaitMs),
      // 2026-07-28: closing the stream is how a request is cancelled. Before that it means nothing (2025-11-25,
      // transports).
      cancelsOnClose: run === undefined && mcp?.stateless === true,
      begin(hold) {
        if (rpcId === undefined) return;
        waitingCall.holdId = hold.id;
        // The hold is recorded before its agent waits for it, and the agent may have cancelled since.
        if (waitingCall.cancelled) void deps.approvals.cancel(hold.id, principal).catch(() => {});
        if (progressToken === undefined) return;
        stream = openHeldStream({
          sink: (run ?? call).sink,
          rpcId,
          progressToken,
          holdId: hold.id,
          everyMs: deps.progressEveryMs,
          onClosed: (callback) => request.onClosed(callback),
        });
        call.sink = stream.sink;
        if (run !== undefined) run.sink = stream.sink;
      },
      end() {
        stream?.stop();
        if (cancellable) waiting.remove(principal, action, rpcId);
      },
    };
  }

  /**
   * Wraps the sink of the answer. On a shared mount, the answer is read in the server's names and written in the
   * agent's.
   */
  function judged(armed: Armed, judge: JudgeMessage, sink: ResponseSink): ResponseSink {
    const { action } = armed;
    const { server } = readUpstreamName(action.upstream);
    const instead = () => unreadable(action);
    if (server === undefined) return judgedAnswer(sink, { judge, instead });
    const place = action.method === 'GET' ? lastPlace(armed.request.headers) : undefined;
    const answers = place?.of === 'answer' ? place.rpcId : action.mcp?.id;
    const ofServer = deps.servers.sinkOf(armed, sink, (status) => forgotten(action, status));
    return judgedAnswer(ofServer, {
      judge: judgeServer(server, action, answers, judge),
      instead,
      eventId: (id) => answerEventId(server, id, answers),
    });
  }

  return {
    // The gateway reads the answer, so it asks the upstream not to compress it.
    requestHeaders: (armed) => ['accept-encoding', 'identity', ...deps.servers.sessionFields(armed)],
    enrich: examine,
    onHold: keep,
    onMessage(recognised, action) {
      const { upstream, tool, args, mcp } = action;
      const opening = answerOpenTask(deps.desk, recognised, action);
      if (opening !== undefined) return opening;
      // Only a tool call has arguments that fields can repeat.
      const definition = tool === undefined ? undefined : deps.pins.get(upstream, tool)?.definition;
      checkParameterFields(recognised.request.headers, args, definition, tool !== undefined && mcp?.stateless === true);
      return deps.tasks.resume(recognised, action);
    },
    async beforeSend(armed, handOut) {
      const { action, principal } = armed;
      const { mcp } = action;
      await heedCancellation(deps, armed);
      await deps.servers.ready(armed);
      if (mcp?.method === ANSWER && mcp.id !== undefined) asked.remove(principal, action, mcp.id);
      const detached = deps.tasks.depart(armed, handOut);
      const { heldToolSuffix, ...pinning } = deps.options(action.upstream);
      const judge = judgeAnswer({
        action,
        failed: () => {
          armed.call.failed = true;
        },
        madeTasks: (makes) => void taskMakers[makes ? 'add' : 'delete'](action.upstream),
        tools: {
          heldSuffix: heldToolSuffix,
          takesTasks: mcp?.stateless !== true && readUpstreamName(action.upstream).server === undefined,
          own: (tools) => withOwnTool(armed.mount.tasks, action, tools),
          observe: (definition) => deps.pins.observe(action.upstream, definition, pinning),
          outlook: (tool) =>
            deps.policy().outlook(inputOf(armed, examine(toolCall(action, tool), principal), deps.clock)),
        },
        // Nobody is on the connection of a call that runs as a task.
        requests: serverRequests(
          {
            forwarder: deps.forwarder,
            hash: deps.hash,
            allows: (of, asks) => !detached && hears(of) && allows(deps, of, asks),
            sessionFields: deps.servers.sessionFields(armed),
          },
          armed,
        ),
        passed: (id) => asked.put(principal, action, id, true),
      });
      const { call } = armed;
      // The client is on this connection, and waits.
      const asks = mcp?.method !== undefined && mcp.method !== ANSWER && mcp.id !== undefined;
      // A subcall has no client on the stream, and the client of a task waits on another connection.
      if (!detached && call.subcall === undefined)
        call.sink = keptAlive(call.sink, { everyMs: deps.progressEveryMs, onClosed: armed.request.onClosed });
      if (!asks || detached || call.subcall !== undefined)
        return { detached, through: (sink) => judged(armed, judge, sink) };
      const owed = oweAnswer(call.sink, mcp.id, {
        words: (error) => unanswered(error, action),
        refusal: (error) => refusalMessage(error, action) ?? unanswered(error, action),
        told: (status) => {
          call.told = status;
        },
      });
      call.sink = owed.sink;
      return { detached, through: (sink) => judged(armed, owed.watch(judge), sink) };
    },
    async afterResponse({ action, clearance, sent }) {
      const { upstream, tool, mcp } = action;
      const approved = clearance.kind === 'released' && sent.status < 400;
      if (approved && tool !== undefined && mcp?.toolChange !== undefined) {
        // An approval does not change a pin of the configuration.
        if (!Object.hasOwn(deps.options(upstream).pinnedTools, tool))
          deps.pins.accept(upstream, tool, mcp.toolChange.now);
      }
      await deps.pins.flush();
    },
    refusal: deps.refusal,
  };
}

/** In a subcall the gateway asks for itself, so there is no agent whom the server could ask back. */
const hears = ({ call, action }: Armed): boolean => call.subcall === undefined || action.method === 'GET';

/** A call of a tool whose arguments are not known. */
function toolCall(action: Action, tool: string): Action {
  const { args: _args, body: _body, query: _query, mcp: listing, ...rest } = action;
  const { id: _id, ...transport } = listing ?? { stateless: false, streams: false, continues: false };
  const mcp = { ...transport, method: 'tools/call' };
  return { ...rest, method: 'POST', mcp, tool, body: { bytes: new Uint8Array(0), digest: '' } };
}

function inputOf({ request, principal, task, calls }: Armed, action: Action, clock: Clock) {
  return { principal, action, headers: request.headers, ...(task && { task }), calls, now: clock.now() };
}

function allows(deps: McpDependencies, armed: Armed, action: Action): boolean {
  const input = inputOf(armed, action, deps.clock);
  const facts = { ...armed.facts, classification: deps.policy().classify(input) };
  return deps.policy().decide({ ...input, facts }).effect === 'allow';
}

function forgotten(action: Action, status: number): JsonObject {
  const detail =
    'The server answered that it does not know its session any more. A new session is opened with the next call.';
  // In the protocol a 404 means exactly this; a 400 may have another reason.
  const error = new GatewayError('session_not_found', detail, { executed: status === 404 ? 'no' : 'unsaid' });
  return refusalMessage(error, action) ?? unanswered(error, action);
}

const unreadable = (action: Action): JsonObject =>
  unanswered(new GatewayError('upstream_protocol', 'The upstream’s answer is not one JSON-RPC message.'), action);

/**
 * The message where the upstream gave no valid answer. It is an error, because nobody knows whether it would have been
 * a tool's result.
 */
function unanswered(error: GatewayError, { mcp }: Action): JsonObject {
  return { jsonrpc: '2.0', id: mcp?.id ?? null, error: rpcError(error, 'call') };
}
