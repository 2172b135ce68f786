// What gets past inline proxies, as raw bytes: every list is data, so that the parser's tests and the whole gateway's
// tests use the same. A request is written for a mount and a Host; it asks for `Connection: close` so that a reader
// knows when the answer is complete.

import type { ErrorCode } from '../../src/errors.ts';

interface Aim {
  /** First path segment that exists, for example `api`. */
  readonly mount: string;
  /** Value of Host that is accepted. */
  readonly host: string;
}

export interface HostileRequest {
  readonly name: string;
  /** The gateway's code, or `parser` where node's HTTP parser answers 400 before any handler runs. */
  readonly refusal: ErrorCode | 'parser';
  raw(aim: Aim): string;
}

/** `{mount}` in the target stands for the mount. */
function get(
  name: string,
  refusal: HostileRequest['refusal'],
  target: string,
  lines: readonly string[] = [],
): HostileRequest {
  return {
    name,
    refusal,
    raw: ({ mount, host }) =>
      message([`GET ${target.replaceAll('{mount}', mount)} HTTP/1.1`, `Host: ${host}`, 'Connection: close', ...lines]),
  };
}

function post(
  name: string,
  refusal: HostileRequest['refusal'],
  lines: readonly string[],
  body: string,
  start = 'POST /{mount}/x HTTP/1.1',
): HostileRequest {
  return {
    name,
    refusal,
    raw: ({ mount, host }) =>
      message([start.replaceAll('{mount}', mount), `Host: ${host}`, 'Connection: close', ...lines]) + body,
  };
}

function message(lines: readonly string[]): string {
  return `${lines.join('\r\n')}\r\n\r\n`;
}

const path = (name: string, below: string): HostileRequest => get(name, 'bad_path', `/{mount}${below}`);

export const HOSTILE_PATHS: readonly HostileRequest[] = [
  path('a dot-dot segment', '/a/../b'),
  path('a dot-dot segment at the end', '/a/..'),
  path('a dot segment', '/./a'),
  path('a segment of three dots', '/.../a'),
  path('%2e%2e', '/%2e%2e/admin'),
  path('%2E%2E', '/%2E%2E/admin'),
  path('.%2E', '/.%2E/admin'),
  path('dots and an escaped space', '/..%20/admin'),
  path('an escaped slash in lower case', '/a%2fb'),
  path('an escaped slash (CVE-2021-29492)', '/a%2Fb'),
  path('an escaped backslash', '/a%5Cb'),
  path('a backslash', '/a\\b'),
  path('an empty segment (CVE-2026-26205)', '//a'),
  path('an empty segment at the end', '/a//'),
  path('a path parameter', '/a;b=c'),
  path('..; (Tomcat)', '/..;/admin'),
  path('an escaped semicolon', '/a%3Bb'),
  path('an escaped NUL', '/a%00'),
  path('an escaped line feed', '/a%0Ab'),
  path('a doubly escaped dot', '/%252e%252e/a'),
  path('an overlong dot', '/%C0%AE%C0%AE/a'),
  path('an overlong slash', '/a%C0%AFb'),
  path('an escaped surrogate', '/%ED%A0%80'),
  path('a cut UTF-8 sequence', '/%C3'),
  path('a fullwidth full stop', '/%EF%BC%8E%EF%BC%8E/a'),
  path('a fullwidth slash', '/a%EF%BC%8Fb'),
  path('a fullwidth letter', '/%EF%BD%81dmin'),
  path('a two dot leader', '/%E2%80%A5/a'),
  path('a Greek question mark, which normalises to a semicolon', '/a%CD%BEb'),
  path('a zero width joiner', '/.g%E2%80%8Dit'),
  path('a right-to-left override', '/%E2%80%AEnimda'),
  path('a C1 control', '/a%C2%85b'),
  path('a bad escape', '/a%zz'),
  path('a cut escape', '/a%2'),
  path('an IIS escape', '/a%u002e'),
  path('an escaped letter', '/%61dmin'),
  path('a raw quote', '/a"b'),
  path('a raw brace', '/a{b}'),
  path('a fragment (CVE-2021-32779)', '/a#b'),
  path('a fragment after the query', '/a?b#c'),
  path('a bad escape in the query', '/a?b=%zz'),
  path('an escaped NUL in the query', '/a?b=%00'),
  path('an overlong escape in the query', '/a?b=%C0%AE'),
  path('a method override in the query', '/a?x=1&_method=DELETE'),
  path('an escaped method override in the query', '/a?%5Fmethod=DELETE'),
  path('a method override that PHP renames', '/a?.method=DELETE'),
  path('a method override of Salesforce', '/a?_HttpMethod=PATCH'),
  get('a target that leaves the mount (GHSA-p224-6x5r-fjpm)', 'bad_path', '/{mount}/../other/admin'),
  get('a network-path reference', 'bad_path', '//evil.example/{mount}/a'),
  get('absolute-form', 'bad_path', 'http://evil.example/{mount}/a'),
  post('asterisk-form', 'bad_path', [], '', 'OPTIONS * HTTP/1.1'),
];

