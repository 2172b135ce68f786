// Deciding, in two steps: a reason and a verdict here, then a page that names the action and asks once more. Plain
// forms, so it works without scripts, except for passkeys. When a reviewer may not do something, the panel says why.

import { html } from 'hono/html';
import type { EpochMs } from '../../domain/clock.ts';
import type { Hold } from '../../domain/hold.ts';
import { runsOutAt } from '../inbox.ts';
import type { Permissions } from '../permissions.ts';
import { renderAction, type Shown } from './arguments.ts';
import { alert, type Html, timeLeft, words } from './html.ts';
import { renderPage, type SignedIn } from './layout.ts';
import { asksFor, asksProof, type Proof, passkeyIsEnough, renderProof, signInAgain } from './proof.ts';
import { sentence } from './sentence.ts';

export type Choice = 'approve' | 'deny' | 'withdraw';

export interface DecisionPanel {
  readonly permissions: Permissions;
  readonly proof: Proof;
  /** Whether a tier for which this reviewer votes asks for a reason. */
  readonly reasonRequired: boolean;
  /** Why the action cannot be shown whole. */
  readonly fault?: string;
  /** What has just been done here. */
  readonly done?: string;
}

const DONE: Readonly<Record<string, string>> = {
  approve: 'Your approval is counted.',
  deny: 'Your denial is counted. The call will not be made.',
  withdraw: 'It is taken back. The call will not be made.',
};

export function renderDecision(hold: Hold, panel: DecisionPanel, session: SignedIn, now: EpochMs): Html {
  const { permissions, fault } = panel;
  const done = panel.done === undefined ? undefined : DONE[panel.done];
  const open = permissions.approve || permissions.deny || permissions.revoke;
  const off = html`<p class="why" id="not-whole">Approve is off: the action cannot be shown whole. ${fault}</p>`;
  return html`<section class="panel" id="decide">
    <h2>Decide ${hold.state === 'PENDING' ? timeLeft(hold.deadline, now) : ''}</h2>
    ${done === undefined ? '' : alert(done, 'good')}
    ${permissions.why === undefined ? '' : html`<p class="why">${permissions.why}</p>`}
    ${open ? renderForm(hold, panel, session) : html`<p class="quiet">${closing(hold)}</p>`}
    ${fault !== undefined && permissions.approve ? off : ''}</section>`;
}

function renderForm(hold: Hold, panel: DecisionPanel, session: SignedIn): Html {
  const { permissions, reasonRequired, fault } = panel;
  const hint = reasonRequired ? '(this tier asks for one)' : '(optional; kept in the record)';
  const off = fault === undefined ? '' : html`disabled aria-describedby="not-whole"`;
  const approve = html`<button class="approve" id="approve" name="decision" value="approve" ${off}>Approve…</button>`;
  const deny = html`<button class="deny" id="deny" name="decision" value="deny">Deny…</button>`;
  const withdraw = html`<button id="withdraw" name="decision" value="withdraw">Take it back…</button>`;
  const proves = asksProof(panel.proof) && (permissions.approve || permissions.deny);
  return html`${proves ? renderProof(hold, panel.proof) : ''}
    <form method="post" action="/holds/${hold.id}/confirm" class="decision">
      <input type="hidden" name="csrf" value="${session.csrf}">
      <input type="hidden" name="bindingDigest" value="${hold.bindingDigest}">
      <label for="reason">Reason <span class="quiet">${hint}</span></label>
      <textarea id="reason" name="reason" rows="3" maxlength="2000" ${reasonRequired ? 'required' : ''}></textarea>
      <div class="buttons">
        ${permissions.approve ? approve : ''}
        ${permissions.deny ? deny : ''}
        ${permissions.revoke && !permissions.approve ? withdraw : ''}
      </div>
      <p class="quiet">The next step shows the action once more before anything counts.</p>
    </form>`;
}

/**
 * What became of the hold, or what it waits for. Says "Nothing was executed" only when the state alone makes that
 * certain.
 */
