// Header fields: which are accepted, which are dropped, which may go upstream and which an approval binds. Trusts
// node:http for the syntax of names and values (no controls, no line folding). One table says everything about known
// names. Refuses repeated singletons that decide something, overrides of method or path, and names that a CGI-style
// server would read as another name.

import { BOUND_LISTS, BOUND_ONCE } from '../domain/bound-fields.ts';
import { type HeaderList, header, isListed } from '../domain/headers.ts';
import { oneOfCopies, plainFieldName } from '../domain/normal-forms/fields.ts';
import { overridesMethodByField } from '../domain/normal-forms/methods.ts';
import { GatewayError } from '../errors.ts';

/** What becomes of a field. Flags add up. */
const ONCE = 1;
/** Meant for this connection: never seen behind receive (RFC 9110 section 7.6.1). */
const HOP = 2;
/** Refused wherever it comes. */
const FORBIDDEN = 4;
/** For the gateway itself, or not the agent's to say: the gateway's own steps see it, and it is never forwarded. */
const WITHHELD = 8;
/** Bound by the action digest, and forwarded with a held call. */
const BOUND = 16;
/**
 * Equal copies are one value (RFC 9110 section 5.3 lets a recipient that knows the field join them). Other copies are
 * refused, as with ONCE.
 */
const COPIES = 32;
/** Says something about the sender only. A second one decides nothing and is kept. */
const MAY_REPEAT = 64;
/** A second one makes both invalid (W3C Trace Context section 3.2.2: then a new trace begins). */
const NONE_IF_TWICE = 128;

function flagged(flags: number, names: string): [string, number][] {
  return names.split(' ').map((name) => [name, flags]);
}

const FIELDS: ReadonlyMap<string, number> = new Map([
  ...flagged(HOP, 'connection keep-alive proxy-connection te trailer upgrade http2-settings'),
  ...flagged(ONCE | HOP, 'transfer-encoding'),
  ...flagged(FORBIDDEN, 'x-original-url x-rewrite-url x-original-uri'),
  ...flagged(ONCE | WITHHELD, 'host content-length authorization expect dpop'),
  ...flagged(NONE_IF_TWICE | WITHHELD, 'traceparent'),
  ...flagged(
    WITHHELD,
    'tracestate baggage b3 cookie cookie2 forwarded via x-real-ip x-client-ip x-cluster-client-ip ' +
      'true-client-ip cf-connecting-ip uber-trace-id',
  ),
  ...flagged(
    WITHHELD,
    'x-api-key api-key apikey x-apikey x-auth-token x-access-token x-goog-api-key x-amz-security-token x-vault-token',
  ),
  ...flagged(WITHHELD, 'private-token job-token x-functions-key ocp-apim-subscription-key x-agent-id'),
  ...flagged(
    WITHHELD,
    'x-auth-key x-authorization x-goog-iap-jwt-assertion client-cert client-cert-chain x-original-host max-forwards',
  ),
  ...flagged(ONCE | BOUND, BOUND_ONCE),
  ...flagged(BOUND, BOUND_LISTS),
  ...flagged(ONCE, 'origin content-md5'),
  ...flagged(ONCE | WITHHELD, 'txn-token'),
  ...flagged(MAY_REPEAT, 'user-agent referer from date'),
]);

const UNKNOWN = 0;

const WITHHELD_PREFIXES: readonly string[] = [
  'x-forwarded-',
  'proxy-',
  'x-envoy-',
  'x-b3-',
  'x-countersign-',
  'sec-websocket-',
];

/**
 * Rules for names that share a beginning: gateway fields, forwarding claims, tracing and credentials of other products.
 */
function flagsOf(name: string): number {
  const known = FIELDS.get(name);
  if (known !== undefined) return known;
  if (name.startsWith('mcp-')) return COPIES | BOUND;
  if (name.startsWith('countersign-')) return ONCE | WITHHELD;
  if (WITHHELD_PREFIXES.some((prefix) => name.startsWith(prefix))) return WITHHELD;
  return overridesMethodByField(name) ? FORBIDDEN : UNKNOWN;
}

