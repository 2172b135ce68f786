// Whether a tier can be decided: enough people, and time for those who are asked later.

import { type Assurance, assuranceOf } from '../../domain/assurance.ts';
import { defined } from '../../domain/defined.ts';
import { asksOwner, needsOf } from '../../domain/tier.ts';
import type { Fault } from '../../settings/faults.ts';
import type { Sections } from './sections.ts';

export function* checkTiers(sections: Sections): Generator<Fault> {
  const { tiers } = sections;
  const noPasskeys = whyNoPasskeys(sections);
  const noOwners = !sections.resources.some((resource) => resource?.owners !== undefined);
  for (const [name, tier] of Object.entries(tiers)) {
    if (tier === undefined) continue;
    if (tier.assurance?.passkey && noPasskeys !== undefined)
      yield { path: ['tiers', name, 'assurance', 'passkey'], severity: 'warning', message: noPasskeys };
    if (isNeverRecent(tier, sections))
      yield { path: ['tiers', name, 'assurance', 'acr'], severity: 'warning', message: NEVER_RECENT };
    for (const need of needsOf(tier)) {
      const { count, from, escalate } = need;
      const at = (...path: string[]) => ['tiers', name, ...need.at, ...path];
      if (escalate !== undefined && escalate.afterMs >= tier.decideWithinMs) {
        yield {
          path: at('escalate', 'after'),
          message: 'Write less than `decideWithin`, so that the people who are asked later have time to decide.',
        };
      }
      if (asksOwner(need)) {
        if (escalate !== undefined) continue;
        yield { path: at(), severity: 'warning', message: noOwners ? NO_OWNERS : OWNERS_ALONE };
        continue;
      }
      const voters = [...from, ...(escalate?.to ?? [])];
      if (voters.some((reviewer) => reviewer.startsWith('group:'))) continue;
      const people = new Set(voters).size;
      if (count > people)
        yield {
          path: at('count'),
          message:
            `Write ${people} or less, or name more reviewers: ${count} people must approve, but only ${people} ` +
            'may vote.',
        };
    }
  }
}

/** Passkeys are taken on the pages only, and belong to a host name (WebAuthn section 5.1.3, RP ID). */
function whyNoPasskeys({ reviewers, listeners }: Sections): string | undefined {
  if (reviewers === undefined || listeners === undefined) return undefined;
  if (reviewers.login === undefined)
    return 'Set `reviewers.login`: passkeys are taken on its pages only, so nobody can vote in this tier.';
  const { url } = listeners.reviewers;
  return url === undefined || /^[\d.]+$|^\[/.test(new URL(url).hostname)
    ? 'Set `listeners.reviewers.url` with a host name: passkeys need one, so nobody can vote in this tier.'
    : undefined;
}

/** A sign-in that is not strong enough for `login.stepUp` has no time that counts. */
function isNeverRecent(
  { stepUp, assurance }: { readonly stepUp: boolean; readonly assurance?: Assurance },
  { reviewers }: Sections,
): boolean {
  const { acr, maxAgeMs } = assuranceOf(defined({ stepUp, assurance }));
  const counted = reviewers?.login?.stepUp.acr ?? [];
  return acr !== undefined && maxAgeMs !== undefined && counted.length > 0 && !acr.some((one) => counted.includes(one));
}

const NEVER_RECENT =
  'Add one of these to `reviewers.login.stepUp.acr`: no sign-in with them counts as recent, so nobody can vote in this ' +
  'tier without a passkey.';

const NO_OWNERS =
  'Set `owners` on an entry of `resources`: none names any, so every call that this tier holds is refused.';

const OWNERS_ALONE =
  'Set `escalate`: where the owners may not decide, or no matching resource names an owner, nobody else can, and the ' +
  'call is refused.';
