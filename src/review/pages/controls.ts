// Routes for stopping agents and tasks: the list of calls that passed, with a button that ends their task, and the list
// of suspensions, with forms to suspend and to lift. Every step is a plain form; interventions.ts does the work, as for
// the API. Anyone without the permission gets `not_a_reviewer` on every route here.

import type { Context, Hono } from 'hono';
import type { JsonObject } from '../../domain/json.ts';
import { acceptReason, acceptSuspension } from '../bodies.ts';
import { createInterventions } from '../interventions.ts';
import { type ConsoleEnv, type ConsoleParts, page, readSessionForm } from './console-parts.ts';
import type { FormFields } from './forms.ts';
import { confirmLift, confirmSuspend, isSuspendedKind, renderSuspensions } from './suspensions-page.ts';
import { confirmRevoke, renderWatch } from './watch-page.ts';

export function mountControls(app: Hono<ConsoleEnv>, parts: ConsoleParts): void {
  const { operations, holds } = parts;
  const interventions = createInterventions(operations, holds);
  const needed = (context: Context<ConsoleEnv>, power: 'killSwitch' | 'watch') => {
    const { session } = context.var;
    interventions.need(session.reviewer, power);
    return session;
  };

  app.get('/watch', async (context) => {
    const session = needed(context, 'watch');
    const { after, done } = context.req.query();
    const { passed, next } = await interventions.passed(session.reviewer, after === undefined ? {} : { after });
    return page(
      context,
      renderWatch({
        passed,
        session,
        now: holds.now(),
        ...(next !== undefined && { next }),
        ...(done !== undefined && { done }),
      }),
    );
  });
  app.post('/watch/confirm', async (context) => {
    const session = needed(context, 'watch');
    const fields = await readSessionForm(context, parts);
    const task = await operations.tasks.get(fields.get('task') ?? '');
    return page(context, confirmRevoke(fields.get('task') ?? '', task?.objective, readReason(fields), session));
  });
  app.post('/watch/revoke', async (context) => {
    const { reviewer } = needed(context, 'watch');
    const fields = await readSessionForm(context, parts);
    const { credentialsRevoked } = await interventions.revokeTask(
      reviewer,
      fields.get('task') ?? '',
      readReason(fields),
    );
    return context.redirect(`/watch?done=${credentialsRevoked ? 'ended' : 'later'}`, 303);
  });

  app.get('/suspensions', (context) => {
    const session = needed(context, 'killSwitch');
    const { done, ...asked } = context.req.query();
    const [kind, name] = Object.entries(asked).find(([key]) => isSuspendedKind(key)) ?? [];
    const chosen =
      kind !== undefined && isSuspendedKind(kind)
        ? { kind, name: name ?? '' }
        : ({ kind: 'principal', name: '' } as const);
    return page(
      context,
      renderSuspensions({
        suspensions: operations.suspensions.list(),
        chosen,
        session,
        now: holds.now(),
        ...(done !== undefined && { done }),
      }),
    );
  });
  app.post('/suspensions/confirm', async (context) => {
    const session = needed(context, 'killSwitch');
    return page(
      context,
      confirmSuspend(acceptSuspension(suspensionIn(await readSessionForm(context, parts))), session),
    );
  });
  app.post('/suspensions', async (context) => {
    const { reviewer } = needed(context, 'killSwitch');
    const body = acceptSuspension(suspensionIn(await readSessionForm(context, parts)));
    const { credentialsRevoked, isNew } = await interventions.suspend(reviewer, body);
    const done = isNew ? 'suspended' : 'already';
    return context.redirect(`/suspensions?done=${credentialsRevoked ? done : 'later'}`, 303);
  });
  app.post('/suspensions/:id/confirm', async (context) => {
    const session = needed(context, 'killSwitch');
    await readSessionForm(context, parts);
    return page(context, confirmLift(interventions.find(session.reviewer, context.req.param('id')), session));
  });
  app.post('/suspensions/:id/lift', async (context) => {
    const { reviewer } = needed(context, 'killSwitch');
    await readSessionForm(context, parts);
    await interventions.lift(reviewer, context.req.param('id'));
    return context.redirect('/suspensions?done=lifted', 303);
  });
}

const readReason = (fields: FormFields): string => acceptReason({ reason: fields.get('reason') ?? '' });

/** The form as a body of the API: it names exactly one thing. */
function suspensionIn(fields: FormFields): JsonObject {
  const kind = fields.get('kind') ?? '';
  const lasting = (fields.get('for') ?? '').trim();
  return {
    [isSuspendedKind(kind) ? kind : 'principal']: kind === 'everything' ? true : (fields.get('name') ?? '').trim(),
    reason: fields.get('reason') ?? '',
    ...(lasting !== '' && { for: lasting }),
  };
}
