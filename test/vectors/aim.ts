// Aims a raw request of an outside corpus at a gateway: the target below what its rule allows, a token that is good,
// marks filled. Bytes throughout, as latin1 text, since most of these requests are no text at all.

export interface Vector {
  readonly group: string;
  readonly id: string;
  /** Base64. */
  readonly raw: string;
  /** The target lies below `/api/public` already. */
  readonly keepTarget?: boolean;
}

export interface Aim {
  /** host:port of the gateway. */
  readonly host: string;
  readonly token: string;
  /** Of this case, for `X-Corpus`. */
  readonly number: number;
}

/** Hosts by which the suites name the server that they test; others that they send are part of the test. */
const OWN_HOSTS: ReadonlySet<string> = new Set([
  ...[
    'a',
    'foo',
    'whatever',
    'fanout',
    'localhost',
    'localhost:5000',
    '0.0.0.0:5000',
    '239.255.255.250:1900',
    'github.com',
  ],
  ...[
    'example.com',
    'example.org',
    'www.example.com',
    'h2o.http-garden.us',
    'akamai.my-domain.cool',
    'server.my-domain.cool',
  ],
]);
const GROUPS_WITH_OWN_HOSTS: ReadonlySet<string> = new Set(['llhttp', 'http-garden']);

export function aim({ group, raw, keepTarget = false }: Vector, { host, token, number }: Aim): Buffer {
  const given = Buffer.from(raw, 'base64').toString('latin1');
  const start = /^[\r\n]*/.exec(given)?.[0].length ?? 0;
  const lineEnd = given.indexOf('\n', start);
  if (lineEnd < 0) return Buffer.from(given, 'latin1');
  const line = given.slice(start, lineEnd + 1);
  let rest = given.slice(lineEnd + 1);
  let hostLine = '';
  if (!keepTarget) {
    if (GROUPS_WITH_OWN_HOSTS.has(group))
      rest = rest.replace(/^(host[ \t]*:[ \t]*)([^\r\n]*)/im, (all, name: string, value: string) =>
        OWN_HOSTS.has(value) ? name + host : all,
      );
    if (/HTTP\/1\.1\s*$/.test(line) && !/^host[ \t]*:/im.test(headOf(rest))) hostLine = `Host: ${host}\r\n`;
  }
  const own = `Authorization: Bearer ${token}\r\nX-Corpus: ${number}\r\n${hostLine}`;
  return Buffer.from(
    fill(given.slice(0, start) + (keepTarget ? line : retarget(line)) + own + rest, host, token),
    'latin1',
  );
}

const headOf = (text: string): string => text.split(/\r?\n\r?\n/, 1)[0] ?? '';

/** `/x` becomes `/api/public/t/x`; `/` and a bare query add nothing but the query. */
function retarget(line: string): string {
  return line.replace(
    /^(\S*[ \t]+)\/(?=(.?))/,
    (_all, before: string, next: string) => `${before}/api/public/t${['', ' ', '?', '\r'].includes(next) ? '' : '/'}`,
  );
}

function fill(text: string, host: string, token: string): string {
  const inner = `GET /api/admin/smuggled HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${token}\r\nX-Smuggled: 1\r\n\r\n`;
  return text
    .replaceAll('@INNER+5@', String(inner.length + 5))
    .replaceAll('@INNER.hex@', inner.length.toString(16))
    .replaceAll('@INNER@', inner)
    .replaceAll('@HOST@', host)
    .replaceAll('@PORT@', host.slice(host.lastIndexOf(':') + 1));
}
