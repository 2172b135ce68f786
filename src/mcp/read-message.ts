// A message of a server's, as it came: one JSON text that is neither too deep nor too full to be read at once. The text
// is remembered, so that what is changed in the message is all that changes in it. Trusts nothing; undefined for
// whatever cannot be read.

import { isJsonObject, type JsonObject } from '../domain/json.ts';
import { isWithin } from '../domain/json-measure.ts';
import { parseWithSource } from '../domain/json-source.ts';
import { foldKey } from '../domain/normal-forms/keys.ts';

/** Largest message that is read, characters. */
export const LARGEST_MESSAGE = 16 * 1024 * 1024;
/** Results are nested more deeply than calls: schemas, and what tools give back. */
const MEASURE = { depth: 128, marks: 300_000 };

/** RFC 8259 section 8.1 lets a reader ignore a byte order mark. */
export const withoutMark = (text: string): string => (text.startsWith('\ufeff') ? text.slice(1) : text);

export function readMessage(json: string): JsonObject | undefined {
  const text = withoutMark(json);
  if (text.length > LARGEST_MESSAGE || !isWithin(text, MEASURE)) return undefined;
  try {
    const message = parseWithSource(text);
    return isJsonObject(message) && isPlain(message) ? message : undefined;
  } catch {
    return undefined;
  }
}

const MEMBERS: ReadonlySet<string> = new Set(['jsonrpc', 'id', 'method', 'params', 'result', 'error']);

/**
 * No member that a client's parser could take for one of JSON-RPC's, and that is not written so
 * (domain/normal-forms/keys.ts).
 */
const isPlain = (message: JsonObject): boolean =>
  Object.keys(message).every((member) => MEMBERS.has(member) || !MEMBERS.has(foldKey(member)));
