// Whether anybody can decide what is held, and where reviewers sign in.

import type { Fault } from '../../settings/faults.ts';
import { destinationsOf, type Sections } from './sections.ts';

export function* checkReviewers({ listeners, rules, reviewers, upstreams }: Sections): Generator<Fault> {
  if (reviewers === undefined) return;
  const { api, login, cli } = reviewers;
  if (cli !== undefined && api === undefined)
    yield { path: ['reviewers', 'cli'], message: 'Set `reviewers.api` too: the terminal signs in there.' };
  if (api === undefined && login === undefined) {
    const message = 'No reviewer can sign in: set `reviewers.login` or `reviewers.api`.';
    for (const { path, toolChanges } of destinationsOf(upstreams))
      if (typeof toolChanges === 'object') yield { path: [...path, 'toolChanges'], message };
    const held = rules.findIndex((rule) => rule?.decide === 'hold');
    if (held !== -1) yield { path: ['rules', held, 'decide'], message };
  }
  // Sessions, sign-ins and passkeys belong to one origin: it has to be known, and no other host may share it.
  if (login === undefined || listeners === undefined) return;
  const { url, address } = listeners.reviewers;
  if (url === undefined && !['127.0.0.1', '::1', 'localhost'].includes(address.host)) {
    yield {
      path: ['listeners', 'reviewers', 'url'],
      message: 'This key is required with `reviewers.login`. Write the URL under which reviewers open the pages.',
    };
  }
}
