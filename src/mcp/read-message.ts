// Reads a server's message: one JSON text, bounded in depth and in the number of its members. The text is kept, so that
// an edit of the message changes nothing else in it. Trusts nothing; gives undefined for what cannot be read.

import { isJsonObject, type JsonObject } from '../domain/json.ts';
import { isWithin } from '../domain/json-measure.ts';
import { parseWithSource } from '../domain/json-source.ts';
import { foldKey } from '../domain/normal-forms/keys.ts';

/** Largest message that is read, characters. */
export const LARGEST_MESSAGE = 16 * 1024 * 1024;
/** Results are nested more deeply than calls, because of schemas and of what tools return. */
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
 * Whether no member looks like a member of JSON-RPC in another spelling, which some client's parser could take for it
 * (domain/normal-forms/keys.ts).
 */
const isPlain = (message: JsonObject): boolean =>
  Object.keys(message).every((member) => MEMBERS.has(member) || !MEMBERS.has(foldKey(member)));