function host(name: string, line: string | undefined, refusal: HostileRequest['refusal'] = 'bad_host'): HostileRequest {
  const lines = line === undefined ? [] : [line];
  return { name, refusal, raw: ({ mount }) => message([`GET /${mount}/a HTTP/1.1`, ...lines, 'Connection: close']) };
}

/** Every one is refused both with configured hosts and with `any`. */
export const HOSTILE_HOSTS: readonly HostileRequest[] = [
  host('no Host', undefined, 'parser'),
  { name: 'no Host on HTTP/1.0', refusal: 'bad_host', raw: ({ mount }) => message([`GET /${mount}/a HTTP/1.0`]) },
  {
    name: 'two Hosts',
    refusal: 'bad_host',
    raw: ({ mount, host: good }) =>
      message([`GET /${mount}/a HTTP/1.1`, `Host: ${good}`, 'Host: evil.example', 'Connection: close']),
  },
  {
    name: 'the same Host twice',
    refusal: 'bad_host',
    raw: ({ mount, host: good }) =>
      message([`GET /${mount}/a HTTP/1.1`, `Host: ${good}`, `Host: ${good}`, 'Connection: close']),
  },
  host('an empty Host', 'Host: '),
  host('userinfo in Host', 'Host: good@evil.example'),
  host('a path in Host', 'Host: good.example/evil?x'),
  host('a list in Host', 'Host: good.example, evil.example'),
  host('a trailing dot in Host', 'Host: gw.'),
  host('a port with a leading zero', 'Host: gw:080'),
  host('an empty port', 'Host: gw:'),
  host('a port too large', 'Host: gw:65536'),
  host('a space in Host', 'Host: gw evil'),
];

const CHUNKED_HELLO = '5\r\nhello\r\n0\r\n\r\n';

export const HOSTILE_FRAMING: readonly HostileRequest[] = [
  post(
    'Content-Length with Transfer-Encoding',
    'parser',
    ['Content-Length: 5', 'Transfer-Encoding: chunked'],
    CHUNKED_HELLO,
  ),
  post('two lengths', 'parser', ['Content-Length: 5', 'Content-Length: 6'], 'hello'),
  post('the same length twice', 'parser', ['Content-Length: 5', 'Content-Length: 5'], 'hello'),
  post('a list of lengths', 'parser', ['Content-Length: 5, 5'], 'hello'),
  post('a signed length', 'parser', ['Content-Length: +5'], 'hello'),
  post('a hexadecimal length', 'parser', ['Content-Length: 0x5'], 'hello'),
  post('a length with a leading zero', 'bad_header', ['Content-Length: 05'], 'hello'),
  post('xchunked', 'bad_header', ['Transfer-Encoding: xchunked'], CHUNKED_HELLO),
  post('gzip, chunked', 'bad_header', ['Transfer-Encoding: gzip, chunked'], CHUNKED_HELLO),
  post(
    'identity, then chunked on a second line',
    'bad_header',
    ['Transfer-Encoding: identity', 'Transfer-Encoding: chunked'],
    CHUNKED_HELLO,
  ),
  post('a space before the colon', 'parser', ['Transfer-Encoding : chunked'], CHUNKED_HELLO),
  post('a folded line', 'parser', ['X-A: b', ' Transfer-Encoding: chunked'], CHUNKED_HELLO),
  post('chunked on HTTP/1.0', 'bad_request', ['Transfer-Encoding: chunked'], CHUNKED_HELLO, 'POST /{mount}/x HTTP/1.0'),
  post('a length spelt with an underscore', 'bad_header', ['Content_Length: 5'], ''),
  post('a transfer encoding spelt with an underscore', 'bad_header', ['Transfer_Encoding: chunked'], ''),
  post('an unknown expectation', 'bad_header', ['Expect: 200-ok', 'Content-Length: 5'], 'hello'),
  post('GET with a length', 'bad_request', ['Content-Length: 5'], 'hello', 'GET /{mount}/x HTTP/1.1'),
  post('GET with chunks', 'bad_request', ['Transfer-Encoding: chunked'], CHUNKED_HELLO, 'GET /{mount}/x HTTP/1.1'),
  post('HEAD with a length', 'bad_request', ['Content-Length: 5'], 'hello', 'HEAD /{mount}/x HTTP/1.1'),
  post('TRACE', 'method_not_allowed', [], '', 'TRACE /{mount}/x HTTP/1.1'),
  post('QUERY', 'method_not_allowed', ['Content-Length: 5'], 'hello', 'QUERY /{mount}/x HTTP/1.1'),
  post('PROPFIND', 'method_not_allowed', [], '', 'PROPFIND /{mount}/x HTTP/1.1'),
  post('a bare line feed in the head', 'parser', ['X-A: b\nX-B: c'], ''),
  post('NUL in a value', 'parser', ['X-A: a\0b'], ''),
  post('raw UTF-8 in the path', 'parser', [], '', 'GET /{mount}/\xc3\xa9 HTTP/1.1'),
  post('HTTP/2.0 in the request line', 'bad_request', [], '', 'GET /{mount}/x HTTP/2.0'),
];

