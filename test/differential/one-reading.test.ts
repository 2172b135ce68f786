// One reading: whatever the gateway lets through, a real server must not read as something that the rules would have
// stopped. Requests are generated over keys, escapes, numbers, paths, parameters, forms, methods and repeated fields;
// the servers say how they read what reached them. DIFFERENTIAL_RUNS sets how many requests each server gets; the
// failing one is printed by fast-check, with the seed that repeats it.

import { request as httpRequest } from 'node:http';
import fc from 'fast-check';
import { afterAll, describe, expect } from 'vitest';
import { type Rules, rule } from '../support/config.ts';
import type { Environment } from '../support/environment.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';
import { type Reading, type RealServer, startServers } from './servers.ts';

const RUNS = Number(process.env.DIFFERENTIAL_RUNS ?? 150);

const { servers, absent } = await startServers();

/** What may pass: an amount from 0 to 100 without skip and force, and nothing under /admin but what people approve. */
const SMALL = `(!has(args.amount) || (args.amount >= 0 && args.amount <= 100)) && !(has(args.skip) && args.skip)
  && !(has(request.query.force) && request.query.force == "true")`;
const rulesOf = (upstream: string): Rules => [
  rule.allow(`${upstream}-pay`, { upstream, methods: ['POST'], path: '/pay' }, { when: SMALL }),
  rule.allow(`${upstream}-stream`, { upstream, methods: ['POST'], path: '/upload' }),
  rule.allow(`${upstream}-read`, { upstream, methods: ['GET'] }),
  rule.hold(`${upstream}-admin`, { upstream, path: '/admin/*' }),
  rule.hold(`${upstream}-root`, { upstream, path: '/admin' }),
  rule.hold(`${upstream}-remove`, { upstream, methods: ['DELETE', 'PUT', 'PATCH'] }),
];

const it = gatewayTest.extend('env', file, ({ environment }) =>
  environment({
    upstreams: Object.fromEntries(servers.map(({ name, url }) => [name, { url }])),
    rules: servers.flatMap(({ name }) => rulesOf(name)),
    limits: { wait: '1s', pendingPerAgent: 10000 },
  }),
);
afterAll(() => servers.forEach((server) => void server.close()));

interface Sent {
  readonly method: string;
  readonly target: string;
  readonly fields: readonly string[];
  readonly body: string | undefined;
}

/** What a server read; undefined for a call that was refused, held, or that the server did not take. */
async function readingOf(env: Environment, server: RealServer, sent: Sent): Promise<Reading | undefined> {
  // A long run outlives a token.
  const minute = String(Math.floor(Date.now() / 60_000));
  const own = [
    'authorization',
    `Bearer ${await env.token('agent-1', { jti: minute })}`,
    'prefer',
    'respond-async, wait=0',
  ];
  return exchange(server.name, env.ports.agents, {
    ...sent,
    target: `/${server.name}${sent.target}`,
    fields: [...own, ...sent.fields],
  });
}

const direct = (server: RealServer, sent: Sent): Promise<Reading | undefined> =>
  exchange(server.name, Number(new URL(server.url).port), sent);

function exchange(name: string, port: number, { method, target, fields, body }: Sent): Promise<Reading | undefined> {
  const length = body === undefined ? [] : ['content-length', String(Buffer.byteLength(body))];
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest({
      port,
      host: '127.0.0.1',
      method,
      path: target,
      headers: ['host', '127.0.0.1', ...fields, ...length],
      agent: false,
    });
    outgoing.on('error', reject).on('response', (response) => {
      let text = '';
      response.on('data', (chunk) => {
        text += chunk;
      });
      response.on('end', () => {
        if (response.statusCode !== 200 || response.headers['x-read-by'] !== name) return resolve(undefined);
        try {
          resolve(JSON.parse(text) as Reading);
        } catch {
          reject(new Error(`${name} answered what is no JSON: ${text}`));
        }
      });
    });
    outgoing.end(body);
  });
}

const charactersOf = (text: string) => [...text];
/** Spellings of a name that some server may take for it. */
const spelling = (name: string): fc.Arbitrary<string> =>
  fc.oneof(
    { weight: 6, arbitrary: fc.constant(name) },
    fc.constantFrom(
      name.toUpperCase(),
      (name[0] ?? '').toUpperCase() + name.slice(1),
      name.replace('s', 'ſ').replace('k', '\u212a'),
    ),
    fc.constantFrom(
      name.replace('i', 'ı'),
      name.replace('o', 'ｏ'),
      `${name}\0`,
      ` ${name}`,
      `${name} `,
      `${name}\u200b`,
      `\ufeff${name}`,
      `${name}[]`,
    ),
    fc.array(fc.boolean(), { minLength: name.length, maxLength: name.length }).map((capitals) =>
      charactersOf(name)
        .map((character, i) => (capitals[i] ? character.toUpperCase() : character))
        .join(''),
    ),
  );
