// What upstreams refer to, and keys of theirs that exclude one another.

import type { Fault } from '../../settings/faults.ts';
import { checkName } from './names.ts';
import { destinationsOf, type Sections } from './sections.ts';

export function* checkUpstreams({ upstreams, credentials, tiers }: Sections): Generator<Fault> {
  for (const { path, credential, toolChanges } of destinationsOf(upstreams)) {
    yield* checkName('credential', credential, credentials, [...path, 'credential']);
    if (typeof toolChanges === 'object')
      yield* checkName('tier', toolChanges.hold, tiers, [...path, 'toolChanges', 'hold']);
  }
  for (const [name, upstream] of Object.entries(upstreams)) {
    if (upstream?.agentToken !== undefined && upstream.boundHeaders.includes(upstream.agentToken)) {
      yield {
        path: ['upstreams', name, 'boundHeaders'],
        message: 'Remove the field that `agentToken` names: the agent’s token is never sent upstream.',
      };
    }
    if (upstream?.protocol === 'mcp' && upstream.websocket)
      yield {
        path: ['upstreams', name, 'websocket'],
        message: 'Remove `websocket`: an MCP upstream has no WebSocket.',
      };
  }
}
