// The section about agents that are refused again and again: how often is too often, and what happens then.

import { z } from 'zod';
import { duration } from '../settings/units.ts';

const SCOPES = { 'suspend-root': 'root', 'suspend-person': 'person', 'suspend-agent': 'agent' } as const;

const reaction = () =>
  z.union(
    [
      z.enum(['revoke-credentials', 'suspend-root', 'suspend-person', 'suspend-agent']),
      z.strictObject({ notify: z.string().min(1).describe('A name under `notifications.channels`') }),
    ],
    { error: 'Write `notify: CHANNEL`, `revoke-credentials`, `suspend-root`, `suspend-person` or `suspend-agent`.' },
  );

type Reaction = z.output<ReturnType<typeof reaction>>;

const limit = () =>
  z
    .strictObject({
      count: z.int().min(1).max(1_000).describe('How many calls of one agent must be refused'),
      within: duration({ least: '1s', most: '7d' }).describe('In how long a time, which slides'),
      of: z
        .enum(['deny', 'denied_by_people', 'any'])
        .describe(
          'deny: by the rules; denied_by_people: by reviewers; any: both, and other refusals with 403 of a known caller',
        ),
      do: z.array(reaction()).min(1).describe('What happens then'),
      for: duration({ least: '1s', most: '30d' }).exactOptional().describe('How long a suspension lasts'),
    })
    .superRefine(checkReactions)
    .transform(({ within: withinMs, do: reactions, for: forMs, ...rest }) => {
      const what = scopeIn(reactions);
      return {
        ...rest,
        withinMs,
        reactions: {
          notify: channelsIn(reactions),
          revokeCredentials: reactions.includes('revoke-credentials'),
          ...(what !== undefined && forMs !== undefined && { suspend: { what, forMs } }),
        },
      };
    });

export const violations = () => z.array(limit()).max(32);

const channelsIn = (reactions: readonly Reaction[]): string[] =>
  reactions.flatMap((one) => (typeof one === 'object' ? [one.notify] : []));

function scopeIn(reactions: readonly Reaction[]): 'root' | 'person' | 'agent' | undefined {
  const [first] = reactions.filter((one): one is keyof typeof SCOPES => typeof one === 'string' && one in SCOPES);
  return first === undefined ? undefined : SCOPES[first];
}

function checkReactions(
  { do: reactions, for: forMs }: { readonly do: readonly Reaction[]; readonly for?: number },
  issues: z.RefinementCtx,
): void {
  const refuse = (path: string, message: string) => issues.addIssue({ code: 'custom', path: [path], message });
  const suspensions = reactions.filter((one) => typeof one === 'string' && one in SCOPES).length;
  if (suspensions > 1) refuse('do', 'Write one of `suspend-root`, `suspend-person` and `suspend-agent`.');
  if (suspensions > 0 && forMs === undefined)
    refuse('for', 'This key is required beside a suspension, which must end by itself. Write how long it lasts.');
  if (suspensions === 0 && forMs !== undefined)
    refuse('for', 'Remove `for`, or add a suspension to `do`: nothing else has an end.');
}
