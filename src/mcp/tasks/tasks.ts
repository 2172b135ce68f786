// The gateway's own tasks: a held call whose client accepts a task as the answer, and a call that runs while its client
// polls. A poll for an approved hold is replaced by the held call: its bytes, as the reviewers saw them, go through the
// whole pipeline again for the caller of the poll, whose token, key and certificate are verified as for any call. So
// nothing is sent without its agent, a hold survives a restart with everything that sending needs, and an unused
// approval expires. A task id gives no right: the hold must be the caller's. Any other caller gets the answer for an
// unknown task.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Action, ActionBody, TaskForm } from '../../domain/action.ts';
import type { Approvals, Recalled } from '../../domain/approvals.ts';
import type { Call } from '../../domain/call.ts';
import type { Clock } from '../../domain/clock.ts';
import type { Hold } from '../../domain/hold.ts';
import type { HoldStore } from '../../domain/hold-store.ts';
import type { Principal } from '../../domain/principal.ts';
import type { HandOut, Resumed } from '../../domain/protocol-handler.ts';
import type { Armed, FailedCall, Reached, Recognised } from '../../domain/stages.ts';
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
  readQuestion,
  type TaskQuestion,
  tell,
  unknown,
  write,
} from './questions.ts';
import {
  type ActiveTaskRun,
  APPROVED,
  answerTo,
  EXECUTING,
  EXECUTION,
  PENDING_POLL_MS,
  RUNNING_POLL_MS,
  refusalTo,
  type TaskRun,
  WAITING,
  workingTo,
} from './task-run.ts';
import { ownerOf, UnheldTasks } from './unheld-tasks.ts';
import { type RpcOutcome, type TaskState, taskCreated, taskResult, taskView } from './views.ts';

export interface TaskDependencies {
  readonly approvals: Pick<Approvals, 'recall' | 'cancel'>;
  readonly holds: Pick<HoldStore, 'content'>;
  readonly outcomes: TaskOutcomes;
  readonly clock: Clock;
  /** The body of a held message, with what the approval bound of it. */
  messageBody(bytes: Uint8Array): ActionBody;
}

/** Between the claim of an approval and the departure of its call, ms and looks. */
const LOOK_EVERY_MS = 50;
const MOST_LOOKS = 200;

export class GatewayTasks {
  readonly #approvals: TaskDependencies['approvals'];
  readonly #holds: TaskDependencies['holds'];
  readonly #outcomes: TaskOutcomes;
  readonly #messageBody: TaskDependencies['messageBody'];
  readonly #unheld: UnheldTasks;
  readonly #runs = new WeakMap<Call, ActiveTaskRun>();

  constructor({ approvals, holds, outcomes, clock, messageBody }: TaskDependencies) {
    this.#approvals = approvals;
    this.#holds = holds;
    this.#outcomes = outcomes;
    this.#messageBody = messageBody;
    this.#unheld = new UnheldTasks(clock);
  }

  /** See ProtocolHandler.onMessage. */
  resume(recognised: Recognised, action: Action): Promise<Resumed | 'answered'> | undefined {
    const asked = readQuestion(action);
    return asked && this.#heed(recognised, action, asked);
  }

  async #heed(recognised: Recognised, action: Action, asked: TaskQuestion): Promise<Resumed | 'answered'> {
    const { call, mount, principal } = recognised;
    const { form, method, taskId, rpcId } = asked;
    if (form === 'extension' && action.mcp?.task === undefined) return say(call, rpcId, { error: MISSING_CAPABILITY });
    if (!METHODS[form].has(method))
      return say(call, rpcId, {
        error: { code: -32601, message: 'This method is not offered for tasks of this form.' },
      });
    if (!taskId.startsWith(HELD)) return this.#tellUnheld(recognised, asked);
    const recall = () => this.#approvals.recall(taskId.slice(OWN_TASK.length), principal);
    const found = await recall();
    if (found.hold.action.upstream !== mount.name || found.hold.action.tool === undefined) throw unknown();
    const recalled = method === 'tasks/result' && isUnderway(found.hold) ? await this.#executed(taskId, recall) : found;
    const { hold } = recalled;
    const state = this.#stateOf(taskId, recalled);
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
      const content = await this.#holds.content(hold.id);
      if (content === undefined) throw new GatewayError('internal', 'An open hold has lost its content.');
      this.#runs.set(call, run);
      return { hold, action: heldCall(hold, content, action, this.#messageBody) };
    }
    call.reach({ ...recognised, action, hold });
    if (method === 'tasks/cancel') return say(call, rpcId, await this.#cancel(hold, principal, form));
    return this.#say(call, asked, tell(asked, factsOf(hold), state));
  }

  /** Whoever gets a kept answer is marked again: the marks of before may have ended, or been lifted. */
  async #say(call: Call, { method, form, taskId, rpcId }: TaskQuestion, told: RpcOutcome): Promise<'answered'> {
    if (method === 'tasks/result' || form === 'extension') await this.#outcomes.handOut(taskId, call);
    return say(call, rpcId, told);
  }

