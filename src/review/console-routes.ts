// The reviewers' API besides holds: the reader and their review speed, the kill switch, calls that passed unasked, and
// notifications. Except for the first, everything here is for people whom `reviewers.killSwitch` or `reviewers.watch`
// names. Others get `not_a_reviewer`.

import type { Hono } from 'hono';
import type { EpochMs } from '../domain/clock.ts';
import type { HoldStore } from '../domain/hold-store.ts';
import { TOO_FAST_SECONDS } from '../domain/metrics.ts';
import type { Notification, NotificationOutbox, NotificationState } from '../domain/notification.ts';
import type { Reviewer } from '../domain/reviewer.ts';
import type { Suspension } from '../domain/suspension.ts';
import { GatewayError } from '../errors.ts';
import type { ParseJson } from './ballot.ts';
import { readReason, readSuspension } from './bodies.ts';
import { createInterventions, type InterventionParts, type WatchedCall } from './interventions.ts';
import type { Eligibility } from './permissions.ts';
import { reviewSpeedOf } from './review-speed.ts';
import { loadTaskTree, viewTaskTree } from './task-tree.ts';

export interface ConsoleRoutes extends InterventionParts {
  readonly notifications: NotificationOutbox;
  /** Makes the worker look at the outbox now. */
  wakeNotifier(): void;
}

type ConsoleRoutesEnv = { Variables: { reviewer: Reviewer } };
type Held = { readonly holds: HoldStore; readonly eligibility: Eligibility; readonly parseJson: ParseJson };

const STATES: readonly NotificationState[] = ['PENDING', 'DELIVERED', 'DEAD'];
const iso = (at: EpochMs): string => new Date(at).toISOString();

/** Registers the routes; the caller has authenticated and set `reviewer`. */
export function addConsoleRoutes<E extends ConsoleRoutesEnv>(
  app: Hono<E>,
  operations: ConsoleRoutes,
  { holds, eligibility, parseJson }: Held,
): void {
  const interventions = createInterventions(operations, holds);

  app.get('/api/v1/me', async (context) => {
    const { reviewer } = context.var;
    const { id, name, groups } = reviewer;
    const { since, tooFast, ...speed } = await reviewSpeedOf(holds, reviewer);
    return context.json({
      id,
      name,
      groups,
      powers: operations.powersOf(reviewer),
      pace: {
        since: iso(since),
        ...speed,
        ...(speed.decisions > 0 && { hastyShare: tooFast / speed.decisions }),
        hastyBelowSeconds: TOO_FAST_SECONDS,
      },
    });
  });

  app.get('/api/v1/suspensions', (context) => {
    const powers = interventions.need(context.var.reviewer, 'watch');
    return context.json({
      suspensions: operations.suspensions
        .list()
        .map((suspension) => ({ ...viewSuspension(suspension), youMayLift: powers.killSwitch })),
    });
  });

  app.post('/api/v1/suspensions', async (context) => {
    const { reviewer } = context.var;
    interventions.need(reviewer, 'killSwitch');
    const body = await readSuspension(context.req.raw, parseJson);
    const { suspension, revoked, isNew, credentialsRevoked, cut } = await interventions.suspend(reviewer, body);
    return context.json(
      { ...viewSuspension(suspension), revokedHolds: revoked, cutConnections: cut, credentialsRevoked },
      isNew ? 201 : 200,
    );
  });

  app.delete('/api/v1/suspensions/:id', async (context) => {
    const { reviewer } = context.var;
    const suspension = await interventions.lift(reviewer, context.req.param('id'));
    return context.json({ ...viewSuspension(suspension), liftedBy: reviewer.id });
  });

  app.get('/api/v1/watch', async (context) => {
    const { limit, after } = context.req.query();
    interventions.need(context.var.reviewer, 'watch');
    const query = { ...(limit !== undefined && { limit: parseLimit(limit) }), ...(after !== undefined && { after }) };
    const { passed, next } = await interventions.passed(context.var.reviewer, query);
    return context.json({ passed: passed.map(viewPassed), next });
  });

  app.get('/api/v1/tasks/:id', async (context) => {
    const { reviewer } = context.var;
    const of = { holds, eligibility, tasks: operations.tasks };
    return context.json(
      viewTaskTree(await loadTaskTree(of, reviewer, operations.powersOf(reviewer), context.req.param('id'))),
    );
  });

  app.post('/api/v1/tasks/:id/revoke', async (context) => {
    const { reviewer } = context.var;
    interventions.need(reviewer, 'watch');
    const id = context.req.param('id');
    const { task, credentialsRevoked } = await interventions.revokeTask(
      reviewer,
      id,
      await readReason(context.req.raw, parseJson),
    );
    return context.json({
      id,
      endedAt: task.endedAt === undefined ? undefined : iso(task.endedAt),
      credentialsRevoked,
    });
  });

  app.get('/api/v1/notifications', async (context) => {
    interventions.need(context.var.reviewer, 'watch');
    const { state = 'all', limit } = context.req.query();
    const list = await operations.notifications.list({
      ...parseState(state),
      ...(limit !== undefined && { limit: parseLimit(limit) }),
    });
    return context.json({ notifications: list.map(viewNotification) });
  });

  app.post('/api/v1/notifications/:id/retry', async (context) => {
    interventions.need(context.var.reviewer, 'watch');
    const revived = await operations.notifications.revive(context.req.param('id'));
    operations.wakeNotifier();
    return context.json(viewNotification(revived));
  });
}

const viewSuspension = ({ at, until, ...suspension }: Suspension) => ({
  ...suspension,
  at: iso(at),
  ...(until !== undefined && { until: iso(until) }),
});

function viewPassed({ call: { at, ...call }, taskOpen }: WatchedCall) {
  return { ...call, at: iso(at), youMay: { revokeTask: taskOpen } };
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
