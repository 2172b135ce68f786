// Channels that tiers and rules name.

import type { Fault } from '../../settings/faults.ts';
import { checkName } from './names.ts';
import type { Sections } from './sections.ts';

export function* checkChannels({ notifications, tiers, rules }: Sections): Generator<Fault> {
  if (notifications === undefined) return;
  const named: readonly (readonly [Fault['path'], readonly string[] | undefined])[] = [
    ...Object.entries(tiers).map(([name, tier]) => [['tiers', name, 'notify'], tier?.notify] as const),
    ...rules.map((rule, index) => [['rules', index, 'notify'], rule?.notify] as const),
  ];
  for (const [path, channels = []] of named)
    for (const [index, channel] of channels.entries())
      yield* checkName('channel', channel, notifications.channels, [...path, index]);
}
