// Issuers of agents among themselves, and beside the issuer of reviewers: no token may count for two of them.

import { authorizationServer, checkIssuers as checkEntries } from '../../identity/issuers.ts';
import type { Fault } from '../../settings/faults.ts';
import type { Sections } from './sections.ts';

export function* checkIssuers({ identity, reviewers }: Sections): Generator<Fault> {
  for (const fault of checkEntries(identity?.issuers ?? []))
    yield { ...fault, path: ['identity', 'issuers', ...fault.path] };
  yield* checkReviewersIssuer({ identity, reviewers });
}

/** Agents and reviewers may share an issuer, as long as their tokens can be told apart. */
function* checkReviewersIssuer({ identity, reviewers }: Pick<Sections, 'identity' | 'reviewers'>): Generator<Fault> {
  const api = reviewers?.api;
  if (api === undefined) return;
  const issuers = identity?.issuers ?? [];
  const audiences = [...(identity?.audience ?? []), ...issuers.flatMap(({ audience }) => audience ?? [])];
  if (audiences.includes(api.audience)) {
    yield {
      path: ['reviewers', 'api', 'audience'],
      message: 'Write another audience: tokens of agents have this one, and reviewers need one of their own.',
    };
  }
  const shared = issuers.find((issuer) => authorizationServer(issuer) === api.issuer);
  if (shared !== undefined && api.clients === undefined) {
    const example = reviewers?.cli?.clientId ?? 'countersign-cli';
    yield {
      path: ['reviewers', 'api', 'clients'],
      message:
        `Set it to the clients through which people sign in, for example [${example}]: agents’ tokens come ` +
        `from the same issuer (${shared.name}).`,
    };
  }
}