export const HOSTILE_FIELDS: readonly HostileRequest[] = [
  ...['Authorization', 'Content-Type', 'Idempotency-Key', 'Countersign-Task', 'Mcp-Method', 'Origin'].map((name) =>
    get(`${name} twice`, 'bad_header', '/{mount}/a', [`${name}: a`, `${name.toUpperCase()}: b`]),
  ),
  ...[
    'X-HTTP-Method',
    'X-HTTP-Method-Override',
    'X-Method-Override',
    'X-Original-URL',
    'X-Rewrite-URL',
    'X_HTTP_Method_Override',
  ].map((name) => get(`the override ${name}`, 'bad_header', '/{mount}/a', [`${name}: DELETE`])),
  ...['Content_Type', 'Countersign_Task', 'Idempotency_Key', 'Mcp_Name', 'If_Match'].map((name) =>
    get(`the underscore spelling ${name}`, 'bad_header', '/{mount}/a', [`${name}: a`]),
  ),
  ...['authorization', 'content-type', 'host', 'countersign-task', 'idempotency-key', 'accept'].map((name) =>
    get(`a Connection that nominates ${name}`, 'bad_header', '/{mount}/a', [
      `Connection: ${name}`,
      'Authorization: Bearer x',
    ]),
  ),
  get(
    'more than 128 fields',
    'header_too_large',
    '/{mount}/a',
    Array.from({ length: 130 }, (_, i) => `X-${i}: y`),
  ),
];

export interface DroppedField {
  readonly name: string;
  readonly lines: readonly string[];
  /** Lower-case names that nobody behind the gateway may see. */
  readonly absent: readonly string[];
}

/**
 * Accepted, but these fields never reach the upstream. `Connection: close` is sent by the test itself unless a line has
 * Connection.
 */
