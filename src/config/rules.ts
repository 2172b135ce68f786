// The sections about what may happen: tiers of approval, and rules. Only the shape is checked here; policy/ checks
// conditions and paths.

import { z } from 'zod';
import { isName } from '../domain/name.ts';
import { needsOf, OWNER, type TierPeople } from '../domain/tier.ts';
import { requireTask } from '../settings/require-task.ts';
import { duration } from '../settings/units.ts';

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const;

/** A name as tokens carry it: a name of another form would match nobody. */
export const name = () =>
  z.string().refine(isName, {
    error: 'Write the name with visible characters only (Unicode NFC), and with single blanks between words.',
  });

/** A list of people, as tiers and the section `reviewers` name them. */
export const people = () =>
  z
    .array(
      z
        .string()
        .regex(/^(group|user):./, { error: 'Write group:<name> or user:<subject>.' })
        .pipe(name()),
    )
    .min(1);

const LONE_OWNER = 'Write `owner` alone. For owners and other people use `require`, with an entry for each.';

/** The same, or the owners of what a call concerns. */
const seat = () =>
  z
    .array(
      z
        .string()
        .regex(/^(owner$|(group|user):.)/, { error: 'Write group:<name>, user:<subject> or owner.' })
        .pipe(name()),
    )
    .min(1)
    .refine((people) => people.length === 1 || !people.includes(OWNER), { error: LONE_OWNER });

const notify = () => z.array(z.string().min(1)).min(1);

const escalate = () =>
  z
    .strictObject({
      after: duration({ least: '1s', most: '30d' }).describe(
        'How long after the hold was opened; shorter than decideWithin',
      ),
      to: people().describe('Who may vote as well from then on'),
    })
    .transform(({ after, to }) => ({ afterMs: after, to }));

const assurance = () =>
  z
    .strictObject({
      passkey: z.boolean().exactOptional().describe('Each vote must be signed with a passkey, on the page'),
      acr: z
        .array(z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/, { error: 'Write one acr, without blanks.' }))
        .min(1)
        .exactOptional()
        .describe('The voter must have signed in with one of these acr'),
      maxAge: duration({ least: '1m', most: '24h' })
        .exactOptional()
        .describe('How old the voter’s sign-in may be; a passkey counts as a sign-in now'),
    })
    .transform(({ passkey, maxAge, acr }) => ({
      ...(passkey && { passkey: true as const }),
      ...(acr && { acr }),
      ...(maxAge !== undefined && { maxAgeMs: maxAge }),
    }));

const count = () => z.int().min(1).max(20).describe('Distinct people who must approve; default 1');

const need = () =>
  z.strictObject({
    from: z
      .union([z.string().transform((one) => [one]), z.array(z.string())], { error: 'Write a text or a list of texts.' })
      .pipe(seat())
      .describe('Who may sit here: owner, group:<name> or user:<subject>, or a list of people'),
    count: count().default(1),
    escalate: escalate().exactOptional().describe('A second group for this seat, after a while'),
  });

const ONE_FORM = 'Remove this key, or `require`: with `require`, each entry says who decides there.';
const NOBODY = 'This key is required. Write a list, or write `require` in its place.';

const DECIDE_WITHIN_MS = 15 * 60_000;

/** People who are asked only after that get the same time. */
function defaultDecideWithinMs(people: TierPeople): number {
  const last = Math.max(0, ...needsOf(people).map(({ escalate }) => escalate?.afterMs ?? 0));
  return last < DECIDE_WITHIN_MS ? DECIDE_WITHIN_MS : last + DECIDE_WITHIN_MS;
}

export const tier = () =>
  z
    .strictObject({
      reviewers: seat().exactOptional().describe('Who may vote: group:<name>, user:<subject>, or owner alone'),
      count: count().exactOptional(),
      require: z
        .array(need())
        .min(1)
        .max(10)
        .exactOptional()
        .describe('In place of reviewers, count and escalate: one entry for each seat; each needs people of its own'),
      decideWithin: duration({ least: '1s', most: '30d' })
        .exactOptional()
        .describe('How long reviewers may take; default 15m, counted from the last escalation if that comes later'),
      useWithin: duration({ least: '1s', most: '7d' })
        .prefault('2m')
        .describe('How long an approval can be used; default 2m'),
      stepUp: z.boolean().default(false).describe('The same as assurance: { maxAge: 5m }; default false'),
      assurance: assurance().exactOptional().describe('How voters prove who they are: all members are needed'),
      bindSession: z
        .boolean()
        .exactOptional()
        .describe('Whether only the session that asked may use the approval; default false'),
      reasonRequired: z.boolean().default(false).describe('Whether a vote needs a reason; default false'),
      tellAgent: z
        .boolean()
        .exactOptional()
        .describe('Whether the agent is told the reason of a denial; default false'),
      notify: notify().exactOptional().describe('Names under `notifications.channels` that are told of each hold'),
      escalate: escalate().exactOptional().describe('A second group, after a while'),
      requireTask: requireTask('calls that it decides on'),
    })
    .superRefine((tier, issues) => {
      const { reviewers, require } = tier;
      const fault = (key: string, message: string) => issues.addIssue({ code: 'custom', path: [key], message });
      if (require === undefined && reviewers === undefined) fault('reviewers', NOBODY);
      for (const key of ['reviewers', 'count', 'escalate'] as const)
        if (require !== undefined && tier[key] !== undefined) fault(key, ONE_FORM);
    })
    .transform(({ decideWithin: written, useWithin, reviewers, count, escalate, require, ...rest }) => {
      const people: TierPeople =
        require === undefined
          ? { reviewers: reviewers ?? [], count: count ?? 1, ...(escalate && { escalate }) }
          : { require };
      return { ...rest, ...people, decideWithinMs: written ?? defaultDecideWithinMs(people), useWithinMs: useWithin };
    });

