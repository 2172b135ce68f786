// What reviewers send besides votes: a suspension, and the reasons for lifting one or for ending a task. Same
// strictness as ballots.

import { z } from 'zod';
import type { Json } from '../domain/json.ts';
import { isName } from '../domain/name.ts';
import type { Suspended } from '../domain/suspension.ts';
import { accept, type ParseJson, readJson } from './ballot.ts';

const reason = z.string().trim().min(1).max(2_000);
// No caller has a name of another form, so nothing would be suspended.
const name = z.string().max(2_000).refine(isName, { error: 'Use visible characters only, and no blanks at the ends.' });

const MS_PER_UNIT: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const duration = z
  .string()
  .regex(/^[1-9]\d{0,4}[smhd]$/, { error: 'Write a duration with its unit, like 90s, 15m, 1h or 7d.' })
  .transform((text) => Number(text.slice(0, -1)) * (MS_PER_UNIT[text.slice(-1)] ?? 0));
const lasting = { reason, for: duration.exactOptional() };
/** `agent` is the word for the agent by its key, `principal` for anybody by an id; a suspension treats both alike. */
const suspension = z.union([
  z.strictObject({ principal: name, ...lasting }),
  z.strictObject({ agent: name, ...lasting }).transform(({ agent, ...rest }) => ({ ...rest, principal: agent })),
  z.strictObject({ person: name, ...lasting }),
  z.strictObject({ trustDomain: name.regex(/^[a-z0-9._-]+$/), ...lasting }),
  z.strictObject({ task: name, ...lasting }),
  z.strictObject({ upstream: name, ...lasting }),
  z.strictObject({ everything: z.literal(true), ...lasting }),
]);
const withReason = z.strictObject({ reason });

export interface SuspensionBody {
  readonly what: Suspended;
  readonly reason: string;
  /** Absent: until somebody lifts it. */
  readonly forMs?: number;
}

/** Throws `bad_request` for a body of another form. */
export function acceptSuspension(value: Json): SuspensionBody {
  const { reason: said, for: forMs, ...what } = accept(suspension, value, 'bad_request');
  return { what, reason: said, ...(forMs !== undefined && { forMs }) };
}

/** Throws `bad_request` for an empty or overlong reason. */
export const acceptReason = (value: Json): string => accept(withReason, value, 'bad_request').reason;

/** Throws as `readBallot` does, with `bad_request` for a body of another form. */
export const readSuspension = async (request: Request, parseJson: ParseJson): Promise<SuspensionBody> =>
  acceptSuspension(await readJson(request, parseJson));

export const readReason = async (request: Request, parseJson: ParseJson): Promise<string> =>
  acceptReason(await readJson(request, parseJson));
