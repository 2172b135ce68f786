// The ids of events on streams of a shared mount (MCP 2025 revisions, resumability). An id says where the servers' own
// streams continue: one server's stream for the answer to one request, or every server's for the stream that the agent
// keeps open. An id holds nothing secret. An agent that writes one of its own says no more than a Last-Event-ID could
// say to a server.

import { type HeaderList, header } from '../../domain/headers.ts';
import { SERVER_NAME } from '../../domain/server-names.ts';

type EventPlace =
  /** `rpcId` is the request that the stream answers; absent in the stream that an agent keeps open. */
  | { readonly of: 'answer'; readonly server: string; readonly id: string; readonly rpcId?: string | number }
  | { readonly of: 'all'; readonly ids: Readonly<Record<string, string>> };

const LONGEST = 8 * 1024;
const FIELD = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/;

export const answerEventId = (server: string, id: string, rpcId?: string | number): string =>
  encode(rpcId === undefined ? [server, id] : [server, id, rpcId]);

export const allEventId = (ids: Readonly<Record<string, string>>): string => encode(ids);

const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** Undefined for an id that was not made here. */
export function readEventId(text: string): EventPlace | undefined {
  const value = text.length > LONGEST ? undefined : parse(text);
  if (Array.isArray(value)) {
    const [server, id, rpcId, ...more] = value as unknown[];
    if (!isName(server) || !isId(id) || more.length > 0) return undefined;
    return { of: 'answer', server, id, ...((typeof rpcId === 'string' || typeof rpcId === 'number') && { rpcId }) };
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const ids = Object.entries(value);
  return ids.every(([server, id]) => isName(server) && isId(id))
    ? { of: 'all', ids: Object.fromEntries(ids) }
    : undefined;
}

/** The place that a returning client names. */
export function lastPlace(headers: HeaderList): EventPlace | undefined {
  const last = header(headers, 'last-event-id');
  return last === undefined ? undefined : readEventId(last);
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