export const DROPPED_FIELDS: readonly DroppedField[] = [
  {
    name: 'a field that Connection nominates',
    lines: ['Connection: close, X-Secret-Flag', 'X-Secret-Flag: 1'],
    absent: ['x-secret-flag', 'connection'],
  },
  {
    name: 'an identity field that Connection nominates (CVE-2024-45410)',
    lines: ['Connection: close, X-Agent-Id', 'X-Agent-Id: root'],
    absent: ['x-agent-id'],
  },
  {
    name: 'underscore spellings (CVE-2026-39858)',
    lines: ['X_Forwarded_For: 127.0.0.1', 'X_Agent_Id: root', 'X-Forwarded_Host: a'],
    absent: ['x_forwarded_for', 'x_agent_id', 'x-forwarded_host'],
  },
  {
    name: 'forwarding claims',
    lines: [
      'X-Forwarded-For: 127.0.0.1',
      'X-Forwarded-Client-Cert: a',
      'Forwarded: for=a',
      'Via: 1.1 a',
      'X-Real-IP: 127.0.0.1',
    ],
    absent: ['x-forwarded-for', 'x-forwarded-client-cert', 'forwarded', 'via', 'x-real-ip'],
  },
  {
    name: 'the gateway’s own names',
    lines: ['Countersign-Task: task_1', 'Countersign-Agent: root'],
    absent: ['countersign-task', 'countersign-agent'],
  },
  {
    name: 'hop-by-hop fields',
    lines: [
      'Keep-Alive: timeout=5',
      'TE: trailers',
      'Trailer: X-A',
      'Proxy-Connection: keep-alive',
      'Proxy-Authorization: Basic YTpi',
    ],
    absent: ['keep-alive', 'te', 'trailer', 'proxy-connection', 'proxy-authorization'],
  },
  {
    name: 'credentials',
    lines: ['Authorization: Bearer agent', 'Cookie: a=b', 'X-Api-Key: k', 'Private-Token: t'],
    absent: ['authorization', 'cookie', 'x-api-key', 'private-token'],
  },
  {
    name: 'trace context',
    lines: [
      'traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      'tracestate: a=b',
      `baggage: ${'a=b,'.repeat(100)}c=d`,
    ],
    absent: ['traceparent', 'tracestate', 'baggage'],
  },
];

export interface HostileBody {
  readonly name: string;
  readonly refusal: ErrorCode;
  readonly contentType: string | undefined;
  readonly headers?: readonly string[];
  readonly body: Uint8Array;
}

function json(name: string, body: string | Uint8Array): HostileBody {
  return {
    name,
    refusal: 'bad_json',
    contentType: 'application/json',
    body: typeof body === 'string' ? Buffer.from(body) : body,
  };
}

/** Bodies that an inspected route refuses, as POST. */
export const HOSTILE_JSON: readonly HostileBody[] = [
  json('a duplicate key', '{"amount":1,"amount":5000}'),
  json('a duplicate key by escape', '{"amount":1,"a\\u006dount":5000}'),
  json('a duplicate key in a nested object', '{"a":[{"b":1,"c":2,"b":3}]}'),
  json('a duplicate key whose values are equal', '{"a":1,"a":1}'),
  json('an integer beyond 2^53', '{"amount":9007199254740993}'),
  json('1e400', '{"amount":1e400}'),
  json('a number that underflows', '{"amount":1e-400}'),
  json('lost digits', '{"amount":1.0000000000000000001}'),
  json('minus zero', '{"amount":-0}'),
  json('__proto__', '{"__proto__":{"admin":true}}'),
  json('__proto__ by escape', '{"\\u005f_proto__":{"admin":true}}'),
  json('a byte order mark', '\ufeff{}'),
  json('a comment', '{/* a */}'),
  json('NaN', '{"a":NaN}'),
  json('trailing bytes', '{}{}'),
  json('a trailing NUL', '{}\0'),
  json('a lone surrogate', '{"a":"\\ud800"}'),
  json('a lone surrogate in a key', '{"\\udc00":1}'),
  json('10 000 levels', '['.repeat(10_000) + ']'.repeat(10_000)),
  json('invalid UTF-8', Uint8Array.of(0x22, 0xff, 0x22)),
  json('UTF-16', Buffer.from('{"a":1}', 'utf16le')),
  json('single quotes', "{'a':1}"),
];

function media(
  name: string,
  contentType: string | undefined,
  headers: readonly string[] = [],
  body = '{}',
): HostileBody {
  return { name, refusal: 'unsupported_media_type', contentType, headers, body: Buffer.from(body) };
}

export const HOSTILE_CONTENT: readonly HostileBody[] = [
  media('no Content-Type', undefined),
  media('gzip', 'application/json', ['Content-Encoding: gzip']),
  media('multipart', 'multipart/form-data; boundary=a'),
  media('UTF-16 by name', 'application/json; charset=utf-16'),
  media('two charsets', 'application/json; charset=utf-8; charset=utf-7'),
  media('a list of types', 'application/json, text/plain'),
  media('an octet stream', 'application/octet-stream'),
];
