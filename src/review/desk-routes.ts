// The reviewers' API besides holds: who am I and how do I decide, the kill switch, what passed unasked, and what people were told.
// Everything here is for people whom `reviewers.killSwitch` or `reviewers.watch` names; others get `not_a_reviewer`.

import type { Context, Hono } from 'hono';
import type { AuditLog } from '../domain/audit.ts';
import type { EpochMs } from '../domain/clock.ts';
import type { HoldStore } from '../domain/hold.ts';
import type { JsonObject } from '../domain/json.ts';
import type { Notification, NotificationOutbox, NotificationState } from '../domain/notification.ts';
import type { Reviewer } from '../domain/reviewer.ts';
import type { Suspended, Suspension, SuspensionStore } from '../domain/suspension.ts';
import type { TaskStore } from '../domain/task.ts';
import type { PassedCall, WatchStore } from '../domain/watch.ts';
import { GatewayError } from '../errors.ts';
import type { ParseJson } from './ballot.ts';
import { readReason, readSuspension } from './bodies.ts';

/** What somebody may do besides voting; looked up at each request, so that a reload counts at once. */
export interface Powers {
  /** `reviewers.killSwitch` */
  readonly killSwitch: boolean;
  /** `reviewers.watch`, or `reviewers.killSwitch` where it is not given. */
  readonly watch: boolean;
}

export interface DeskRoutes {
  powersOf(reviewer: Reviewer): Powers;
  readonly suspensions: SuspensionStore;
  readonly watch: WatchStore;
  readonly notifications: NotificationOutbox;
  readonly tasks: TaskStore;
  readonly audit: AuditLog;
  /** Takes back what was minted and is outstanding; false when some of it could not be taken back yet. */
  revokeCredentials(whose: { readonly principalId: string } | { readonly taskId: string }): Promise<boolean>;
  /** Has the outbox looked at now. */
  wakeNotifier(): void;
}

type Env = { Variables: { reviewer: Reviewer } };
type Held = { readonly holds: HoldStore; readonly parseJson: ParseJson };

const DAY_MS = 24 * 60 * 60_000;
const STATES: readonly NotificationState[] = ['PENDING', 'DELIVERED', 'DEAD'];
const iso = (at: EpochMs): string => new Date(at).toISOString();