export interface AcceptedFields {
  readonly headers: HeaderList;
  /** The message has `Transfer-Encoding: chunked`. */
  readonly chunked: boolean;
  /** The message asks for a WebSocket. Other protocols that it offers are none of the gateway's. */
  readonly webSocket: boolean;
}

/** How many fields a request may have. */
const MAX_FIELDS = 128;

/**
 * The fields of a request as the gateway goes on with them: names in lower case, without hop-by-hop fields, without
 * what `Connection` nominates, and without names that hold `_`. Throws `bad_host` for a second Host; `bad_header` for
 * another repeated singleton that decides something, for an override of method or path, for a `Connection` that
 * nominates a field with a meaning here, and for `_` spellings of such fields; `header_too_large` for more than 128
 * fields.
 *
 * `x_forwarded_for` and unknown names with `_` are dropped, as nginx does; `content_type`, `authorization` written with
 * `_`, and the like are refused, because dropping them would change what the caller believes to have sent. Other odd
 * spellings (`x.agent.id`) are treated so where they stand for a known field.
 */
export function acceptFields(raw: readonly string[]): AcceptedFields {
  if (raw.length > 2 * MAX_FIELDS)
    throw new GatewayError('header_too_large', `The request has more than ${MAX_FIELDS} header fields.`);
  const accepted: string[] = [];
  const traceparents: string[] = [];
  let nominated: string[] | undefined;
  let chunked = false;
  let webSocket = false;
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = (raw[i] as string).toLowerCase();
    const value = raw[i + 1] as string;
    const flags = flagsOf(name);
    if ((flags & FORBIDDEN) !== 0) throw refusal('A header field would override the method or the path.');
    if ((flags & HOP) !== 0) {
      if (name === 'connection') nominated = nominate(value, nominated);
      else if (name === 'upgrade') webSocket ||= offersWebSocket(value);
      else if (name === 'transfer-encoding') {
        if (chunked || value.toLowerCase() !== 'chunked')
          throw refusal('The only Transfer-Encoding accepted is chunked, once.');
        chunked = true;
      }
      continue;
    }
    if (name.includes('_') || isDisguised(name)) {
      checkUnderscore(name);
      continue;
    }
    if ((flags & (ONCE | COPIES | NONE_IF_TWICE)) === 0) accepted.push(name, value);
    else if ((flags & NONE_IF_TWICE) !== 0) traceparents.push(value);
    else addOnce(accepted, name, (flags & COPIES) !== 0 && COMMALESS.has(name) ? oneOfCopies(value) : value, flags);
  }
  const [only, ...others] = traceparents;
  if (only !== undefined && others.length === 0) accepted.push('traceparent', only);
  return { headers: nominated === undefined ? accepted : without(accepted, nominated), chunked, webSocket };
}

/** Also with a version, and as one of several protocols. */
function offersWebSocket(value: string): boolean {
  return value.split(',').some((protocol) => /^websocket(?:\/|$)/i.test(protocol.trim()));
}

/** Values of these never hold a comma, so a list in one is its copies. */
const COMMALESS: ReadonlySet<string> = new Set(['mcp-protocol-version', 'mcp-method', 'mcp-session-id']);

function addOnce(accepted: string[], name: string, value: string, flags: number): void {
  const known = header(accepted, name);
  if (known === undefined) accepted.push(name, value);
  else if ((flags & COPIES) === 0 || known !== value) throw repeated(name);
}

function repeated(name: string): GatewayError {
  if (name === 'host') return new GatewayError('bad_host', 'The request has more than one Host field.');
  return refusal(
    FIELDS.has(name)
      ? `The request has more than one ${name} field.`
      : 'A header field that may occur once occurs twice.',
  );
}

/** Whether it is another spelling of a field that means something here. */
function isDisguised(name: string): boolean {
  const plain = plainFieldName(name);
  return plain !== name && flagsOf(plain) !== UNKNOWN;
}

