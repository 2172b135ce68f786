// Web pages of the origins that an MCP mount lists may call it and read its answers (Fetch Standard, CORS). A browser
// asks first, without the page's token, so nobody is identified yet. A page gets nothing that its token does not give
// it.

import type { IncomingMessage } from 'node:http';
import { type HeaderList, keepFields } from '../domain/headers.ts';
import type { Mount } from '../domain/mount.ts';
import type { ResponseSink } from '../domain/upstream.ts';
import { RESOURCE_METADATA_PATH } from '../domain/well-known.ts';
import { wrapSink } from '../domain/wrap-sink.ts';
import { GatewayError } from '../errors.ts';

/** What a page's script may read of an answer. */
const EXPOSED = [
  'mcp-session-id',
  'mcp-protocol-version',
  'www-authenticate',
  'dpop-nonce',
  'retry-after',
  'countersign-hold',
  'x-should-retry',
  'proxy-status',
].join(', ');
/** How long a browser may remember the answer. Short, so that a changed list takes effect soon. */
const REMEMBERED_SECONDS = '300';
const FIELD_NAMES = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+(\s*,\s*[!#$%&'*+.^_`|~0-9A-Za-z-]+)*$/;

/** The mount whose endpoint, or whose metadata, this request is for. */
function mountOf({ url = '' }: IncomingMessage, mounts: ReadonlyMap<string, Mount>): Mount | undefined {
  const path = url.startsWith(`${RESOURCE_METADATA_PATH}/`) ? url.slice(RESOURCE_METADATA_PATH.length) : url;
  return mounts.get(/^\/([^/?#]+)\/?(?:\?|$)/.exec(path)?.[1] ?? '');
}

/**
 * The fields that let a page of a listed origin read the answer. Other requests get `Vary`, so that a cache does not
 * give them a page's answer. Undefined where no origin is listed.
 */
export function pageFields(incoming: IncomingMessage, mounts: ReadonlyMap<string, Mount>): HeaderList | undefined {
  const { allowedOrigins = [] } = mountOf(incoming, mounts) ?? {};
  if (allowedOrigins.length === 0) return undefined;
  const { origin } = incoming.headers;
  if (origin === undefined || !allowedOrigins.includes(origin)) return ['vary', 'origin'];
  return ['access-control-allow-origin', origin, 'access-control-expose-headers', EXPOSED, 'vary', 'origin'];
}

/** Whether this is a preflight: a browser asks what a page may send to an MCP mount. */
export function isPreflight(incoming: IncomingMessage, mounts: ReadonlyMap<string, Mount>): boolean {
  const { method, headers } = incoming;
  if (method !== 'OPTIONS' || headers.origin === undefined || headers['access-control-request-method'] === undefined)
    return false;
  return mountOf(incoming, mounts)?.allowedOrigins !== undefined;
}

/** The answer to a preflight of a listed origin, besides `pageFields`. Throws `denied`. */
export function preflightFields(incoming: IncomingMessage, mounts: ReadonlyMap<string, Mount>): HeaderList {
  const { headers } = incoming;
  const { origin = '' } = headers;
  if (mountOf(incoming, mounts)?.allowedOrigins?.includes(origin) !== true)
    throw new GatewayError('denied', 'Web pages of this origin may not call MCP tools here.');
  const asked = headers['access-control-request-headers'];
  const allowed = typeof asked === 'string' && FIELD_NAMES.test(asked) ? ['access-control-allow-headers', asked] : [];
  return [
    'access-control-allow-methods',
    'GET, POST, DELETE',
    ...allowed,
    'access-control-max-age',
    REMEMBERED_SECONDS,
  ];
}

const READING = /^access-control-(allow-origin|allow-credentials|expose-headers)$/;

/** The sink with these fields on its answer. They replace fields of the same meaning from the upstream. */
export function withFields(sink: ResponseSink, fields: HeaderList): ResponseSink {
  const all = (headers: HeaderList): HeaderList => [...keepFields(headers, (name) => !READING.test(name)), ...fields];
  return wrapSink(sink, {
    head: (status, headers) => sink.head(status, all(headers)),
    whole: (status, headers, body) => sink.whole(status, all(headers), body),
  });
}