/** Registers the routes; the caller has authenticated and set `reviewer`. */
export function addDeskRoutes<E extends Env>(app: Hono<E>, desk: DeskRoutes, { holds, parseJson }: Held): void {
  const record = (verb: string, what: Suspended, more: JsonObject): Promise<unknown> =>
    desk.audit.append('suspension', holds.now(), { verb, ...what, ...more }, 'fsync');

  app.get('/api/v1/me', async (context) => {
    const { reviewer } = context.var;
    const now = holds.now();
    const { decisions, medianSeconds, hasty } = await holds.voteTimes(reviewer.id, now - DAY_MS);
    return context.json({
      id: reviewer.id,
      name: reviewer.name,
      groups: reviewer.groups,
      powers: desk.powersOf(reviewer),
      pace: { since: iso(now - DAY_MS), decisions, medianSeconds, hastyShare: decisions === 0 ? undefined : hasty / decisions, hastyBelowSeconds: 3 },
    });
  });

  app.get('/api/v1/suspensions', (context) => {
    const powers = need(desk, context, 'watch');
    return context.json({ suspensions: desk.suspensions.list().map((suspension) => ({ ...viewSuspension(suspension), youMayLift: powers.killSwitch })) });
  });

  app.post('/api/v1/suspensions', async (context) => {
    need(desk, context, 'killSwitch');
    const by = context.var.reviewer.id;
    const { what, reason } = await readSuspension(context.req.raw, parseJson);
    const { suspension, revoked, isNew } = await desk.suspensions.suspend(what, by, reason);
    // In force by now. It only ever prevents effects, so it does not wait for its record; but who pressed it is told when there is none.
    const filter = 'task' in what ? { taskId: what.task } : { principalId: what.principal };
    const [credentialsRevoked] = await Promise.all([
      desk.revokeCredentials(filter),
      record('suspended', what, { suspension: suspension.id, by, reason, revokedHolds: revoked }),
    ]);
    return context.json({ ...viewSuspension(suspension), revokedHolds: revoked, credentialsRevoked }, isNew ? 201 : 200);
  });

  app.delete('/api/v1/suspensions/:id', async (context) => {
    need(desk, context, 'killSwitch');
    const by = context.var.reviewer.id;
    const suspension = desk.suspensions.get(context.req.param('id'));
    if (suspension === undefined) throw new GatewayError('not_found', 'No suspension of this id is in force.');
    const { id, reason: _, by: __, at: ___, ...what } = suspension;
    // Lifting lets calls through again: on record first.
    await record('lifted', what, { suspension: id, by });
    await desk.suspensions.lift(id, by);
    return context.json({ ...viewSuspension(suspension), liftedBy: by });
  });

  app.get('/api/v1/watch', async (context) => {
    need(desk, context, 'watch');
    const { limit, after } = context.req.query();
    const page = await desk.watch.list({ ...(limit !== undefined && { limit: parseLimit(limit) }), ...(after !== undefined && { after }) });
    const passed = await Promise.all(page.passed.map(async (call) => viewPassed(call, await isOpenTask(desk.tasks, call))));
    return context.json({ passed, next: page.next });
  });

  app.post('/api/v1/tasks/:id/revoke', async (context) => {
    need(desk, context, 'watch');
    const by = context.var.reviewer.id;
    const id = context.req.param('id');
    const reason = await readReason(context.req.raw, parseJson);
    const task = await desk.tasks.revoke(id, `Reviewer ${by} ended the task: ${reason}`);
    const [credentialsRevoked] = await Promise.all([
      desk.revokeCredentials({ taskId: id }),
      desk.audit.append('task', holds.now(), { verb: 'revoked', task: id, revision: task.revision, principal: task.principalId, by, reason }, 'fsync'),
    ]);
    return context.json({ id, endedAt: task.endedAt === undefined ? undefined : iso(task.endedAt), credentialsRevoked });
  });

  app.get('/api/v1/notifications', async (context) => {
    need(desk, context, 'watch');
    const { state = 'all', limit } = context.req.query();
    const list = await desk.notifications.list({ ...parseState(state), ...(limit !== undefined && { limit: parseLimit(limit) }) });
    return context.json({ notifications: list.map(viewNotification) });
  });

  app.post('/api/v1/notifications/:id/retry', async (context) => {
    need(desk, context, 'watch');
    const revived = await desk.notifications.revive(context.req.param('id'));
    desk.wakeNotifier();
    return context.json(viewNotification(revived));
  });
}

function need<E extends Env>(desk: DeskRoutes, context: Context<E>, power: keyof Powers): Powers {
  const powers = desk.powersOf(context.var.reviewer);
  if (powers[power]) return powers;
  throw new GatewayError('not_a_reviewer', `This is for people whom reviewers.${power} names.`);
}

const viewSuspension = ({ at, ...suspension }: Suspension) => ({ ...suspension, at: iso(at) });

function viewPassed({ at, ...call }: PassedCall, taskOpen: boolean) {
  return { ...call, at: iso(at), youMay: { revokeTask: taskOpen } };
}

async function isOpenTask(tasks: TaskStore, { task }: PassedCall): Promise<boolean> {
  return task !== undefined && (await tasks.get(task.id))?.endedAt === undefined;
}

function viewNotification({ createdAt, dueAt, endedAt, state, ...rest }: Notification) {
  return {
    ...rest,
    state: state.toLowerCase(),
    createdAt: iso(createdAt),
    ...(state === 'PENDING' && { nextAttemptAt: iso(dueAt) }),
    ...(endedAt !== undefined && { endedAt: iso(endedAt) }),
  };
}

function parseState(text: string): { readonly state?: NotificationState } {
  if (text === 'all') return {};
  const state = STATES.find((known) => known === text.toUpperCase());
  if (state === undefined) throw new GatewayError('bad_request', 'state takes pending, delivered, dead or all.');
  return { state };
}

function parseLimit(text: string): number {
  const limit = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  if (limit < 1 || limit > 200) throw new GatewayError('bad_request', 'limit takes 1 to 200.');
  return limit;
}