export const match = () =>
  z.strictObject({
    upstream: z.string().exactOptional().describe('A name under `upstreams`; default: every upstream'),
    server: z
      .string()
      .exactOptional()
      .describe('MCP: a name under `servers` of the upstream; default: every one of them'),
    methods: z.array(z.enum(METHODS)).min(1).exactOptional().describe('HTTP methods; default: every method'),
    path: z
      .string()
      .regex(/^\//, { error: 'Write a path that starts with `/`.' })
      .exactOptional()
      .describe(
        'URLPattern pathname below the mount, compared with the decoded path; hold and deny rules ignore the ' +
          'case of letters and a last slash; default: every path',
      ),
    upgrade: z
      .boolean()
      .exactOptional()
      .describe(
        'true: requests to open a WebSocket, false: all others; default: for hold and deny both, for allow all others',
      ),
    tool: z
      .string()
      .min(1)
      .exactOptional()
      .describe('MCP: the tool of tools/call, as agents call it; * stands for any text'),
    mcp: z
      .array(z.string().min(1))
      .min(1)
      .exactOptional()
      .describe('MCP: JSON-RPC methods, also those that a server asks of the agent; * stands for any text'),
    resource: z
      .string()
      .min(1)
      .exactOptional()
      .describe('MCP: URI of what a resources/… message names; * stands for any text'),
    prompt: z
      .string()
      .min(1)
      .exactOptional()
      .describe('MCP: the prompt of prompts/get, as agents call it; * stands for any text'),
  });

/** The id of an entry that records and digests name. */
export const entryId = () =>
  z.string().regex(/^[A-Za-z0-9._-]{1,64}$/, { error: 'Use up to 64 letters, digits, dots, hyphens and underscores.' });

const exempt = () =>
  z.strictObject({
    because: z.string().trim().min(1).max(500).describe('Why these calls need no approval'),
    maintainer: z.string().trim().min(1).max(200).describe('Who answers for it'),
    until: z
      .union([z.iso.datetime({ offset: true }), z.iso.date()], {
        error: 'Write a date like 2027-01-31, or a time like 2027-01-31T12:00:00Z.',
      })
      .describe('When it ends; a date ends as it begins, UTC'),
  });

export const rule = () =>
  z.strictObject({
    id: entryId(),
    match: match().describe('What calls the rule is about; every key given must agree'),
    when: z
      .string()
      .min(1)
      .exactOptional()
      .describe('CEL condition; one that fails to evaluate counts as true for hold and deny, as false for allow'),
    decide: z.enum(['allow', 'hold', 'deny']),
    tier: z.string().exactOptional().describe('For hold: a name under `tiers`'),
    message: z
      .string()
      .min(1)
      .max(500)
      .exactOptional()
      .describe('For hold and deny: what the agent is told besides, up to 500 characters'),
    tellFacts: z
      .boolean()
      .exactOptional()
      .describe('Whether the agent is told the facts on which it rests; default: tellFacts of the file'),
    credential: z
      .record(z.string(), z.json())
      .exactOptional()
      .describe('Narrows what is minted; {name} stands for a path parameter'),
    mint: z
      .enum(['perCall'])
      .exactOptional()
      .describe('For allow: perCall makes a credential for each call alone and takes it back after it'),
    notify: notify()
      .exactOptional()
      .describe(
        'Names under `notifications.channels`; with allow or deny, the call is shown on the page Passed, watch',
      ),
    data: z
      .string()
      .min(1)
      .exactOptional()
      .describe('How sensitive what `match` finds is: a label of `sensitivity`; any other text is shown to reviewers'),
    reversible: z
      .boolean()
      .exactOptional()
      .describe('Whether the effect of what `match` finds can be undone; false wins'),
    maintainer: z.string().min(1).max(200).exactOptional().describe('Who keeps this rule, shown to reviewers'),
    wholeSession: z
      .literal(true)
      .exactOptional()
      .describe('For a hold rule that can hold the opening of a WebSocket: what follows an approval passes unseen'),
    exempt: exempt().exactOptional().describe('For allow: the rule holds for a time, and for callers without a mark'),
  });
