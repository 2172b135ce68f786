// What agents say about tasks, as the API and the tool take it. Unknown members are refused: a word that is misspelt would
// be lost without a sound.

import { z } from 'zod';
import { isJsonObject, type Json, presentMembers } from '../domain/json.ts';
import { GatewayError } from '../errors.ts';

const words = {
  objective: z.string().min(1).max(4_000),
  plan: z.array(z.string().max(4_000)).max(100).default([]),
  labels: z
    .array(z.string().regex(/^[\w.:/-]{1,100}$/))
    .max(50)
    .default([]),
};

interface Form<Said> {
  readonly schema: z.ZodType<Said>;
  readonly words: string;
}

const form = <Said>(schema: z.ZodType<Said>, description: string): Form<Said> => ({ schema, words: description });

export const REVISION = form(z.strictObject(words), 'A task is {"objective": text, "plan": [text], "labels": [text]}.');

export const NEW_TASK = form(
  z.strictObject({ ...words, parent: z.string().max(100).exactOptional() }),
  'A task is {"objective": text, "plan": [text], "labels": [text], "parent": id of a task}.',
);

/** As principals are named everywhere (domain/principal.ts). */
const principal = z
  .string()
  .max(4_000)
  .regex(/^spiffe:\/\/.|.#./);

export const INVITATION = form(
  z.strictObject({ principal }),
  'An invitation is {"principal": id}; an id is a SPIFFE ID or <issuer>#<subject>.',
);

/** Throws `bad_request`. */
export function read<Said>({ schema, words: description }: Form<Said>, said: Json): Said {
  const found = schema.safeParse(isJsonObject(said) ? presentMembers(said) : said);
  if (found.success) return found.data;
  const faults = found.error.issues.map((issue) => `${issue.path.join('.') || 'body'}: ${issue.message}`);
  throw new GatewayError('bad_request', description, { members: { faults } });
}
