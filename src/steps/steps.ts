// Builds the steps of the pipeline and hands each its parts.

import { kindOf } from '../domain/call-kind.ts';
import type { MeterStore } from '../domain/meter.ts';
import type { Mount } from '../domain/mount.ts';
import type { RuntimeConfig } from '../domain/runtime-config.ts';
import type { Assessed, Decided, Recognised, Steps } from '../domain/stages.ts';
import type { MarkStore } from '../domain/taint.ts';
import { actingUnder, findTask, type TaskStore } from '../domain/task.ts';
import type { TaskDesk } from '../domain/task-desk.ts';
import { arm } from './arm.ts';
import { assess } from './assess.ts';
import { CallMeters } from './call-meters.ts';
import { type AgentCalls, UpstreamSlots } from './call-slots.ts';
import { classify } from './classify.ts';
import { type ClearDependencies, clear } from './clear.ts';
import { type ActionDigests, decide } from './decide.ts';
import { FactWatch } from './fact-watch.ts';
import { createHistory } from './history.ts';
import { identify } from './identify.ts';
import { type JournalDependencies, journal } from './journal.ts';
import { Marking } from './marking.ts';
import { receive } from './receive.ts';
import { type RefuseDependencies, refuse } from './refuse.ts';
import { refuseByTask } from './require-task.ts';
import { type SendDependencies, send } from './send.ts';
import { type SettleDependencies, settle } from './settle.ts';

/** What the steps share among themselves; made here. */
type Shared = 'history' | 'factWatch' | 'marking' | 'metering' | 'slots' | 'rejudge' | 'judgeOn' | 'takePlace';
type PartsOfSteps = ClearDependencies &
  JournalDependencies &
  SendDependencies &
  RefuseDependencies &
  SettleDependencies;

/** What the steps are made of. */
export interface StepParts extends Omit<PartsOfSteps, Shared | 'agentCalls'> {
  readonly tasks: TaskStore;
  readonly meters: MeterStore;
  readonly desk: Pick<TaskDesk, 'of'>;
  readonly marks: MarkStore;
  readonly digests: ActionDigests;
  readonly agentCalls: AgentCalls;
  /** The configuration in force now. An approval is judged by it, however long ago the call arrived. */
  runtime(): RuntimeConfig;
}

export function createSteps(parts: StepParts): Steps {
  const { runtime, clock, tasks, marks, digests, suspensions, agentCalls, ways } = parts;
  const factWatch = new FactWatch({ marks, clock, cuts: ways.cut, runtime });
  const marking = new Marking({ marks, clock, watch: factWatch });
  const history = createHistory(tasks, factWatch);
  const metering = new CallMeters(parts.meters, digests);
  const assessing = { marks, watch: factWatch, metering, novelty: parts.novelty };
  const slots = new UpstreamSlots();

  /**
   * Judges a held call once more, as at its arrival, by what is in force and on record now: caller, task and its calls,
   * destination and policy.
   */
  const rejudge: ClearDependencies['rejudge'] = async (held, approval) => {
    const now = runtime();
    const { principal: caller } = await identify(now, suspensions, clock, held);
    const task = held.task && (await findTask(tasks, held.task.id, caller));
    const principal = task === undefined ? caller : actingUnder(caller, task);
    // Without its destination the action has another digest than the approved one, so the approval does not fit.
    const moved = hasMoved(held.mount, now.mounts.get(held.mount.name));
    const known = held.mount.handler?.enrich(held.action, principal) ?? held.action;
    const action = moved ? { ...known, authority: '' } : known;
    const current = { ...held, principal, action, calls: task === undefined ? [] : history.calls(task.root) };
    const assessed = await assess(assessing, now, task === undefined ? current : { ...current, task }, held.hold.id);
    const judged = decide(now, clock, digests, assessed, approval);
    // If the call is refused now, its record shows what was asked, and this verdict.
    const { decision, actionDigest } = judged;
    held.call.reach({ ...held, principal, decision, actionDigest });
    refuseByTask({ ...assessed, mount: now.mounts.get(held.mount.name) ?? held.mount, decision }, clock.now());
    return { ...judged, on: (facts) => decide(now, clock, digests, { ...assessed, facts }, approval) };
  };
  const judgeOn: ClearDependencies['judgeOn'] = (decided, facts) =>
    decide(decided.call.runtime, clock, digests, { ...decided, facts });

  const placeFor = (decided: Decided, approved: boolean): undefined | Promise<void> =>
    ways.place[kindOf(decided)] ? slots.enter(decided, approved) : undefined;
  const takePlace: ClearDependencies['takePlace'] = (decided) => placeFor(decided, true);
  const count = (recognised: Recognised): Recognised =>
    ways.counted[kindOf(recognised)] ? agentCalls.enter(recognised) : recognised;
  const equipped = { ...parts, history, factWatch, marking, metering, slots, rejudge, judgeOn, takePlace };
  // Read in the turn in which the call is decided and begun: of two calls that arrive at once, the second counts the
  // first.
  const upToDate = (assessed: Assessed): Assessed =>
    assessed.task === undefined ? assessed : { ...assessed, calls: history.calls(assessed.task.root) };

  const byRules = (decided: Decided): boolean =>
    decided.decision.effect === 'allow' && ways.clearedBy[kindOf(decided)] === 'rules';

  return {
    receive,
    identify(received) {
      const found = identify(received.call.runtime, suspensions, clock, received);
      return found instanceof Promise ? found.then(count) : count(found);
    },
    classify: (recognised) => classify({ store: tasks, desk: parts.desk }, recognised),
    assess: (classified) => assess(assessing, classified.call.runtime, classified),
    decide(assessed) {
      const { call } = assessed;
      const decided = decide(call.runtime, clock, digests, upToDate(assessed));
      // In one turn with the decision: of two calls that refer to one hold, the second sees the first.
      const meters = byRules(decided) ? metering.reserveBesideHold(call.runtime, decided) : undefined;
      if (meters === undefined) return call.reach(decided);
      return call.reach(
        decide(call.runtime, clock, digests, { ...upToDate(assessed), facts: { ...assessed.facts, meters } }),
      );
    },
    clear: (decided) => clear(equipped, decided),
    journal: (cleared) => journal(parts, cleared),
    arm(journaled) {
      const waiting = placeFor(journaled, false);
      return waiting === undefined
        ? arm(parts.broker, suspensions, journaled)
        : waiting.then(() => arm(parts.broker, suspensions, journaled));
    },
    send: (armed) => send(equipped, armed),
    refuse: (last, error) => refuse(equipped, last, error),
    settle: (last) => settle(equipped, last),
  };
}

/** Whether the destination of a mount has changed or is gone. A shared mount has no destination of its own. */
function hasMoved(before: Mount, now: Mount | undefined): boolean {
  return (
    now === undefined ||
    now.kind !== before.kind ||
    (now.kind === 'single' && before.kind === 'single' && now.url !== before.url)
  );
}
