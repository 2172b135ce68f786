// What asks for tasks, and who may vouch for them.

import type { Fault } from '../../settings/faults.ts';
import type { Sections } from './sections.ts';

const NOBODY = 'Add an issuer under `identity.taskIssuers`, or write `true`: without one no task is ever attested.';
const TAKEN = 'Write another `name`: an issuer has this one already.';
const AGAIN = 'Write another `issuer`: an entry above has this one already.';

export function* checkTasks({ identity, upstreams, tiers, resources }: Sections): Generator<Fault> {
  const issuers = identity?.taskIssuers ?? [];
  const names = new Set(identity?.issuers.map(({ name }) => name));
  const known = new Set<string>();
  for (const [index, { name, issuer }] of issuers.entries()) {
    if (names.has(name)) yield { path: ['identity', 'taskIssuers', index, 'name'], message: TAKEN };
    if (known.has(issuer)) yield { path: ['identity', 'taskIssuers', index, 'issuer'], message: AGAIN };
    names.add(name);
    known.add(issuer);
  }
  if (identity === undefined || issuers.length > 0) return;
  const asking: readonly (readonly [
    path: readonly (string | number)[],
    entry: { readonly requireTask?: unknown } | undefined,
  ])[] = [
    ...Object.entries(upstreams).map(([name, entry]) => [['upstreams', name], entry] as const),
    ...Object.entries(tiers).map(([name, entry]) => [['tiers', name], entry] as const),
    ...resources.map((entry, index) => [['resources', index], entry] as const),
  ];
  for (const [path, entry] of asking)
    if (entry?.requireTask === 'attested')
      yield { path: [...path, 'requireTask'], severity: 'warning', message: NOBODY };
}
