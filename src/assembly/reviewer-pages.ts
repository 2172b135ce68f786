// The pages of the reviewers' plane with their parts: sessions sealed under a key of their own, the sign-in at
// `reviewers.login`, passkeys, and what the configuration in force says beside a hold.

import { dirname, join } from 'node:path';
import { isListed } from '../approvals/quorum.ts';
import type { Config } from '../config/schema.ts';
import { createSealer, type Sealer } from '../credentials/seal.ts';
import { describeCredential } from '../credentials/types.ts';
import type { AuditLog } from '../domain/audit.ts';
import type { Clock } from '../domain/clock.ts';
import type { Logger } from '../domain/log.ts';
import type { Metrics } from '../domain/metrics.ts';
import type { OnceStore } from '../domain/once.ts';
import type { PasskeyStore } from '../domain/passkey.ts';
import { Secret } from '../domain/secret.ts';
import { peopleOf } from '../domain/tier.ts';
import { describeProof } from '../identity/issuers.ts';
import { createLogoutHint } from '../review/logout-hint.ts';
import type { ConsoleOptions } from '../review/pages/console-parts.ts';
import { createPasskeys } from '../review/passkeys.ts';
import { createSessions, type Seal } from '../review/session.ts';
import { createBrowserSignIn } from '../review/sign-in.ts';

export interface PagesParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly audit: Pick<AuditLog, 'append'>;
  readonly passkeys: PasskeyStore;
  readonly once: OnceStore;
  /** The configuration in force, and the digest of its policy, for what the pages say beside a hold. */
  current(): { readonly config: Config; readonly policyDigest: string };
}

/** The console's sign-in among the issuers that refusals are counted by. */
const SIGN_IN = 'reviewers.login';

/** Undefined where nobody can sign in to them. */
export function pagesOf(
  config: Config,
  origin: string,
  { clock, log, metrics, audit, passkeys: store, once, current }: PagesParts,
): ConsoleOptions | undefined {
  const { login } = config.reviewers;
  if (login === undefined) return undefined;
  const now = clock.now;
  const seal = sealOver(createSealer({ keyFile: join(dirname(config.store.path), 'session.key') }));
  const passkeys = createPasskeys({ store, once, seal, origin, now });
  return {
    origin,
    issuer: login.issuer,
    sessions: createSessions({ ...login, seal, once, origin, now }),
    signIn: createBrowserSignIn({
      ...login,
      redirectUri: `${origin}/sign-in/callback`,
      signedOutUri: `${origin}/signed-out`,
      once,
      now,
    }),
    logoutHint: createLogoutHint({ seal, origin, lifeMs: login.lifeMs }),
    onSignInRefused({ code, details: { members } }) {
      metrics.tokenRefused(SIGN_IN, code);
      log.warn('review.sign_in_refused', { code, check: members?.check, issuerError: members?.issuerError });
    },
    isNamedAnywhere: (reviewer) => isListed(peopleIn(current().config), reviewer),
    ...(passkeys && { passkeys }),
    background({ action, policyDigest, principal }) {
      const { config: live, policyDigest: inForce } = current();
      const credential = action.credential && live.credentials[action.credential.name];
      return {
        ...(credential && { credential: describeCredential(credential) }),
        proof: describeProof(principal.kind),
        rule: (id) => (policyDigest === inForce ? describeRule(live.rules.find((rule) => rule.id === id)) : undefined),
      };
    },
    async recordPasskey(event, reviewer, { id }) {
      await audit.append('passkey', clock.now(), { event, reviewer: reviewer.id, passkey: id }, 'fsync');
    },
  };
}

/** Everybody whom a tier, a resource or a section names. */
function peopleIn({
  tiers,
  resources,
  reviewers: { killSwitch = [], watch = [], declassify = [] },
}: Config): readonly string[] {
  const owners = resources.flatMap((resource) => resource.owners ?? []);
  return [...Object.values(tiers).flatMap(peopleOf), ...owners, ...killSwitch, ...watch, ...declassify];
}

/** The sessions' seal over one of credentials/: what does not open is undefined. */
export function sealOver(sealer: Sealer): Seal {
  return {
    seal: (purpose, text) => sealer.seal(purpose, new Secret(text)),
    open(purpose, sealed) {
      try {
        return sealer.open(purpose, sealed).reveal();
      } catch {
        return undefined;
      }
    },
  };
}

function describeRule(rule: Config['rules'][number] | undefined): string | undefined {
  if (rule === undefined) return undefined;
  const match = Object.entries(rule.match).map(
    ([key, value]) => `${key} ${Array.isArray(value) ? value.join(', ') : value}`,
  );
  return `${match.join('; ')}${rule.when === undefined ? '' : ` when ${rule.when}`}`;
}
