// What the `match` of rules, resources and meters refers to: an upstream, and a server of a shared mount.

import type { Fault } from '../../settings/faults.ts';
import type { Config } from '../schema.ts';
import { checkName } from './names.ts';
import type { Sections } from './sections.ts';

/** Paths from the entry that has the `match`. */
export function* checkMatch(
  match: Config['rules'][number]['match'],
  { upstreams }: Pick<Sections, 'upstreams'>,
): Generator<Fault> {
  const { upstream: name, server } = match;
  if (name === undefined) {
    if (server !== undefined)
      yield { path: ['match', 'server'], message: 'Set `upstream` too: a server is named together with its upstream.' };
    return;
  }
  yield* checkName('upstream', name, upstreams, ['match', 'upstream']);
  const upstream = Object.hasOwn(upstreams, name) ? upstreams[name] : undefined;
  if (upstream === undefined) return;
  if (upstream.protocol === 'http') {
    for (const key of ['tool', 'mcp', 'resource', 'prompt'] as const) {
      if (match[key] !== undefined)
        yield {
          path: ['match', key],
          message: `Remove \`${key}\`, or set \`protocol: mcp\` on the upstream: this one does not speak MCP.`,
        };
    }
  }
  if (server === undefined) return;
  if ('servers' in upstream) yield* checkName('server', server, upstream.servers, ['match', 'server']);
  else yield { path: ['match', 'server'], message: 'Remove `server`: this upstream has no `servers`.' };
}
