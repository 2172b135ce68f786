// What pages in a browser may do at an MCP mount (Fetch standard, CORS): pages of the origins that the mount lists may send what MCP clients
// send, and read the answers, refusals too. Answers name the one origin that asked, never all of them, and no credentials of the browser's own
// are allowed: a page has to bring its token. Whether a call is let through is not decided here, but where the message is read (actions/mcp.ts).

import { type HeaderList, header, isListed } from '../domain/headers.ts';
import type { InboundRequest } from '../domain/request.ts';
import type { ResponseSink } from '../domain/upstream.ts';
import { refuseOtherPages, type WebPages } from '../domain/web-pages.ts';
import type { GatewayError } from '../errors.ts';

/** What clients of MCP and of the gateway send besides what every page may. */
const REQUEST_FIELDS = [
  'authorization',
  'content-type',
  'countersign-task',
  'dpop',
  'idempotency-key',
  'last-event-id',
  'mcp-method',
  'mcp-name',
  'mcp-protocol-version',
  'mcp-session-id',
  'prefer',
  'traceparent',
  'tracestate',
];
/** The fields of arguments (MCP 2026-07-28): named when they are asked for, since beside Authorization a wildcard is none. */
const PARAMETER_FIELDS = ['mcp-param-*'];
const ANSWER_FIELDS = [
  'countersign-hold',
  'dpop-nonce',
  'location',
  'mcp-protocol-version',
  'mcp-session-id',
  'preference-applied',
  'proxy-status',
  'retry-after',
  'www-authenticate',
  'x-should-retry',
].join(', ');
const FIELD_NAME = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
/** How long a browser may go by such an answer, seconds: a change of the configuration is seen then. */
const MAX_AGE = '600';
const VARY = 'Access-Control-Request-Method, Access-Control-Request-Headers';

interface Asking {
  readonly method?: string | undefined;
  readonly headers: { readonly origin?: string | undefined; readonly 'access-control-request-method'?: string | undefined };
}

/** Whether a browser asks what a page may send, before it sends that. Such a request has no token. */
export function isPreflight({ method, headers }: Asking): boolean {
  return method === 'OPTIONS' && headers.origin !== undefined && headers['access-control-request-method'] !== undefined;
}

/** The answer to a preflight, besides what `forWebPages` adds. Throws `denied` for an origin that is not listed. */
export function preflightFields({ origins, fields }: WebPages, { headers }: InboundRequest): HeaderList {
  refuseOtherPages(headers, origins);
  const asked = (header(headers, 'access-control-request-headers') ?? '').split(',').map((name) => name.trim().toLowerCase());
  const further = [...PARAMETER_FIELDS, ...fields];
  const granted = asked.filter((name) => FIELD_NAME.test(name) && isListed(further, name));
  return [
    ...['access-control-allow-methods', 'GET, POST, DELETE'],
    ...['access-control-allow-headers', [...new Set([...REQUEST_FIELDS, ...granted])].join(', ')],
    ...['access-control-max-age', MAX_AGE],
    ...['vary', VARY],
  ];
}

/** The answers of a mount that lists origins: caches keep them apart, and a page of a listed one may read them. What the upstream says of this is dropped. */
export function forWebPages(sink: ResponseSink, { origins }: WebPages, origin: string | undefined): ResponseSink {
  if (origins.length === 0) return sink;
  const own =
    origin !== undefined && origins.includes(origin)
      ? ['vary', 'Origin', 'access-control-allow-origin', origin, 'access-control-expose-headers', ANSWER_FIELDS]
      : ['vary', 'Origin'];
  return new WebPagesSink(sink, own);
}

/** Of these the upstream says nothing to a browser; the others count on preflights only, which never reach it. */
const SAID_OF_PAGES = /^access-control-(?:allow-origin|allow-credentials|expose-headers)$/;

class WebPagesSink implements ResponseSink {
  readonly #sink: ResponseSink;
  readonly #own: HeaderList;

  constructor(sink: ResponseSink, own: HeaderList) {
    this.#sink = sink;
    this.#own = own;
  }

  get started(): boolean {
    return this.#sink.started;
  }

  head(status: number, headers: HeaderList): void {
    this.#sink.head(status, this.#with(headers));
  }

  write(chunk: Uint8Array | string): boolean {
    return this.#sink.write(chunk);
  }

  onDrain(callback: () => void): void {
    this.#sink.onDrain(callback);
  }

  whole(status: number, headers: HeaderList, body: Uint8Array | string): void {
    this.#sink.whole(status, this.#with(headers), body);
  }

  end(): void {
    this.#sink.end();
  }

  abort(because?: GatewayError): void {
    this.#sink.abort(because);
  }

  #with(headers: HeaderList): HeaderList {
    return [...headers.filter((_, i) => !SAID_OF_PAGES.test(headers[i - (i % 2)] as string)), ...this.#own];
  }
}
