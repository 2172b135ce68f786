// Parses what reviewers send: small, strict, without unknown members. Refuses other media types
// (unsupported_media_type), bodies over 16 KiB (payload_too_large), ambiguous JSON (bad_json) and unknown or missing
// members (bad_vote).

import { z } from 'zod';
import type { Ballot } from '../domain/approvals.ts';
import { isJsonObject, type Json, presentMembers } from '../domain/json.ts';
import { GatewayError } from '../errors.ts';

const LARGEST_BODY_BYTES = 16 * 1024;

/** Strict JSON: no duplicate keys, no lone surrogates. Throws `bad_json`. */
export type ParseJson = (bytes: Uint8Array) => Json;

const reason = z
  .string()
  .max(2000)
  .transform((text) => text.trim())
  .optional();

const ballot = z.strictObject({
  decision: z.enum(['approve', 'deny']),
  // Any text is accepted here: a text that is not the hold's digest is refused as stale.
  bindingDigest: z.string().min(1).max(128),
  reason,
});

const revocation = z.strictObject({ reason });

export async function readBallot(request: Request, parseJson: ParseJson): Promise<Ballot> {
  const { reason: said, ...vote } = accept(ballot, await readJson(request, parseJson));
  return said ? { ...vote, reason: said } : vote;
}

/** The reason for taking a hold back; an empty body has none. */
export async function readRevocation(request: Request, parseJson: ParseJson): Promise<string | undefined> {
  const said = accept(revocation, await readJson(request, parseJson)).reason;
  return said || undefined;
}

export async function readJson(request: Request, parseJson: ParseJson): Promise<Json> {
  const type = request.headers.get('content-type') ?? '';
  if (!/^application\/json(?:\s*;\s*charset="?utf-8"?)?$/i.test(type.trim())) {
    throw new GatewayError('unsupported_media_type', 'The reviewers’ API takes application/json in UTF-8.');
  }
  return parseJson(await readBody(request));
}

/** Throws `payload_too_large`. */
export async function readBody(request: Request, limit = LARGEST_BODY_BYTES): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of request.body ?? []) {
    length += chunk.byteLength;
    if (length > limit)
      throw new GatewayError('payload_too_large', `The reviewers’ plane takes bodies of at most ${limit} bytes here.`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Throws `code` for a value that does not fit the schema. */
export function accept<T>(schema: z.ZodType<T>, value: Json, code: 'bad_vote' | 'bad_request' = 'bad_vote'): T {
  const result = schema.safeParse(isJsonObject(value) ? presentMembers(value) : value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  // Names only paths that the schema knows: unknown keys are bytes of the sender.
  const where = issue?.path.join('.') || 'the body';
  throw new GatewayError(
    code,
    issue?.code === 'unrecognized_keys'
      ? 'The body has members that are not known here.'
      : `There is a fault in ${where}.`,
  );
}