/** Servers that map fields to variables read `Content_Type` as `Content-Type` (CVE-2026-39858). */
function checkUnderscore(name: string): void {
  const flags = flagsOf(plainFieldName(name));
  if ((flags & (ONCE | COPIES | BOUND | FORBIDDEN)) !== 0)
    throw refusal('A header field name uses an underscore where a known field has a hyphen.');
}

/** Adds the fields that a `Connection` value nominates beyond the standard options. */
function nominate(value: string, nominated: string[] | undefined): string[] | undefined {
  const option = value.toLowerCase();
  if (option === 'keep-alive' || option === 'close') return nominated;
  const names = nominated ?? [];
  for (const item of option.split(',')) {
    const name = item.trim();
    if (name === '' || name === 'close' || (flagsOf(name) & HOP) !== 0) continue;
    if ((flagsOf(name) & (ONCE | COPIES | BOUND)) !== 0)
      throw refusal('The Connection field nominates a field that is not meant for one connection only.');
    names.push(name);
  }
  return names;
}

function without(headers: HeaderList, names: readonly string[]): string[] {
  const kept: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    if (!names.includes(headers[i] as string)) kept.push(headers[i] as string, headers[i + 1] as string);
  }
  return kept;
}

/**
 * What of accepted fields may go upstream with an allowed call: all but credentials, cookies, framing, tracing,
 * forwarding claims, and what is addressed to the gateway (`Countersign-*`; `wait` and `respond-async` in `Prefer`).
 * `withheld` names further fields in lower case, such as the one that carries the agent's token.
 */
export function forwardableHeaders(headers: HeaderList, withheld: readonly string[] = []): HeaderList {
  const forwardable: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    if ((flagsOf(name) & (WITHHELD | HOP | FORBIDDEN)) !== 0 || withheld.includes(name)) continue;
    const value = name === 'prefer' ? upstreamPreferences(headers[i + 1] as string) : (headers[i + 1] as string);
    if (value !== undefined) forwardable.push(name, value);
  }
  return forwardable;
}

/**
 * The fields that the action digest binds, and the only ones a held call forwards: the allow-list (content negotiation,
 * conditions, ranges, `Idempotency-Key`, `Mcp-*`) and `extra` (lower case, `x-ms-*` for all that begin so; what may
 * never be forwarded stays out). Sorted by name; repeats keep their order.
 */
export function boundHeaders(
  headers: HeaderList,
  extra: readonly string[],
  withheld: readonly string[] = [],
): HeaderList {
  const forwardable = forwardableHeaders(headers, withheld);
  const bound: [string, string][] = [];
  for (let i = 0; i < forwardable.length; i += 2) {
    const name = forwardable[i] as string;
    if ((flagsOf(name) & BOUND) !== 0 || isListed(extra, name)) bound.push([name, forwardable[i + 1] as string]);
  }
  return bound.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)).flat();
}

/** A Prefer value (RFC 7240) without what is said to the gateway; undefined when nothing is left. */
function upstreamPreferences(value: string): string | undefined {
  const kept = splitList(value).filter((item) => !/^(?:wait|respond-async)\s*(?:[=;]|$)/i.test(item));
  return kept.length === 0 ? undefined : kept.join(', ');
}

/**
 * The items of a comma-separated list; commas in quoted strings do not separate. A loop, because a regular expression
 * would backtrack.
 */
function splitList(value: string): string[] {
  const items: string[] = [];
  let quoted = false;
  let start = 0;
  for (let i = 0; i <= value.length; i++) {
    const char = value[i];
    if (char === '"') quoted = !quoted;
    else if (char === '\\' && quoted) i++;
    else if (char === undefined || (char === ',' && !quoted)) {
      const item = value.slice(start, i).trim();
      if (item !== '') items.push(item);
      start = i + 1;
    }
  }
  return items;
}

function refusal(detail: string): GatewayError {
  return new GatewayError('bad_header', detail);
}
