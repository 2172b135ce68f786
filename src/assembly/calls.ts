// The way of a call: the pipeline and its steps, and what counts or cuts calls that are under way.

import { actionDigest, formerActionDigest } from '../actions/digest.ts';
import { requestDigest } from '../approvals/binding.ts';
import { decisionRecord, outcomeRecord } from '../audit/records.ts';
import type { CredentialBroker } from '../credentials/broker.ts';
import type { Approvals } from '../domain/approvals.ts';
import type { Call } from '../domain/call.ts';
import type { Suspending } from '../domain/suspension.ts';
import type { TaskDesk } from '../domain/task-desk.ts';
import type { Violations } from '../domain/violation.ts';
import { createPipeline, WAYS } from '../pipeline.ts';
import { createSuspending } from '../reactions/suspend.ts';
import { createViolations } from '../reactions/violations.ts';
import { AgentCalls } from '../steps/call-slots.ts';
import { createOpenCalls, type OpenCalls } from '../steps/open-calls.ts';
import { createSteps } from '../steps/steps.ts';
import { Desk } from '../tasks/desk.ts';
import { startTaskEnds } from '../tasks/ends.ts';
import type { PromptSealer } from '../tasks/prompts.ts';
import { callLine } from '../telemetry/call-line.ts';
import type { AgentAddresses } from './agent-addresses.ts';
import { answerCall } from './answer.ts';
import type { Foundation } from './foundation.ts';
import type { LiveConfig } from './live-config.ts';
import type { Shutdown } from './shutdown.ts';
import type { Connections } from './upstream-side.ts';

export interface CallParts extends Pick<Connections, 'forwarder' | 'webSockets'> {
  readonly addresses: AgentAddresses;
  readonly approvals: Approvals;
  readonly broker: CredentialBroker;
  readonly seal: PromptSealer;
  readonly live: LiveConfig;
}

export interface Calls {
  /** Takes one call from its arrival to its end. Never rejects. */
  run(call: Call): Promise<void>;
  readonly agentCalls: AgentCalls;
  readonly openCalls: OpenCalls;
  readonly desk: TaskDesk;
  /** Cuts the streams of tasks that have ended, and takes back what was minted for them. False: not all of it yet. */
  stopTasks(taskIds: readonly string[]): Promise<boolean>;
  readonly suspend: Suspending;
  readonly violations: Violations;
}

export function createCalls(
  { audit, clock, log, metrics, store, tracing }: Foundation,
  { addresses, approvals, broker, forwarder, live, seal, webSockets }: CallParts,
  shutdown: Shutdown,
): Calls {
  const agentCalls = new AgentCalls();
  const openCalls = createOpenCalls(store.suspensions, clock, WAYS.cut);
  const stopTasks = async (taskIds: readonly string[]): Promise<boolean> => {
    openCalls.cutTasks(new Set(taskIds));
    return (await Promise.all(taskIds.map((taskId) => broker.revokeFor({ taskId })))).every(Boolean);
  };
  const desk = new Desk({
    ...{ audit, clock, seal, tasks: store.tasks, stop: stopTasks },
    limits: () => live.config().limits,
    agentKeyOf: (id) => live.runtime().identity.agentKeyOf(id),
  });
  const revokeCredentials: CredentialBroker['revokeFor'] = (whose) => broker.revokeFor(whose);
  const suspend = createSuspending({
    ...{ audit, clock, revokeCredentials },
    suspensions: store.suspensions,
    cutConnections: openCalls.cut,
  });
  const violations = createViolations({
    ...{ audit, clock, log, metrics, revokeCredentials, suspend },
    limits: () => live.config().violations,
    store: store.violations,
  });
  shutdown.add(startTaskEnds({ audit, clock, log, tasks: store.tasks, stop: stopTasks }).close);
  const steps = createSteps({
    ...{ agentCalls, approvals, audit, broker, clock, desk, forwarder, log, metrics, openCalls, tracing },
    ...{ violations, webSockets },
    ...{ decisionRecord, outcomeRecord, callLine },
    ways: WAYS,
    tasks: store.tasks,
    marks: store.marks,
    meters: store.meters,
    novelty: store.novelty,
    suspensions: store.suspensions,
    watch: store.watch,
    digests: { of: actionDigest, former: formerActionDigest, request: requestDigest },
    runtime: live.runtime,
    answer: (failed) => answerCall(failed, addresses),
  });
  return { run: createPipeline(steps), agentCalls, openCalls, suspend, desk, stopTasks, violations };
}
