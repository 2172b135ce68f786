// The gateway's own tasks: a held call whose client takes a task for an answer, and a call that runs while its client
// polls. A poll for an approved hold stands for the held call itself: its bytes, as the reviewers saw them, go the
// whole way again in the name of the poll's caller, whose fresh token, key and certificate are verified like those of
// any call. So nothing is ever sent without its agent, a hold survives a restart with all that it takes to send it, and
// an approval that nobody comes for runs out. Trusts a task id for nothing: the hold has to be the caller's. Others get
// the answer for a task that never was.

import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { LRUCache } from 'lru-cache';
import type { Action, ActionBody, TaskForm } from '../../domain/action.ts';
import type { Approvals, Recalled } from '../../domain/approvals.ts';
import type { Call } from '../../domain/call.ts';
import type { Clock } from '../../domain/clock.ts';
import type { Hold, HoldStore } from '../../domain/hold.ts';
import type { Mount } from '../../domain/mount.ts';
import type { Principal } from '../../domain/principal.ts';
import type { Resumed } from '../../domain/protocol-handler.ts';
import type { Armed, FailedCall, Reached, Recognised } from '../../domain/stages.ts';
import type { ResponseSink } from '../../domain/upstream.ts';
import { asGatewayError, GatewayError } from '../../errors.ts';
import { meta, rpcError, toolResult } from '../refusal.ts';
import { collectOutcome, type TaskOutcomes } from './outcomes.ts';
import {
  ACKNOWLEDGED,
  answerGone,
  factsOf,
  HELD,
  heldCall,
  isUnderway,
  METHODS,
  MISSING_CAPABILITY,
  OWN_TASK,
  RUNNING,
  readQuestion,
  stillExecuting,
  type TaskQuestion,
  tell,
  unknown,
  write,
} from './questions.ts';
import { type RpcOutcome, type TaskFacts, type TaskState, taskCreated, taskResult, taskView } from './views.ts';

export interface TaskDependencies {
  readonly approvals: Pick<Approvals, 'recall' | 'cancel'>;
  readonly holds: Pick<HoldStore, 'content'>;
  readonly outcomes: TaskOutcomes;
  readonly clock: Clock;
  /** The body of a held message, with what the approval bound of it. */
  messageBody(bytes: Uint8Array): ActionBody;
}

export interface GatewayTasks {
  /** See Conduct.receive. */
  resume(recognised: Recognised, action: Action): Promise<Resumed | 'answered'> | undefined;
  /** The way in which this call's answer goes into a task; undefined for a call that is answered as it was asked. */
  runOf(call: Call): TaskRun | undefined;
  /** The call is about to be sent: true when its answer goes into a task from now on. */
  depart(armed: Armed): boolean;
  /**
   * Answers a refused call where its client is to be told of a task; undefined where a refusal is said as usual. Gives
   * the HTTP status.
   */
  refused(failed: Reached & FailedCall): number | undefined;
}

export interface TaskRun {
  readonly asks: 'create' | 'get' | 'result';
  /** Where the client's own answer goes. */
  sink: ResponseSink;
}

interface ActiveTaskRun extends TaskRun {
  readonly form: TaskForm;
  readonly facts: TaskFacts;
  readonly rpcId: string | number;
  /** For a poll: its hold as it stands. */
  readonly recall?: () => Promise<Recalled>;
  answered: boolean;
  /** Whose call it is, where no rule held it. */
  readonly owner?: string;
  /** Set while the call is being executed. */
  end?: (outcome: RpcOutcome | undefined) => void;
}

const PENDING_POLL_MS = 2_000;
const RUNNING_POLL_MS = 1_000;
/** Between the claim of an approval and the departure of its call, ms and looks. */
const LOOK_EVERY_MS = 50;
const MOST_LOOKS = 200;
/**
 * Tasks of calls that were not held: longest life, how many of one agent are known at a time, and of how many agents.
 */
const RUNNING_TTL_MS = 60 * 60_000;
const REMEMBERED = 500;
const MOST_OWNERS = 10_000;
/** Calls of one agent that run as tasks at a time, besides those that people approved. */
const MOST_RUNNING = 50;

const WAITING =
  'A person has to decide on this call. Nothing was executed yet. The task ends by itself; do not rephrase the call or look for another way.';
