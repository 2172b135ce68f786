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

/** RFC 3339. */
const endsBy = z.iso.datetime({ offset: true }).transform((text) => Date.parse(text));
const LARGEST_PROMPT = 64 * 1024;
const prompt = z
  .string()
  .min(1)
  .refine((text) => Buffer.byteLength(text) <= LARGEST_PROMPT, 'A prompt has up to 64 KiB.');
const ofTask = { ...words, endsBy: endsBy.exactOptional(), prompt: prompt.exactOptional() };

export const REVISION = form(
  z.strictObject(ofTask),
  'A task is {"objective": text, "plan": [text], "labels": [text], "prompt": text, "endsBy": time}.',
);

export const NEW_TASK = form(
  z.strictObject({ ...ofTask, parent: z.string().max(100).exactOptional() }),
  'A task is {"objective": text, "plan": [text], "labels": [text], "prompt": text, "parent": id of a task, "endsBy": time}.',
);

/** The objective of an attested task is in its token, where the token says one. */
export const ATTESTED_TASK = form(
  z.strictObject({
    ...ofTask,
    objective: words.objective.exactOptional(),
    parent: z.string().max(100).exactOptional(),
  }),
  NEW_TASK.words,
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
