// Passkeys, as routes: the list, adding and removing one, and the challenge for a vote on one hold.

import type { Hono } from 'hono';
import { isFresh } from '../../domain/assurance.ts';
import { GatewayError } from '../../errors.ts';
import { type ConsoleEnv, type ConsoleParts, findHold, page, parseJson, readSessionForm } from './console-parts.ts';
import { readChoice, refuseStale } from './hold-routes.ts';
import type { SignedIn } from './layout.ts';
import { renderPasskeys } from './small-pages.ts';

export function mountPasskeys(app: Hono<ConsoleEnv>, parts: ConsoleParts): void {
  const { passkeys, holds, recordPasskey } = parts;
  app.get('/passkeys', async (context) => {
    const { session } = context.var;
    const mine = (await passkeys?.of(session.reviewer)) ?? [];
    const fresh = isFresh(session.reviewer.authenticatedAt, holds.now());
    const offered = passkeys !== undefined;
    return page(context, renderPasskeys({ session, passkeys: mine, offered, fresh, now: holds.now() }));
  });
  if (passkeys === undefined) return;

  // A passkey is a new way to prove who one is, so adding one needs a fresh sign-in.
  const refuseOld = (session: SignedIn) => {
    if (!isFresh(session.reviewer.authenticatedAt, holds.now()))
      throw new GatewayError('step_up_required', 'Adding a passkey takes a fresh sign-in.');
  };
  app.post('/passkeys/begin', async (context) => {
    await readSessionForm(context, parts);
    refuseOld(context.var.session);
    return context.json(await passkeys.beginRegistration(context.var.session.reviewer));
  });
  app.post('/passkeys/add', async (context) => {
    const fields = await readSessionForm(context, parts);
    const { session } = context.var;
    refuseOld(session);
    const label = (fields.get('label') ?? '').trim().slice(0, 60) || 'Passkey';
    const answer = { ticket: fields.get('ticket') ?? '', response: parseJson(fields.get('response') ?? ''), label };
    await passkeys.finishRegistration(session.reviewer, answer, (passkey) =>
      recordPasskey('added', session.reviewer, passkey),
    );
    return context.json({ ok: true });
  });
  app.post('/passkeys/remove', async (context) => {
    const fields = await readSessionForm(context, parts);
    const id = fields.get('id') ?? '';
    await recordPasskey('removed', context.var.session.reviewer, { id });
    await passkeys.remove(context.var.session.reviewer, id);
    return context.redirect('/passkeys', 303);
  });
  app.post('/holds/:id/passkey', async (context) => {
    const fields = await readSessionForm(context, parts);
    const hold = await findHold(context, parts);
    refuseStale(hold, fields);
    const choice = readChoice(fields);
    if (choice === 'withdraw') throw new GatewayError('bad_vote', 'Taking back needs no passkey.');
    return context.json(await passkeys.beginVote(context.var.session.reviewer, hold, choice));
  });
}