const APPROVED = 'A person approved this call, and it has not been sent yet.';
const EXECUTING = 'The call is on its way, and its answer has not come yet.';

export function createGatewayTasks({ approvals, holds, outcomes, clock, messageBody }: TaskDependencies): GatewayTasks {
  const runs = new WeakMap<Call, ActiveTaskRun>();
  /** How many calls that were not held are being executed as tasks, by their owner. */
  const executing = new Map<string, number>();
  /** Theirs alone, so that nobody's tasks push another's out. */
  const running = new LRUCache<string, LRUCache<string, TaskFacts>>({ max: MOST_OWNERS });

  function resume(recognised: Recognised, action: Action): Promise<Resumed | 'answered'> | undefined {
    const asked = readQuestion(action);
    return asked && heed(recognised, action, asked);
  }

  async function heed(recognised: Recognised, action: Action, asked: TaskQuestion): Promise<Resumed | 'answered'> {
    const { call, mount, principal } = recognised;
    const { form, method, taskId, rpcId } = asked;
    if (form === 'extension' && action.mcp?.task === undefined) return say(call, rpcId, { error: MISSING_CAPABILITY });
    if (!METHODS[form].has(method))
      return say(call, rpcId, {
        error: { code: -32601, message: 'This method is not offered for tasks of this form.' },
      });
    if (!taskId.startsWith(HELD)) return tellRunning(recognised, asked);
    const recall = () => approvals.recall(taskId.slice(OWN_TASK.length), principal);
    const found = await recall();
    if (found.hold.action.upstream !== mount.name || found.hold.action.tool === undefined) throw unknown();
    const recalled = method === 'tasks/result' && isUnderway(found.hold) ? await executed(taskId, recall) : found;
    const { hold } = recalled;
    const state = stateOf(taskId, recalled);
    const open = hold.state === 'PENDING' || hold.state === 'APPROVED';
    if (
      state.status === 'working' &&
      open &&
      (method === 'tasks/result' || (method === 'tasks/get' && hold.state === 'APPROVED'))
    ) {
      const run: ActiveTaskRun = {
        asks: method === 'tasks/get' ? 'get' : 'result',
        form,
        facts: factsOf(hold),
        rpcId,
        sink: call.sink,
        answered: false,
        recall,
      };
      const content = await holds.content(hold.id);
      if (content === undefined) throw new GatewayError('internal', 'An open hold has lost its content.');
      runs.set(call, run);
      return { hold, action: heldCall(hold, content, action, messageBody) };
    }
    call.reach({ ...recognised, action, hold });
    if (method === 'tasks/cancel') return say(call, rpcId, await cancel(hold, principal, form));
    return say(call, rpcId, tell(asked, factsOf(hold), state));
  }

  /** Where a held call stands; one that is approved counts as working, until somebody comes for it. */
  function stateOf(taskId: string, { hold, ending }: Recalled): TaskState {
    const outcome = outcomes.get(taskId);
    if (outcome !== undefined) return { status: 'ended', outcome };
    if (ending === undefined || isUnderway(hold)) {
      if (isUnderway(hold)) return EXECUTION;
      return { status: 'working', words: hold.state === 'PENDING' ? WAITING : APPROVED, pollMs: PENDING_POLL_MS };
    }
    if (ending.details.ended) return { status: 'refused', refusal: ending, cancelled: hold.state === 'CANCELLED' };
    // Only an answer that there was can be gone.
    return {
      status: 'ended',
      outcome: {
        error: rpcError(
          'outcomeStatus' in hold && hold.outcomeStatus !== undefined ? answerGone(hold.id) : ending,
          'question',
        ),
      },
    };
  }

  async function cancel(hold: Hold, principal: Principal, form: TaskForm): Promise<RpcOutcome> {
    try {
      await approvals.cancel(hold.id, principal);
    } catch (thrown) {
      const error = asGatewayError(thrown);
      if (error.code !== 'hold_closed') throw error;
      // The extension acknowledges that it was asked; the core form refuses where it is too late.
      return form === 'extension' ? ACKNOWLEDGED : { error: rpcError(error, 'question') };
    }
    if (form === 'extension') return ACKNOWLEDGED;
    const ended = await approvals.recall(hold.id, principal);
    return { result: taskView(form, factsOf(ended.hold), stateOf(OWN_TASK + hold.id, ended)) };
  }

  /** A task of a call that no rule held: known to this process alone. */
  async function tellRunning({ call, mount, principal }: Recognised, asked: TaskQuestion): Promise<'answered'> {
    const { taskId, method, rpcId } = asked;
    const facts = running.get(ownerOf(principal, mount))?.get(taskId);
    if (facts === undefined) throw unknown();
    if (method === 'tasks/result') await outcomes.running(taskId);
    const outcome = outcomes.get(taskId);
    const gone: RpcOutcome = { error: rpcError(answerGone(undefined), 'question') };
    const state: TaskState =
      outcomes.running(taskId) !== undefined ? EXECUTION : { status: 'ended', outcome: outcome ?? gone };
    if (method === 'tasks/cancel') {
      return say(call, rpcId, {
        error: rpcError(new GatewayError('hold_closed', 'The call is on its way, or has ended.'), 'question'),
      });
    }
    return say(call, rpcId, tell(asked, facts, state));
  }

  /** A run for a call that was asked for as a task and is let through at once. */
  function begin({ call, mount, action, principal, clearance }: Armed): ActiveTaskRun | undefined {
    const { mcp } = action;
    // A client of the extension reads a result where it could have been told of a task.
    if (mcp?.task !== 'core' || mcp.ownTask !== true || mcp.id === undefined) return undefined;
    const known = { asks: 'create', form: 'core', rpcId: mcp.id, sink: call.sink, answered: false } as const;
    if (clearance.kind === 'released') return { ...known, facts: factsOf(clearance.hold) };
    const owner = ownerOf(principal, mount);
    const others = executing.get(owner) ?? 0;
    // They are not bounded by connections: nobody waits on one.
    if (others >= MOST_RUNNING) {
      throw new GatewayError('too_many_pending', `${others} calls of this agent run as tasks already.`, {
        retryAfter: 5,
      });
    }
    executing.set(owner, others + 1);
    const now = clock.now();
    const facts = {
      taskId: RUNNING + randomBytes(16).toString('base64url'),
      createdAt: now,
      updatedAt: now,
      ttlMs: RUNNING_TTL_MS,
    };
    const own = running.get(owner) ?? new LRUCache<string, TaskFacts>({ max: REMEMBERED, ttl: RUNNING_TTL_MS });
    own.set(facts.taskId, facts);
    running.set(owner, own);
    return { ...known, facts, owner };
  }

  /** The execution is over, and this is what it came to; undefined keeps nothing. */
  function close(run: ActiveTaskRun, outcome: RpcOutcome | undefined): void {
    const { end, owner } = run;
    if (end === undefined) return;
    delete run.end;
    end(outcome);
    if (owner === undefined) return;
    const others = (executing.get(owner) ?? 1) - 1;
    if (others === 0) executing.delete(owner);
    else executing.set(owner, others);
  }

  function finish(run: ActiveTaskRun, outcome: RpcOutcome): void {
    close(run, outcome);
    if (run.answered) return;
    run.answered = true;
    write(run.sink, run.rpcId, taskResult(run.facts, { status: 'ended', outcome }));
  }

  /** The hold when its call is no longer being sent; at the latest when nobody could wait for that any more. */
  async function executed(taskId: string, recall: () => Promise<Recalled>): Promise<Recalled> {
    for (let looked = 1; ; looked++) {
      await outcomes.running(taskId);
      const recalled = await recall();
      if (!isUnderway(recalled.hold) || outcomes.get(taskId) !== undefined || looked === MOST_LOOKS) return recalled;
      // Claimed, and not departed yet.
      await sleep(LOOK_EVERY_MS);
    }
  }

  /** Answers a poll whose call another poll has sent. */
  async function follow(run: ActiveTaskRun, recall: () => Promise<Recalled>): Promise<void> {
    const { taskId } = run.facts;
    const recalled = await (run.asks === 'result' ? executed(taskId, recall) : recall());
    const state = stateOf(taskId, recalled);
    write(run.sink, run.rpcId, state.status === 'working' ? workingTo(run, state) : answerTo(run, state));
  }

  return {
    resume,
    runOf: (call) => runs.get(call),
    depart(armed) {
      const { call } = armed;
      const run = runs.get(call) ?? begin(armed);
      if (run === undefined) return false;
      runs.set(call, run);
      run.end = outcomes.begin(run.facts.taskId);
      call.sink = collectOutcome((outcome) => finish(run, outcome));
      if (run.asks === 'result') return true;
      run.answered = true;
      const result =
        run.asks === 'create'
          ? taskCreated(run.form, run.facts, EXECUTING, RUNNING_POLL_MS, {})
          : taskView(run.form, run.facts, EXECUTION);
      write(run.sink, run.rpcId, { result });
      return true;
    },
    refused({ call, error, action, hold, departed = false }) {
      const run = runs.get(call);
      if (run === undefined) {
        const mcp = action?.mcp;
        const rpcId = mcp?.id;
        const form = mcp?.ownTask ? mcp.task : undefined;
        if (error.code !== 'approval_pending' || hold === undefined || rpcId === undefined || form === undefined)
          return;
        const immediate = form === 'core' ? { 'io.modelcontextprotocol/model-immediate-response': WAITING } : {};
        const result = taskCreated(form, factsOf(hold), WAITING, PENDING_POLL_MS, { ...meta(error), ...immediate });
        write(call.sink, rpcId, { result }, ['countersign-hold', hold.id]);
        return 200;
      }
      const to = run.recall === undefined ? 'call' : 'question';
      const refusal: RpcOutcome = departed
        ? { error: rpcError(error, to) }
        : { result: toolResult(error, to, run.form === 'extension') };
      // What a hold's call was refused before it was sent stands in the store, and anybody who asks again is told from
      // there.
      const lost = !departed && run.facts.taskId.startsWith(HELD);
      close(run, lost ? undefined : refusal);
      if (run.answered) return 200;
      run.answered = true;
      // Two polls came for the approval at once, and the other one has it.
      if (error.code === 'already_sent' && run.recall !== undefined) {
        follow(run, run.recall).catch(() => write(run.sink, run.rpcId, refusalTo(run, error)));
        return 200;
      }
      write(
        run.sink,
        run.rpcId,
        departed ? answerTo(run, { status: 'ended', outcome: refusal }) : refusalTo(run, error),
      );
      return 200;
    },
  };
}

