// Issuers of agents among themselves, and beside the issuer of reviewers: no token may count for two of them.

import type { Fault } from '../../settings/faults.ts';
import type { Sections } from './sections.ts';

export function* checkIssuers({ identity, reviewers }: Sections): Generator<Fault> {
  const issuers = identity?.issuers ?? [];
  const at = (index: number, ...path: string[]) => ['identity', 'issuers', index, ...path];
  const seen = new Set<string>();
  for (const [index, issuer] of issuers.entries()) {
    const keys = [
      ['name', issuer.name],
      issuer.type === 'oidc' ? ['issuer', issuer.issuer] : ['trustDomain', issuer.trustDomain],
    ] as const;
    for (const [key, value] of keys) {
      const entry = `${key} ${value}`;
      if (seen.has(entry))
        yield { path: at(index, key), message: `Write another \`${key}\`: an issuer above has this one already.` };
      seen.add(entry);
    }
  }
  const opaque = issuers.flatMap((issuer, index) =>
    issuer.type === 'oidc' && issuer.introspection !== undefined ? [index] : [],
  );
  for (const index of opaque.slice(1)) {
    yield {
      path: at(index, 'introspection'),
      message: 'Keep `introspection` on one issuer only: an opaque token does not say who issued it.',
    };
  }
  for (const [index, issuer] of issuers.entries()) {
    if (issuer.type !== 'spiffe' || !('spiffeId' in issuer.bundle) || issuer.bundle.bootstrap !== undefined) continue;
    const domain = issuer.bundle.spiffeId.split('/')[2];
    const vouched = issuers.some(
      (other) => other !== issuer && other.type === 'spiffe' && other.trustDomain === domain,
    );
    if (!vouched)
      yield {
        path: at(index, 'bundle', 'bootstrap'),
        message:
          'Set `bootstrap` to a file with the first bundle: no other issuer has the trust domain of the endpoint.',
      };
  }
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
  const shared = issuers.find((issuer) => issuer.type === 'oidc' && issuer.issuer === api.issuer);
  if (shared !== undefined && api.clients === undefined) {
    const example = reviewers?.cli?.clientId ?? 'countersign-cli';
    yield {
      path: ['reviewers', 'api', 'clients'],
      message: `Set it to the clients through which people sign in, for example [${example}]: agents’ tokens come from the same issuer (${shared.name}).`,
    };
  }
}