  /** The state of a held call. An approved call counts as working until a poll sends it. */
  #stateOf(taskId: string, { hold, ending }: Recalled): TaskState {
    const outcome = this.#outcomes.get(taskId);
    if (outcome !== undefined) return { status: 'ended', outcome };
    if (ending === undefined || isUnderway(hold)) {
      if (isUnderway(hold)) return EXECUTION;
      return { status: 'working', words: hold.state === 'PENDING' ? WAITING : APPROVED, pollMs: PENDING_POLL_MS };
    }
    if (ending.details.ended) return { status: 'refused', refusal: ending, cancelled: hold.state === 'CANCELLED' };
    // An answer can be gone only if there was one.
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

  async #cancel(hold: Hold, principal: Principal, form: TaskForm): Promise<RpcOutcome> {
    try {
      await this.#approvals.cancel(hold.id, principal);
    } catch (thrown) {
      const error = asGatewayError(thrown);
      if (error.code !== 'hold_closed') throw error;
      // The extension acknowledges every cancel; the core form refuses a late one.
      return form === 'extension' ? ACKNOWLEDGED : { error: rpcError(error, 'question') };
    }
    if (form === 'extension') return ACKNOWLEDGED;
    const ended = await this.#approvals.recall(hold.id, principal);
    return { result: taskView(form, factsOf(ended.hold), this.#stateOf(OWN_TASK + hold.id, ended)) };
  }

  /** Answers about a task of a call that no rule held. Only this process knows it. */
  async #tellUnheld({ call, mount, principal }: Recognised, asked: TaskQuestion): Promise<'answered'> {
    const { taskId, method, rpcId } = asked;
    const facts = this.#unheld.find(ownerOf(principal, mount), taskId);
    if (facts === undefined) throw unknown();
    if (method === 'tasks/result') await this.#outcomes.running(taskId);
    const outcome = this.#outcomes.get(taskId);
    const gone: RpcOutcome = { error: rpcError(answerGone(undefined), 'question') };
    const state: TaskState =
      this.#outcomes.running(taskId) !== undefined ? EXECUTION : { status: 'ended', outcome: outcome ?? gone };
    if (method === 'tasks/cancel') {
      return say(call, rpcId, {
        error: rpcError(new GatewayError('hold_closed', 'The call is on its way, or has ended.'), 'question'),
      });
    }
    return this.#say(call, asked, tell(asked, facts, state));
  }

  /** Begins a run for a call that was asked for as a task and is allowed at once. */
  #begin({ call, mount, action, principal, clearance }: Armed): ActiveTaskRun | undefined {
    const { mcp } = action;
    // A client of the extension accepts a plain result, so it needs no task.
    if (mcp?.task !== 'core' || mcp.ownTask !== true || mcp.id === undefined) return undefined;
    const known = { asks: 'create', form: 'core', rpcId: mcp.id, sink: call.sink, answered: false } as const;
    if (clearance.kind === 'released') return { ...known, facts: factsOf(clearance.hold) };
    const owner = ownerOf(principal, mount);
    return { ...known, facts: this.#unheld.begin(owner), owner };
  }

