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

const suspension = z.union([z.strictObject({ principal: name, reason }), z.strictObject({ task: name, reason })]);
const withReason = z.strictObject({ reason });

export interface SuspensionBody {
  readonly what: Suspended;
  readonly reason: string;
}

/** Throws `bad_request` for a body of another form. */
export function acceptSuspension(value: Json): SuspensionBody {
  const { reason: said, ...what } = accept(suspension, value, 'bad_request');
  return { what, reason: said };
}

/** Throws `bad_request` for an empty or overlong reason. */
export const acceptReason = (value: Json): string => accept(withReason, value, 'bad_request').reason;

/** Throws as `readBallot` does, with `bad_request` for a body of another form. */
export const readSuspension = async (request: Request, parseJson: ParseJson): Promise<SuspensionBody> =>
  acceptSuspension(await readJson(request, parseJson));

export const readReason = async (request: Request, parseJson: ParseJson): Promise<string> =>
  acceptReason(await readJson(request, parseJson));
