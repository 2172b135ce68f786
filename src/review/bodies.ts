// What reviewers send besides votes: a suspension, and the reasons for lifting one or for ending a task. Same strictness as ballots.

import { z } from 'zod';
import type { Suspended } from '../domain/suspension.ts';
import { accept, type ParseJson, readJson } from './ballot.ts';

const reason = z.string().trim().min(1).max(2_000);
const name = z.string().min(1).max(2_000);

const suspension = z.union([z.strictObject({ principal: name, reason }), z.strictObject({ task: name, reason })]);
const withReason = z.strictObject({ reason });

/** Throws as `readBallot`, with `bad_request` for what is not of the form. */
export async function readSuspension(request: Request, parseJson: ParseJson): Promise<{ readonly what: Suspended; readonly reason: string }> {
  const { reason: said, ...what } = accept(suspension, await readJson(request, parseJson), 'bad_request');
  return { what, reason: said };
}

export async function readReason(request: Request, parseJson: ParseJson): Promise<string> {
  return accept(withReason, await readJson(request, parseJson), 'bad_request').reason;
}