const escapeSome = (text: string, which: readonly boolean[]): string =>
  charactersOf(text)
    .map((character, i) =>
      which[i % Math.max(1, which.length)] && character.length === 1
        ? `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
        : JSON.stringify(character).slice(1, -1),
    )
    .join('');

const honest = (values: readonly string[], odd: fc.Arbitrary<string>) =>
  fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...values) }, odd);
const number = honest(['1', '5.5', '1e1', '100'], fc.constantFrom('1', '5', '100', '1000', '1e3', '1E+3', '100.0', '1000.0', '1e400', '-5', '-0', '0x10', '1_000', '"1000"', '9007199254740993', '1000000000000000000000', '.5', '01', '1e-400', 'null', 'true', '[1000]', '{"amount":1000}')); // biome-ignore format: one list
const truth = honest(['false'], fc.constantFrom('true', '1', '0', '"true"', 'null', '[]', 'TRUE'));
const flags = fc.array(fc.boolean(), { maxLength: 8 });
const member = fc.oneof(
  { weight: 3, arbitrary: fc.tuple(spelling('amount'), flags, number) },
  { weight: 2, arbitrary: fc.tuple(spelling('skip'), flags, truth) },
  fc.tuple(spelling('_method'), flags, fc.constantFrom('"DELETE"', '"PUT"', '"POST"')),
  { weight: 2, arbitrary: fc.tuple(fc.constantFrom('other', 'to', 'Note', '__proto__', ''), flags, number) },
);
const space = fc.constantFrom('', ' ', '\n', '\t');
const jsonBody = fc
  .tuple(
    fc.array(member, { maxLength: 4 }),
    space,
    honest([''], fc.constantFrom('', '\ufeff', '/**/')),
    honest([''], fc.constantFrom('', '{"amount":1000}', ',')),
  )
  .map(
    ([members, gap, before, after]) =>
      `${before}{${members.map(([key, which, value]) => `${gap}"${escapeSome(key, which)}"${gap}:${value}`).join(',')}}${after}`,
  );

const percent = (text: string, which: readonly boolean[]): string =>
  charactersOf(text)
    .map((character, i) =>
      which[i % Math.max(1, which.length)] || !/[\w.[\]-]/.test(character)
        ? encodeURIComponent(character).replace(/^(?=[\w.-]$)/, '%')
        : character,
    )
    .map((character) => (/^%[\w.-]$/.test(character) ? `%${character.charCodeAt(1).toString(16)}` : character))
    .join('');
const blanks = fc.constantFrom('', '', '+', '%20', '%20%20', '+.', '%09');
const parameter = (name: string, values: readonly string[]) =>
  fc
    .tuple(blanks, spelling(name), flags, fc.constantFrom(...values))
    .map(([blank, key, which, value]) => `${blank}${percent(key, which)}=${value}`);
const parameters = (maxLength: number) =>
  fc
    .array(
      fc.tuple(
        fc.oneof(
          parameter('force', ['true', 'false']),
          parameter('_method', ['DELETE', 'PUT']),
          fc.constantFrom('a=1', 'b', ''),
        ),
        fc.constantFrom('&', '&', ';'),
      ),
      { maxLength },
    )
    .map((pairs) => pairs.map(([pair, separator], i) => (i === 0 ? pair : separator + pair)).join(''));
const query = fc.oneof(
  { weight: 2, arbitrary: fc.constantFrom('', '?a=1', '?force=false') },
  parameters(3).map((text) => (text === '' ? '' : `?${text}`)),
);

const field = fc.constantFrom<readonly string[]>(
  ['X-HTTP-Method-Override', 'DELETE'],
  ['X-HTTP-Method', 'DELETE'],
  ['x-method-override', 'DELETE'],
  ['X_HTTP_METHOD_OVERRIDE', 'DELETE'],
  ['x.http.method.override', 'DELETE'],
  ['User-Agent', 'a'],
  ['user-agent', 'b'],
  ['traceparent', 'x'],
  ['Content-Encoding', 'identity'],
);
const fields = fc.oneof(
  { weight: 3, arbitrary: fc.constant([]) },
  fc.array(field, { maxLength: 3 }).map((all) => all.flat()),
);

const multipart = fc
  .array(
    fc.tuple(
      spelling('_method'),
      fc.constantFrom(
        'form-data; name="$"',
        'form-data;name=$',
        "form-data; name*=utf-8''$",
        'form-data; filename="x"; name="$"',
        'form-data; name="file"; filename="$"',
      ),
    ),
    { maxLength: 3 },
  )
  .map(
    (parts) =>
      `${parts.map(([name, disposition]) => `--b\r\nContent-Disposition: ${disposition.replace('$', name)}\r\n\r\nDELETE\r\n`).join('')}--b--\r\n`,
  );

const JSON_TYPES = [
  'application/json',
  'application/json; charset=utf-8',
  'application/vnd.api+json',
  'Application/JSON',
];
const pay: fc.Arbitrary<Sent> = fc
  .record({ query, body: jsonBody, fields, type: fc.constantFrom(...JSON_TYPES) })
  .map(({ type, fields: more, ...rest }) => ({
    method: 'POST',
    target: `/pay${rest.query}`,
    body: rest.body,
    fields: ['content-type', type, ...more],
  }));
const upload: fc.Arbitrary<Sent> = fc
  .oneof(
    fc.record({
      body: parameters(4),
      type: fc.constantFrom<string | undefined>(
        'application/x-www-form-urlencoded',
        'application/x-www-form-urlencoded; charset=utf-8',
        undefined,
      ),
    }),
    fc.record({ body: multipart, type: fc.constant<string | undefined>('multipart/form-data; boundary=b') }),
    fc.record({ body: jsonBody, type: fc.constantFrom<string | undefined>(...JSON_TYPES) }),
  )
  .chain(({ body, type }) =>
    fields.map((more) => ({
      method: 'POST',
      target: '/upload',
      body,
      fields: [...(type === undefined ? [] : ['content-type', type]), ...more],
    })),
  );
const SEGMENTS = ['/admin', '/Admin', '/ADMIN/', '/aDmin/X', '/admin/', '//admin', '/./admin', '/x/../admin', '/%61dmin', '/admin%2f', '/admin;x', '/adm\u0131n', '/admin%00', '/admin/x', '/a%64min/x', '/admin?x', '/admin%20', '/admin.', '/ａdmin', '/%EF%BD%81dmin', '/\\admin', '/admin/%2e%2e/admin', '/x%2f..%2fadmin', '/admin//', '/ADMIN%2Fx']; // biome-ignore format: one list
const visit: fc.Arbitrary<Sent> = fc
  .record({
    target: fc.oneof(
      fc.constantFrom(...SEGMENTS),
      fc.tuple(fc.constantFrom('', '/x', '/admin'), fc.constantFrom(...SEGMENTS)).map((parts) => parts.join('')),
    ),
    query,
    fields,
  })
  .map(({ target, fields: more, ...rest }) => ({
    method: 'GET',
    target: Buffer.from(target + rest.query).toString('latin1'),
    body: undefined,
    fields: more,
  }));

/** Whether what a server read would have been stopped by the rules. */
function stopped({ method, route, amount, skip, force }: Reading, sent: Sent): readonly string[] {
  const found: string[] = [];
  if (method.toUpperCase() !== sent.method) found.push(`method ${method}`);
  if (route === 'admin') found.push('admin');
  if (!sent.target.startsWith('/pay')) return found;
  const read = Number(Array.isArray(amount) ? amount[0] : typeof amount === 'object' && amount !== null ? 0 : amount);
  if (read > 100 || read < 0) found.push(`amount ${JSON.stringify(amount)}`);
  if (skip === true || skip === 'true' || skip === 1) found.push(`skip ${JSON.stringify(skip)}`);
  if (force === 'true') found.push('force');
  return found;
}

/** Requests that one of the servers reads as something else than they seem to say, and what it reads. */
const POST_JSON = { method: 'POST', fields: ['content-type', 'application/json'] };
const KNOWN: readonly (readonly [string, Sent, Partial<Record<string, Partial<Reading>>>])[] = [
  [
    'a key in another case behind the one that is seen',
    { ...POST_JSON, target: '/pay', body: '{"amount":1,"Amount":1000}' },
    { go: { amount: 1000 } },
  ],
  ['a key in another case alone', { ...POST_JSON, target: '/pay', body: '{"AMOUNT":1000}' }, { go: { amount: 1000 } }],
  ['a long s', { ...POST_JSON, target: '/pay', body: '{"skip":false,"\\u017fkip":true}' }, { go: { skip: true } }],
  ['a Kelvin sign', { ...POST_JSON, target: '/pay', body: '{"s\u212aip":true}' }, { go: { skip: true } }],
  ['a key twice', { ...POST_JSON, target: '/pay', body: '{"amount":1000,"amount":1}' }, {}],
  ['a leading blank', { ...POST_JSON, target: '/pay?force=false&+force=true', body: '{}' }, { php: { force: 'true' } }],
  ['a leading blank alone', { ...POST_JSON, target: '/pay?%20force=true', body: '{}' }, { php: { force: 'true' } }],
  ['an array of parameters', { ...POST_JSON, target: '/pay?force[]=true', body: '{}' }, { php: { force: 'true' } }],
  [
    'a method in the query',
    { ...POST_JSON, target: '/pay?_method=DELETE', body: '{}' },
    { express: { method: 'DELETE' }, php: { method: 'DELETE' } },
  ],
  [
    'a method in the query that PHP renames',
    { ...POST_JSON, target: '/pay?+.method=DELETE', body: '{}' },
    { php: { method: 'DELETE' } },
  ],
  [
    'a method in the query behind two blanks',
    { ...POST_JSON, target: '/pay?%20%20_method=DELETE', body: '{}' },
    { php: { method: 'DELETE' } },
  ],
  [
    'a method in JSON',
    { ...POST_JSON, target: '/upload', body: '{"_method":"DELETE"}' },
    { express: { method: 'DELETE' }, php: { method: 'DELETE' } },
  ],
  [
    'a method in JSON, escaped',
    { ...POST_JSON, target: '/upload', body: '{"\\u005fmethod":"DELETE"}' },
    { express: { method: 'DELETE' }, php: { method: 'DELETE' } },
  ],
  [
    'a method in a form',
    {
      method: 'POST',
      target: '/upload',
      fields: ['content-type', 'application/x-www-form-urlencoded'],
      body: 'a=1&%5fmethod=DELETE',
    },
    { express: { method: 'DELETE' }, go: { method: 'DELETE' }, flask: { method: 'DELETE' }, php: { method: 'DELETE' } },
  ],
  [
    'a method in a form behind a blank',
    {
      method: 'POST',
      target: '/upload',
      fields: ['content-type', 'application/x-www-form-urlencoded'],
      body: '+_method=DELETE',
    },
    { php: { method: 'DELETE' } },
  ],
  [
    'a method in multipart',
    {
      method: 'POST',
      target: '/upload',
      fields: ['content-type', 'multipart/form-data; boundary=b'],
      body: '--b\r\nContent-Disposition: form-data; name="_method"\r\n\r\nDELETE\r\n--b--\r\n',
    },
    { flask: { method: 'DELETE' }, php: { method: 'DELETE' } },
  ],
  [
    'a method in a field',
    { ...POST_JSON, fields: [...POST_JSON.fields, 'X-HTTP-Method-Override', 'DELETE'], target: '/upload', body: '{}' },
    { express: { method: 'DELETE' }, go: { method: 'DELETE' }, flask: { method: 'DELETE' }, php: { method: 'DELETE' } },
  ],
  [
    'an escaped letter of the path',
    { method: 'GET', target: '/%61dmin', fields: [], body: undefined },
    { go: { route: 'admin' }, flask: { route: 'admin' }, php: { route: 'admin' } },
  ],
];

describe.each(servers)(`$name${absent.length === 0 ? '' : ` (skipped: ${absent.join('; ')})`}`, (server) => {
  const differ = async (env: Environment, what: fc.Arbitrary<Sent>): Promise<void> => {
    let passed = 0;
    const property = fc.asyncProperty(what, async (sent) => {
      const reading = await readingOf(env, server, sent);
      if (reading === undefined) return;
      passed++;
      expect(stopped(reading, sent)).toEqual([]);
    });
    await fc.assert(property, { numRuns: RUNS, endOnFailure: true });
    // Nothing is proven by a gateway that lets nothing through.
    expect(passed).toBeGreaterThan(0);
    console.log(`${server.name}: ${RUNS} requests, ${passed} passed and read alike`);
  };
  const timeout = 60_000 + 200 * RUNS;

  it.for(KNOWN)('never gets %s, which it may read otherwise', async ([_what, sent, readings], { env }) => {
    // The server itself, without the gateway, shows what the request would do.
    const expected = readings[server.name];
    if (expected !== undefined) expect(await direct(server, sent)).toMatchObject(expected);
    expect(await readingOf(env, server, sent)).toBeUndefined();
  });

  it('reads no JSON as another amount, and no parameter as another, than the rules have seen', { timeout }, ({ env }) =>
    differ(env, pay),
  );
  it('takes no method from a streamed body or a field that the rules have not seen', { timeout }, ({ env }) =>
    differ(env, upload),
  );
  it('takes no path for one that the rules hold', { timeout }, ({ env }) => differ(env, visit));
});
