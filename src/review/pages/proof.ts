// The proof that tiers ask of a voter (domain/assurance.ts), on the page: what is asked for, what is still unmet, and
// where the person meets it. The vote is judged again in approvals/.

import { html } from 'hono/html';
import { type Assurance, type AssuranceMember, assuranceWords, unmetBy } from '../../domain/assurance.ts';
import type { EpochMs } from '../../domain/clock.ts';
import type { Hold } from '../../domain/hold.ts';
import type { Reviewer } from '../../domain/reviewer.ts';
import type { Html } from './html.ts';

export interface Proof {
  /** What the tiers for which this reviewer votes ask for together. */
  readonly asked: Assurance;
  /** Not met by the sign-in alone. */
  readonly unmet: readonly AssuranceMember[];
  /** Not met even if the vote is signed with a passkey. */
  readonly unmetSigned: readonly AssuranceMember[];
  /** How many passkeys the reviewer has; absent where the console takes none. */
  readonly passkeys?: number;
}

export function proofOf(asked: Assurance, reviewer: Reviewer, passkeys: number | undefined, now: EpochMs): Proof {
  return {
    asked,
    unmet: unmetBy(asked, reviewer, false, now),
    unmetSigned: unmetBy(asked, reviewer, true, now),
    ...(passkeys !== undefined && { passkeys }),
  };
}

export const asksProof = ({ asked }: Proof): boolean => Object.keys(asked).length > 0;

/** Whether a signature by one of the reviewer's passkeys is all that is missing, or an equal alternative. */
export const passkeyIsEnough = ({ passkeys = 0, unmetSigned }: Proof): boolean =>
  passkeys > 0 && unmetSigned.length === 0;

/** Where a person signs in as the tiers ask for, and comes back. */
export function signInPath(to: string, { acr, maxAgeMs }: Assurance): string {
  const query = new URLSearchParams({
    ...(maxAgeMs !== undefined && { max_age: String(Math.floor(maxAgeMs / 1000)) }),
    ...(acr !== undefined && { acr_values: acr.join(' ') }),
    to,
  });
  return `/sign-in?${query}`;
}

/** Nothing where no sign-in helps: a passkey is asked for, and all else is met. */
export function signInAgain(hold: Hold, { asked, unmet, unmetSigned }: Proof, label: string): Html | '' {
  const helps = unmet.includes('passkey') ? unmetSigned.length > 0 : unmet.length > 0;
  return helps ? html`<a class="button" href="${signInPath(`/holds/${hold.id}`, asked)}">${label}</a>` : '';
}

export const asksFor = ({ asked }: Proof): string => `This tier asks for ${assuranceWords(asked).join(', and ')}`;

export function renderProof(hold: Hold, proof: Proof): Html {
  const { asked, unmet, passkeys } = proof;
  if (unmet.length === 0)
    return html`<p class="step-up good">
      ${asksFor(proof)}: ${asked.acr === undefined ? 'yours is recent enough' : 'your sign-in is strong enough'}.</p>`;
  const signIn = signInAgain(hold, proof, 'Sign in again');
  return html`<p class="step-up">
      This tier asks for proof that it is you, now: ${assuranceWords(asked).join(', and ')}.
      ${signIn} ${passkeyHint(unmet, passkeys)}</p>`;
}

function passkeyHint(unmet: Proof['unmet'], passkeys: number | undefined): Html | '' {
  if (passkeys !== undefined && passkeys > 0)
    return unmet.includes('acr') ? '' : html`<span>You can use your passkey at the next step.</span>`;
  if (!unmet.includes('passkey')) {
    // A passkey is no sign-in with an acr.
    const instead = passkeys !== undefined && !unmet.includes('acr') ? ONE_TOUCH : '';
    return html`<span class="quiet">Do this before you write a reason. ${instead}</span>`;
  }
  return passkeys === undefined
    ? html`<span>This console takes no passkeys, because it is reached by an IP address.</span>`
    : html`<span><a href="/passkeys">Add a passkey</a> first.</span>`;
}

const ONE_TOUCH = html`With a <a href="/passkeys">passkey</a> it takes one touch.`;
