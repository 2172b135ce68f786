// Hold rules that can hold the opening of a WebSocket. Whoever approves one approves the whole session: nothing that is
// said over it is looked at. So the rule has to say that this is known.

import type { Fault } from '../../settings/faults.ts';
import type { Config } from '../schema.ts';
import type { Sections } from './sections.ts';

type RuleConfig = Config['rules'][number];

export function* checkWebSockets({ rules, upstreams }: Sections): Generator<Fault> {
  const sockets = Object.entries(upstreams).flatMap(([name, upstream]) => (upstream?.websocket ? [name] : []));
  for (const [index, rule] of rules.entries()) {
    if (rule === undefined) continue;
    const opens = holdsWebSockets(rule, sockets);
    if (opens && rule.wholeSession === undefined)
      yield {
        path: ['rules', index, 'wholeSession'],
        message:
          'Write `wholeSession: true`: the rule can hold the opening of a WebSocket, and once that is approved, all that ' +
          'follows passes unseen. Or write `upgrade: false` in `match`: then no WebSocket opens without another rule.',
      };
    if (!opens && rule.wholeSession !== undefined)
      yield {
        path: ['rules', index, 'wholeSession'],
        message: 'Remove `wholeSession`: this rule holds no opening of a WebSocket.',
      };
  }
}

function holdsWebSockets({ decide, match }: RuleConfig, sockets: readonly string[]): boolean {
  const { upstream, methods, upgrade, tool, mcp, resource, prompt } = match;
  return (
    decide === 'hold' &&
    upgrade !== false &&
    (methods === undefined || methods.includes('GET')) &&
    [tool, mcp, resource, prompt].every((key) => key === undefined) &&
    (upstream === undefined ? sockets.length > 0 : sockets.includes(upstream))
  );
}