const EXECUTION = { status: 'working', words: EXECUTING, pollMs: RUNNING_POLL_MS } as const;

function workingTo({ asks, form, facts }: ActiveTaskRun, state: TaskState): RpcOutcome {
  return asks === 'result'
    ? { error: rpcError(stillExecuting(), 'question') }
    : { result: taskView(form, facts, state) };
}

function answerTo(
  { form, asks, facts }: ActiveTaskRun,
  state: Exclude<TaskState, { readonly status: 'working' }>,
): RpcOutcome {
  return asks === 'result' ? taskResult(facts, state) : { result: taskView(form, facts, state) };
}

/** A poll that came to nothing: its hold has ended, is still pending, or this attempt alone failed. */
function refusalTo(run: ActiveTaskRun, error: GatewayError): RpcOutcome {
  if (error.details.ended) return answerTo(run, { status: 'refused', refusal: error, cancelled: false });
  if (error.code === 'approval_pending' && run.asks === 'get') {
    return { result: taskView(run.form, run.facts, { status: 'working', words: WAITING, pollMs: PENDING_POLL_MS }) };
  }
  // Its upstream is full; the approval stays, and a later poll uses it.
  if (error.code === 'too_many_calls' && run.recall !== undefined && run.asks === 'get') {
    return { result: taskView(run.form, run.facts, { status: 'working', words: APPROVED, pollMs: PENDING_POLL_MS }) };
  }
  return { error: rpcError(error, run.recall === undefined ? 'call' : 'question') };
}

function ownerOf({ id, issuer, keyThumbprint, onBehalfOf }: Principal, { name }: Mount): string {
  return JSON.stringify([
    name,
    id,
    issuer,
    keyThumbprint,
    onBehalfOf.map((party) => [party.id, party.issuer, party.subject]),
  ]);
}

function say(call: Call, rpcId: string | number, outcome: RpcOutcome): 'answered' {
  call.told = 200;
  write(call.sink, rpcId, outcome);
  return 'answered';
}