  /** Ends the execution with its result; undefined keeps none. */
  #close(run: ActiveTaskRun, outcome: RpcOutcome | undefined): void {
    const { end, owner } = run;
    if (end === undefined) return;
    delete run.end;
    end(outcome);
    if (owner !== undefined) this.#unheld.ended(owner);
  }

  #finish(run: ActiveTaskRun, outcome: RpcOutcome): void {
    this.#close(run, outcome);
    if (run.answered) return;
    run.answered = true;
    write(run.sink, run.rpcId, taskResult(run.facts, { status: 'ended', outcome }));
  }

  /**
   * Waits until the call is no longer being sent, at most ten seconds between claim and departure, and gives the hold.
   */
  async #executed(taskId: string, recall: () => Promise<Recalled>): Promise<Recalled> {
    for (let looked = 1; ; looked++) {
      await this.#outcomes.running(taskId);
      const recalled = await recall();
      if (!isUnderway(recalled.hold) || this.#outcomes.get(taskId) !== undefined || looked === MOST_LOOKS)
        return recalled;
      // The approval is claimed, and the call is not on its way yet.
      await sleep(LOOK_EVERY_MS);
    }
  }

  /** Answers a poll when another poll has sent the call. */
  async #follow(call: Call, run: ActiveTaskRun, recall: () => Promise<Recalled>): Promise<void> {
    const { taskId } = run.facts;
    const recalled = await (run.asks === 'result' ? this.#executed(taskId, recall) : recall());
    const state = this.#stateOf(taskId, recalled);
    if (state.status !== 'working') await this.#outcomes.handOut(taskId, call);
    write(run.sink, run.rpcId, state.status === 'working' ? workingTo(run, state) : answerTo(run, state));
  }

  /** The run into which the answer of this call goes; undefined for a call that is answered as it was asked. */
  runOf(call: Call): TaskRun | undefined {
    return this.#runs.get(call);
  }

  /** The call is about to be sent: true when its answer goes into a task from now on. */
  depart(armed: Armed, handOut: HandOut | undefined): boolean {
    const { call } = armed;
    const run = this.#runs.get(call) ?? this.#begin(armed);
    if (run === undefined) return false;
    this.#runs.set(call, run);
    run.end = this.#outcomes.begin(run.facts.taskId, handOut);
    call.sink = collectOutcome((outcome) => this.#finish(run, outcome));
    if (run.asks === 'result') return true;
    run.answered = true;
    const result =
      run.asks === 'create'
        ? taskCreated(run.form, run.facts, EXECUTING, RUNNING_POLL_MS, {})
        : taskView(run.form, run.facts, EXECUTION);
    write(run.sink, run.rpcId, { result });
    return true;
  }

  /**
   * Answers a refused call whose client is told about a task, and gives the HTTP status; undefined where the refusal is
   * told as usual.
   */
  refused({ call, error, action, hold, departed }: Reached & FailedCall): number | undefined {
    const run = this.#runs.get(call);
    if (run === undefined) {
      const mcp = action?.mcp;
      const rpcId = mcp?.id;
      const form = mcp?.ownTask ? mcp.task : undefined;
      if (error.code !== 'approval_pending' || hold === undefined || rpcId === undefined || form === undefined) return;
      const immediate = form === 'core' ? { 'io.modelcontextprotocol/model-immediate-response': WAITING } : {};
      const result = taskCreated(form, factsOf(hold), WAITING, PENDING_POLL_MS, { ...meta(error), ...immediate });
      write(call.sink, rpcId, { result }, ['countersign-hold', hold.id]);
      return 200;
    }
    const to = run.recall === undefined ? 'call' : 'question';
    const refusal: RpcOutcome = departed
      ? { error: rpcError(error, to) }
      : { result: toolResult(error, to, run.form === 'extension') };
    // The store knows why a held call was refused before it was sent, and later polls read it there.
    const lost = !departed && run.facts.taskId.startsWith(HELD);
    this.#close(run, lost ? undefined : refusal);
    if (run.answered) return 200;
    run.answered = true;
    // Two polls came for the approval at the same time, and the other one got it.
    if (error.code === 'already_sent' && run.recall !== undefined) {
      this.#follow(call, run, run.recall).catch(() => write(run.sink, run.rpcId, refusalTo(run, error)));
      return 200;
    }
    write(run.sink, run.rpcId, departed ? answerTo(run, { status: 'ended', outcome: refusal }) : refusalTo(run, error));
    return 200;
  }
}

function say(call: Call, rpcId: string | number, outcome: RpcOutcome): 'answered' {
  call.told = 200;
  write(call.sink, rpcId, outcome);
  return 'answered';
}