function closing(hold: Hold): string {
  switch (hold.state) {
    case 'PENDING':
      return 'You cannot decide on this hold. If nobody decides in time, nothing is executed.';
    case 'APPROVED':
      return 'It is approved. The agent has not sent the call again yet.';
    case 'RELEASING':
    case 'SENT':
      return 'It was approved and is being sent.';
    case 'EXECUTED':
      return `It was approved and sent; the upstream answered ${hold.outcomeStatus}.`;
    case 'UPSTREAM_ERROR':
      return hold.outcomeStatus === undefined
        ? 'It was approved, and the upstream could not be reached. Nothing was executed.'
        : `It was approved and sent; the upstream answered ${hold.outcomeStatus}. It may have taken effect.`;
    case 'OUTCOME_UNKNOWN':
      return 'It was approved and sent, and nobody knows whether it took effect. Look at the upstream.';
    case 'EXPIRED':
      if (hold.expiryReason === 'unused')
        return 'It was approved, and the agent did not send the call again in time. Nothing was executed.';
      if (hold.expiryReason === 'abandoned')
        return 'It was approved, and something failed before the call was sent. Nothing was executed.';
      return 'It expired: nobody decided in time. Nothing was executed.';
    default:
      return 'There is nothing left to decide. Nothing was executed.';
  }
}

export interface Confirmation {
  readonly hold: Hold;
  /** The whole action: who approves sees every member of it once more. */
  readonly shown: Shown;
  readonly choice: Choice;
  readonly reason: string;
  readonly panel: DecisionPanel;
  readonly session: SignedIn;
  readonly now: EpochMs;
}

const VERBS: Readonly<Record<Choice, { readonly title: string; readonly button: string; readonly says: string }>> = {
  approve: {
    title: 'Approve this?',
    button: 'Approve: let it happen',
    says: 'If you approve, this will happen, with a credential of the gateway:',
  },
  deny: {
    title: 'Deny this?',
    button: 'Deny: it must not happen',
    says: 'If you deny, this will not happen, whoever else has approved:',
  },
  withdraw: {
    title: 'Take this back?',
    button: 'Take it back',
    says: 'If you take it back before it is used, this will not happen:',
  },
};

export function renderConfirmation({ hold, shown, choice, reason, panel, session, now }: Confirmation): Html {
  const { title, button, says } = VERBS[choice];
  const { proof } = panel;
  const proves = choice !== 'withdraw' && asksProof(proof);
  const confirm = html`<button class="${choice}" id="confirm">${button}</button>`;
  const withPasskey = html`<button type="button" id="passkey" data-hold="${hold.id}" hidden>
          ${button}, signed with your passkey</button>`;
  return renderPage(
    { title, session, scripts: ['passkey.js'] },
    html`<section class="confirm ${choice}" aria-labelledby="confirm-title">
    <h1 id="confirm-title">${title}</h1>
    <p>${says}</p>
    <blockquote class="action"><p>${sentence(hold)}</p></blockquote>
    ${choice === 'approve' ? renderAction(hold, shown) : ''}
    ${hold.reversible === false && choice === 'approve' ? html`<p class="why bad">It cannot be undone.</p>` : ''}
    ${reason === '' ? '' : html`<p>Your reason: <q>${words(reason)}</q></p>`}
    <p class="quiet">Bound to <code>${hold.bindingDigest.slice(0, 8)}…</code> · ${timeLeft(runsOutAt(hold), now)}</p>
    <form method="post" action="/holds/${hold.id}/${choice === 'withdraw' ? 'withdraw' : 'vote'}" id="final">
      <input type="hidden" name="csrf" value="${session.csrf}">
      <input type="hidden" name="bindingDigest" value="${hold.bindingDigest}">
      <input type="hidden" name="decision" value="${choice}">
      <input type="hidden" name="reason" value="${reason}">
      <input type="hidden" name="ticket" value="">
      <input type="hidden" name="assertion" value="">
      <div class="buttons">
        ${proves && passkeyIsEnough(proof) ? withPasskey : ''}
        ${proves && proof.unmet.length > 0 ? renderSignInAgain(hold, proof) : confirm}
        <a class="button" href="/holds/${hold.id}">Go back</a>
      </div>
    </form>
    <p id="passkey-status" role="alert" class="why" hidden></p></section>`,
  );
}

function renderSignInAgain(hold: Hold, proof: Proof): Html {
  const again = signInAgain(hold, proof, 'Sign in again first');
  return passkeyIsEnough(proof) ? html`${again}` : html`<span class="why">${asksFor(proof)}.</span>${again}`;
}
