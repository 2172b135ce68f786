// Names that refer to an entry elsewhere in the file. An unknown one is told together with the names that there are.

import type { Fault } from '../../settings/faults.ts';
import { suggest } from '../../settings/suggestions.ts';

/** What a name can refer to, and the key under which such entries stand. */
const SECTIONS = {
  upstream: 'upstreams',
  server: 'servers',
  credential: 'credentials',
  tier: 'tiers',
  taint: 'taints',
  channel: 'notifications.channels',
};

/** The fault of a name that no entry has; nothing for a known one, and for none at all. */
export function* checkName(
  kind: keyof typeof SECTIONS,
  name: string | undefined,
  entries: object,
  path: Fault['path'],
): Generator<Fault> {
  if (name === undefined || Object.hasOwn(entries, name)) return;
  const known = Object.keys(entries);
  const instead =
    known.length === 0
      ? `Add one under \`${SECTIONS[kind]}\`.`
      : suggest(name, `${kind.charAt(0).toUpperCase()}${kind.slice(1)}s`, known);
  yield { path, message: `There is no ${kind} of this name. ${instead}` };
}
