// Channels that limits on refusals name, limits that count the same, and limits that an agent could turn against others.

import type { Fault } from '../../settings/faults.ts';
import { checkName } from './names.ts';
import type { Sections } from './sections.ts';

const FOR_EVERYBODY =
  'Write `suspend-root` or `suspend-person` unless one person uses this agent alone: whoever gets the agent to make ' +
  'refused calls stops it for everybody.';

export function* checkViolations({ violations = [], notifications }: Sections): Generator<Fault> {
  const seen = new Map<string, number>();
  for (const [index, { count, withinMs, of, reactions }] of violations.entries()) {
    const path = ['violations', index];
    const key = JSON.stringify([count, withinMs, of]);
    const first = seen.get(key);
    if (first !== undefined)
      yield { path, message: `Put what is done into violations[${first}]: it counts the same calls in the same time.` };
    seen.set(key, first ?? index);
    if (reactions.suspend?.what === 'agent')
      yield { path: [...path, 'do'], severity: 'warning', message: FOR_EVERYBODY };
    if (notifications === undefined) continue;
    for (const channel of reactions.notify)
      yield* checkName('channel', channel, notifications.channels, [...path, 'do']);
  }
}
