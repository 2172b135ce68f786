// The ids of events on streams of a shared mount (MCP 2025 revisions, resumability). An id says where each server's own stream is to go on:
// one server's, for the answer to one request, or every server's, for the stream that the agent keeps open. They hold nothing secret, and
// what an agent writes into one is no more than what it could say to a server as its Last-Event-ID.

import { SERVER_NAME } from '../domain/server-names.ts';

type EventPlace =
  | { readonly of: 'answer'; readonly server: string; readonly id: string }
  | { readonly of: 'all'; readonly ids: Readonly<Record<string, string>> };

const LONGEST = 8 * 1024;
const FIELD = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/;

export const answerEventId = (server: string, id: string): string => encode([server, id]);

export const allEventId = (ids: Readonly<Record<string, string>>): string => encode(ids);

const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** Undefined for what was not made here. */
export function readEventId(text: string): EventPlace | undefined {
  const value = text.length > LONGEST ? undefined : parse(text);
  if (Array.isArray(value)) {
    const [server, id, ...more] = value as unknown[];
    return isName(server) && isId(id) && more.length === 0 ? { of: 'answer', server, id } : undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const ids = Object.entries(value);
  return ids.every(([server, id]) => isName(server) && isId(id)) ? { of: 'all', ids: Object.fromEntries(ids) } : undefined;
}

const isName = (value: unknown): value is string => typeof value === 'string' && SERVER_NAME.test(value);
const isId = (value: unknown): value is string => typeof value === 'string' && FIELD.test(value);

function parse(text: string): unknown {
  try {
    return JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
  } catch {
    return undefined;
  }
}
