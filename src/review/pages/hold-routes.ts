// One hold, as routes: its page, the page that asks once more, the vote and taking it back. Every step is judged again
// in approvals/, inside the store's transaction.

import type { Hono } from 'hono';
import { strictestOf } from '../../domain/assurance.ts';
import type { Hold } from '../../domain/hold.ts';
import { GatewayError } from '../../errors.ts';
import { loadHistory } from '../history.ts';
import { permissionsOf } from '../permissions.ts';
import { similarTo } from '../similar.ts';
import { wholeContent } from '../whole-content.ts';
import { type Shown, showAction } from './arguments.ts';
import { type ConsoleEnv, type ConsoleParts, findHold, page, parseJson, readSessionForm } from './console-parts.ts';
import { type Choice, type DecisionPanel, renderConfirmation } from './decision-panel.ts';
import type { FormFields } from './forms.ts';
import { renderHold } from './hold-page.ts';
import type { SignedIn } from './layout.ts';
import { proofOf } from './proof.ts';

export function mountHolds(app: Hono<ConsoleEnv>, parts: ConsoleParts): void {
  const { passkeys, holds, eligibility, approvals } = parts;

  app.get('/holds/:id', async (context) => {
    const { session } = context.var;
    const hold = await findHold(context, parts);
    approvals.opened(hold.id, session.reviewer);
    const similar = await similarTo(parts, hold);
    const history = await loadHistory(holds, eligibility, session.reviewer, hold);
    const content = (await wholeContent(parts, hold)) ?? {};
    const shown = showAction(hold, content);
    const panel = await panelOf(parts, hold, session, shown, context.req.query('done'));
    return page(
      context,
      renderHold({
        hold,
        content,
        session,
        history,
        similar,
        panel,
        shown,
        requirements: eligibility.requirementsOf(hold),
        background: parts.background(hold),
        now: holds.now(),
      }),
    );
  });

  app.post('/holds/:id/confirm', async (context) => {
    const { session } = context.var;
    const fields = await readSessionForm(context, parts);
    const hold = await findHold(context, parts);
    const choice = readChoice(fields);
    refuseStale(hold, fields);
    const shown = showAction(hold, await holds.content(hold.id));
    const panel = await panelOf(parts, hold, session, shown);
    const reason = (fields.get('reason') ?? '').trim();
    if (choice !== 'withdraw') refuseEarly(hold, choice, reason, panel);
    return page(context, renderConfirmation({ hold, shown, choice, reason, panel, session, now: holds.now() }));
  });

  app.post('/holds/:id/vote', async (context) => {
    const { reviewer } = context.var.session;
    const fields = await readSessionForm(context, parts);
    const hold = await findHold(context, parts);
    const choice = readChoice(fields);
    if (choice === 'withdraw') throw new GatewayError('bad_vote', 'A vote approves or denies.');
    const { fault } = showAction(hold, await holds.content(hold.id));
    if (choice === 'approve' && fault !== undefined)
      throw new GatewayError('bad_vote', `What cannot be shown whole is not approved. ${fault}`);
    const bindingDigest = fields.get('bindingDigest') ?? '';
    const reason = (fields.get('reason') ?? '').trim();
    const [ticket, assertion] = [fields.get('ticket'), fields.get('assertion')];
    const passkey =
      ticket && assertion
        ? await passkeys?.verifyVote(reviewer, bindingDigest, choice, ticket, parseJson(assertion))
        : undefined;
    await approvals.vote(hold.id, reviewer, {
      decision: choice,
      bindingDigest,
      ...(reason !== '' && { reason }),
      ...(passkey && { passkey }),
    });
    return context.redirect(`/holds/${hold.id}?done=${choice}`, 303);
  });

  app.post('/holds/:id/withdraw', async (context) => {
    const fields = await readSessionForm(context, parts);
    const hold = await findHold(context, parts);
    refuseStale(hold, fields);
    await approvals.revoke(hold.id, context.var.session.reviewer, fields.get('reason')?.trim() || undefined);
    return context.redirect(`/holds/${hold.id}?done=withdraw`, 303);
  });
}

async function panelOf(
  { holds, eligibility, passkeys }: ConsoleParts,
  hold: Hold,
  { reviewer }: SignedIn,
  { fault }: Shown,
  done?: string,
): Promise<DecisionPanel> {
  const now = holds.now();
  const tiers = eligibility.requirementsOf(hold).filter((requirement) => eligibility.isEligible(requirement, reviewer));
  return {
    permissions: permissionsOf(eligibility, hold, reviewer, now),
    proof: proofOf(strictestOf(tiers), reviewer, (await passkeys?.of(reviewer))?.length, now),
    reasonRequired: tiers.some((tier) => tier.reasonRequired),
    ...(fault !== undefined && { fault }),
    ...(done !== undefined && { done }),
  };
}

export function readChoice(fields: FormFields): Choice {
  const choice = fields.get('decision');
  if (choice !== 'approve' && choice !== 'deny' && choice !== 'withdraw')
    throw new GatewayError('bad_vote', 'The form says neither approve nor deny.');
  return choice;
}

export function refuseStale(hold: Hold, fields: FormFields): void {
  if (fields.get('bindingDigest') !== hold.bindingDigest)
    throw new GatewayError('stale_digest', 'The hold is not the one that you looked at.');
}

/** Refuses at the first step what the last step would refuse. The vote itself is judged again in approvals/. */
function refuseEarly(
  hold: Hold,
  choice: 'approve' | 'deny',
  reason: string,
  { permissions, reasonRequired, fault }: DecisionPanel,
): void {
  if (!permissions[choice])
    throw new GatewayError('hold_closed', permissions.why ?? 'This is not open to you.', { holdId: hold.id });
  if (choice === 'approve' && fault !== undefined)
    throw new GatewayError('bad_vote', `What cannot be shown whole is not approved. ${fault}`);
  if (reasonRequired && reason === '')
    throw new GatewayError('reason_required', 'A tier of this hold asks for a reason.');
}
