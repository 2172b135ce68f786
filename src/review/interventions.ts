// What people do besides voting: suspend an agent or a task, lift the suspension, end a task, and look at calls that
// passed. The API and the pages both use this file. Refuses everyone whom `reviewers.killSwitch` or `reviewers.watch`
// does not name.

import type { AuditLog } from '../domain/audit.ts';
import type { HeldTask } from '../domain/hold.ts';
import type { HoldStore } from '../domain/hold-store.ts';
import type { Reviewer } from '../domain/reviewer.ts';
import {
  type Suspended,
  type Suspending,
  type Suspension,
  type SuspensionStore,
  suspendedOf,
} from '../domain/suspension.ts';
import type { Task, TaskStore } from '../domain/task.ts';
import type { PassedCall, WatchStore } from '../domain/watch.ts';
import { GatewayError } from '../errors.ts';
import type { SuspensionBody } from './bodies.ts';

/**
 * What a person may do besides voting. Looked up at each request, so that a reload of the configuration takes effect at
 * once.
 */
export interface Powers {
  /** `reviewers.killSwitch` */
  readonly killSwitch: boolean;
  /** `reviewers.watch`, or `reviewers.killSwitch` where it is not given. */
  readonly watch: boolean;
  /** `reviewers.declassify` */
  readonly declassify: boolean;
}

export interface InterventionParts {
  powersOf(reviewer: Reviewer): Powers;
  readonly suspensions: SuspensionStore;
  readonly watch: WatchStore;
  readonly tasks: TaskStore;
  readonly audit: AuditLog;
  /** Throws `bad_request` for a name that nothing has: a suspension of it would look as if it stopped something. */
  refuseUnknown(what: Suspended): void;
  /** See WholeContentParts. */
  promptOf(task: HeldTask): Promise<string | undefined>;
  /** Cuts the streams of tasks that have ended, and takes back what was minted for them. False: not all of it yet. */
  stopTasks(taskIds: readonly string[]): Promise<boolean>;
  readonly suspend: Suspending;
}

/** A call that passed, and whether its task can still be ended. */
export interface WatchedCall {
  readonly call: PassedCall;
  readonly taskOpen: boolean;
}

/** Each method throws `not_a_reviewer` for people without the power. */
export interface Interventions {
  /** Returns all powers of the person. Throws `not_a_reviewer` without this one. */
  need(reviewer: Reviewer, power: keyof Powers): Powers;
  suspend(
    by: Reviewer,
    body: SuspensionBody,
  ): Promise<{
    readonly suspension: Suspension;
    readonly revoked: number;
    readonly isNew: boolean;
    readonly credentialsRevoked: boolean;
    readonly cut: number;
  }>;
  /** Throws `not_found` when no suspension of this id is in force. */
  find(by: Reviewer, id: string): Suspension;
  lift(by: Reviewer, id: string): Promise<Suspension>;
  /** Throws `task_not_found`. */
  revokeTask(
    by: Reviewer,
    id: string,
    reason: string,
  ): Promise<{ readonly task: Task; readonly credentialsRevoked: boolean }>;
  /** Newest first. */
  passed(
    by: Reviewer,
    query: { readonly limit?: number; readonly after?: string },
  ): Promise<{ readonly passed: readonly WatchedCall[]; readonly next?: string }>;
}

export function createInterventions(parts: InterventionParts, holds: Pick<HoldStore, 'now'>): Interventions {
  const { suspensions, watch, tasks, audit } = parts;

  function need(reviewer: Reviewer, power: keyof Powers): Powers {
    const powers = parts.powersOf(reviewer);
    if (powers[power]) return powers;
    throw new GatewayError('not_a_reviewer', `This is for people whom reviewers.${power} names.`);
  }

  function find(by: Reviewer, id: string): Suspension {
    need(by, 'killSwitch');
    const suspension = suspensions.get(id);
    if (suspension === undefined) throw new GatewayError('not_found', 'No suspension of this id is in force.');
    return suspension;
  }

  return {
    need,
    find,
    async suspend(reviewer, { what, reason, forMs }) {
      need(reviewer, 'killSwitch');
      parts.refuseUnknown(what);
      const until = forMs === undefined ? {} : { until: holds.now() + forMs };
      const { recorded, ...done } = await parts.suspend(what, { by: reviewer.id, reason, ...until });
      // The suspension is in force now. If its record fails, the person who suspended is told.
      const [credentialsRevoked] = await Promise.all([done.credentialsRevoked, recorded]);
      return { ...done, credentialsRevoked };
    },
    async lift(reviewer, wanted) {
      const by = reviewer.id;
      const suspension = find(reviewer, wanted);
      // Lifting lets calls through again, so it is recorded first.
      const lifted = { verb: 'lifted', ...suspendedOf(suspension), suspension: suspension.id, by };
      await audit.append('suspension', holds.now(), lifted, 'fsync');
      await suspensions.lift(suspension.id, by);
      return suspension;
    },
    async revokeTask(reviewer, id, reason) {
      need(reviewer, 'watch');
      const by = reviewer.id;
      const { task, ids } = await tasks.revoke(id, `Reviewer ${by} ended the task: ${reason}`);
      const [credentialsRevoked] = await Promise.all([
        parts.stopTasks(ids),
        audit.append(
          'task',
          holds.now(),
          {
            verb: 'revoked',
            task: id,
            root: task.root,
            revision: task.revision,
            principal: task.agentKey,
            by,
            reason,
          },
          'fsync',
        ),
      ]);
      return { task, credentialsRevoked };
    },
    async passed(reviewer, query) {
      need(reviewer, 'watch');
      const { passed, next } = await watch.list(query);
      const watched = await Promise.all(
        passed.map(async (call) => ({ call, taskOpen: await isOpenTask(tasks, call) })),
      );
      return { passed: watched, ...(next !== undefined && { next }) };
    },
  };
}

async function isOpenTask(tasks: TaskStore, { task }: PassedCall): Promise<boolean> {
  return task !== undefined && (await tasks.get(task.id))?.endedAt === undefined;
}
