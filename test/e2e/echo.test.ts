// What an upstream echoes of its credential, over real sockets: in every spelling that servers and their serialisers
// produce, in whatever media type, coding and cut, the agent gets it in none. Pins the kind "the injected credential
// comes back in another form". The spellings themselves and their nestings are generated against the scrubber in
// test/upstream/scrub; here are those of them that travel.

import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect } from 'vitest';
import { rule } from '../support/config.ts';
import { SPELLINGS } from '../support/echo-forms.ts';
import type { Environment } from '../support/environment.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';
import type { Respond } from '../support/recorder.ts';

const TOKEN = 'tok/en+literal=7f3d9a2c51e8"<&';
const PASSWORD = 'pass word&literal/7f3d9a2c';
const JWT = `eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhZ2VudCJ9.${Buffer.from('signature-bytes-of-32-or-so-long').toString('base64url')}`;
const UUID = '9f3d9a2c-51e8-7ab0-c4d5-e6f708192a3b';
const HEX = UUID.replaceAll('-', '');
const QUOTED = `it's"7f3d9a2c51e8`;
const SAS = 'sv=2026-01-01&sr=b&sig=aB3%2Fx9Zk1234567890abcdefghijklmnop%3D';

const it = gatewayTest.extend('env', file, async ({ environment }) => {
  const named = ['bearer', 'query', 'basic', 'jwt', 'sas', 'hex', 'uuid', 'quoted'];
  return environment(
    ({ origin }) => ({
      upstreams: {
        ...Object.fromEntries(named.map((name) => [name, { url: origin, credential: name }])),
        mcp: { url: origin, credential: 'bearer', protocol: 'mcp' },
        bare: { url: origin },
      },
      credentials: {
        bearer: { type: 'static', in: 'header', secret: { env: 'ECHO_TOKEN' } },
        query: { type: 'static', in: 'query', name: 'key', secret: { env: 'ECHO_TOKEN' } },
        basic: { type: 'static', in: 'basic', username: 'gateway', secret: { env: 'ECHO_PASSWORD' } },
        jwt: { type: 'static', in: 'header', secret: { env: 'ECHO_JWT' } },
        hex: { type: 'static', in: 'header', name: 'x-key', secret: { env: 'ECHO_HEX' } },
        uuid: { type: 'static', in: 'header', name: 'x-key', secret: { env: 'ECHO_UUID' } },
        quoted: { type: 'static', in: 'header', name: 'x-key', secret: { env: 'ECHO_QUOTED' } },
        sas: { type: 'static', in: 'header', name: 'x-sas', secret: { env: 'ECHO_SAS' } },
      },
      rules: [rule.allow('all')],
    }),
    {
      env: {
        ECHO_TOKEN: TOKEN,
        ECHO_PASSWORD: PASSWORD,
        ECHO_JWT: JWT,
        ECHO_HEX: HEX,
        ECHO_UUID: UUID,
        ECHO_QUOTED: QUOTED,
        ECHO_SAS: SAS,
      },
    },
  );
});

const TYPES = [
  'application/json',
  'application/octet-stream',
  'application/pdf',
  'message/http',
  'application/sql',
  'image/svg+xml',
  'text/html; charset=utf-16',
];

/** Answers with these pieces, each in a chunk of its own, after one another. */
const pieces =
  (parts: readonly Buffer[], fields: Readonly<Record<string, string | string[]>> = {}): Respond =>
  (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/plain', ...fields });
    const next = (i: number): void => {
      if (i === parts.length) response.end();
      else response.write(parts[i], () => setImmediate(next, i + 1));
    };
    next(0);
  };

async function received(env: Environment, path: string, respond: Respond): Promise<Buffer> {
  env.upstream.respond(respond);
  const response = await env.call(path);
  expect(response.status).toBe(200);
  return Buffer.from(await response.arrayBuffer());
}

/** Of the spelling nothing is left but what stood before the secret inside it, and padding (`padding` bytes of it). */
function expectScrubbed(body: Buffer, [before, after]: readonly [string, string], spelled: Buffer, padding = 0): void {
  const text = body.toString('latin1');
  expect(text.startsWith(before) && text.endsWith(after)).toBe(true);
  expect(text).toContain('[scrubbed]');
  const left = text.slice(before.length, -after.length).replaceAll('[scrubbed]', '');
  expect(left.length).toBeLessThan(spelled.length - 0.8 * TOKEN.length);
  const length = spelled.length - padding;
  const piece = Math.max(8, Math.ceil(length / 6));
  for (let at = Math.ceil(length * 0.6); at + piece <= length * 0.9; at++)
    expect(left).not.toContain(spelled.toString('latin1', at, at + piece));
}

/** The secret in one spelling, and that again in another. */
function spell(...names: readonly string[]): Buffer {
  return names.reduce<Buffer>(
    (text, name) => (SPELLINGS[name] as (typeof SPELLINGS)[string])(text.toString('latin1')),
    Buffer.from(TOKEN, 'latin1'),
  );
}

describe('a credential that comes back', () => {
  it.for(Object.keys(SPELLINGS))('is taken out of a body: %s', async (name, { env }) => {
    const spelled = spell(name);
    const parts = [Buffer.from('<before> '), spelled, Buffer.from(' <after>')];
    const type = TYPES[name.length % TYPES.length] as string;
    expectScrubbed(
      await received(env, '/bearer/x', pieces([Buffer.concat(parts)], { 'content-type': type })),
      ['<before> ', ' <after>'],
      spelled,
    );
  });

  it('is taken out however two spellings are nested and the body is cut', async ({ env }) => {
    const names = fc.constantFrom(
      ...Object.keys(SPELLINGS).filter(
        (name) => !/UTF-|shell|list|blanks|literals|soft|lines|colons|braced/.test(name),
      ),
    );
    await fc.assert(
      fc.asyncProperty(
        names,
        names,
        fc.array(fc.nat(), { maxLength: 6 }),
        fc.constantFrom(...TYPES),
        async (inner, outer, cuts, type) => {
          const spelled = spell(inner, outer);
          const innermost = spell(inner).toString('latin1');
          const padding =
            spelled.length - (SPELLINGS[outer] as (typeof SPELLINGS)[string])(innermost.replace(/=+$/, '')).length;
          const body = Buffer.concat([Buffer.from('{"before": "'), spelled, Buffer.from('"}')]);
          const places = [0, ...cuts.map((cut) => cut % body.length).sort((a, b) => a - b), body.length];
          const parts = places.slice(1).map((to, i) => body.subarray(places[i], to));
          expectScrubbed(
            await received(env, '/bearer/x', pieces(parts, { 'content-type': type })),
            ['{"before": "', '"}'],
            spelled,
            padding,
          );
        },
      ),
      { numRuns: 150 },
    );
  }, 60_000);

  // The kind "a word without an escape byte hides more of the secret than the scrubber keeps back".
  it.for([
    ['HTML HEX with zeros', 'HEX with hyphens'],
    ['HTML HEX with zeros', 'hex'],
    ['long \\U000000xx', 'HEX with hyphens'],
    ['JSON with \\u00xx for everything', 'HEX with hyphens'],
    ['HTML HEX with zeros', 'base64'],
  ] as const)('is taken out of %s inside %s, wherever the body is cut', async ([inner, outer], { env }) => {
    const spelled = spell(inner, outer);
    const body = Buffer.concat([Buffer.from('<'), spelled, Buffer.from('>')]);
    for (let cut = 1; cut < body.length; cut += 61)
      expectScrubbed(
        await received(env, '/bearer/x', pieces([body.subarray(0, cut), body.subarray(cut)])),
        ['<', '>'],
        spelled,
      );
  });

  it('is taken out of a body with a declared length, whose length stays', async ({ env }) => {
    const body = Buffer.concat([Buffer.alloc(100_000, '. '), Buffer.from(TOKEN), Buffer.alloc(100_000, '. ')]);
    env.upstream.respond((_request, response) =>
      response.writeHead(200, { 'content-type': 'application/zip', 'content-length': body.length }).end(body),
    );
    const response = await env.call('/bearer/x');
    expect(response.headers.get('content-length')).toBe(String(body.length));
    const text = await response.text();
    expect(text).toContain('[scrubbed]');
    expect(text).toHaveLength(body.length);
  });

  it.for([
    ['gzip', gzipSync],
    ['x-gzip', gzipSync],
    ['deflate', deflateSync],
    ['br', brotliCompressSync],
    ['zstd', zstdCompressSync],
  ] as const)('is taken out of a body in %s, which arrives decoded', async ([coding, encode], { env }) => {
    const encoded = encode(Buffer.from(`${'padding '.repeat(2000)}${TOKEN} end`));
    env.upstream.respond(
      pieces([encoded.subarray(0, 7), encoded.subarray(7)], {
        'content-encoding': coding,
        'content-type': 'application/x-tar',
      }),
    );
    const response = await env.call('/bearer/x');
    expect(response.headers.get('content-encoding')).toBeNull();
    expect(await response.text()).toBe(`${'padding '.repeat(2000)}[scrubbed] end`);
  });

  it.for([
    ['an unknown coding', { 'content-encoding': 'exi' }, 200],
    ['three codings', { 'content-encoding': 'gzip, gzip, gzip' }, 200],
    ['a part of an encoded body', { 'content-encoding': 'gzip', 'content-range': 'bytes 0-3/9' }, 206],
  ] as const)('stops an answer in which it cannot be looked for: %s', async ([_, fields, status], { env }) => {
    env.upstream.respond((_request, response) => response.writeHead(status, fields).end('abcd'));
    const response = await env.call('/bearer/x');
    expect([response.status, ((await response.json()) as { code: string }).code]).toEqual([502, 'upstream_protocol']);
  });

  it('stops a body that grows beyond measure when it is decoded', async ({ env }) => {
    const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024));
    env.upstream.respond((_request, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb));
    const response = await env.call('/bearer/x');
    await expect(response.arrayBuffer()).rejects.toThrow();
  });

  it('is taken out where two Content-Type fields stand, and where none does', async ({ env }) => {
    for (const fields of [{ 'content-type': ['image/png', 'text/plain'] }, { 'content-type': [] }]) {
      expect(
        (
          await received(env, '/bearer/x', pieces([Buffer.from(`x ${TOKEN}`)], fields as Record<string, string[]>))
        ).toString(),
      ).toBe('x [scrubbed]');
    }
  });

  it('is taken out of fields, and a field whose name holds it is dropped', async ({ env }) => {
    const name = `x-${JWT.toLowerCase()}`;
    env.upstream.respond((_request, response) => {
      response.writeHead(302, 'moved', {
        location: `https://elsewhere.test/?t=${encodeURIComponent(JWT)}`,
        link: `<https://x.test/?t=${Buffer.from(JWT).toString('hex')}>; rel=next`,
        [name]: '1',
        'www-authenticate': `Bearer error_description="bad token ${JWT}"`,
        'set-cookie': `session=${JWT}`,
        trailer: 'x-trailer',
      });
      response.addTrailers({ 'x-trailer': JWT });
      response.end('x');
    });
    const response = await env.call('/jwt/x');
    const all = JSON.stringify([...response.headers]);
    expect(all).not.toContain(JWT.slice(-20));
    expect(all).not.toContain(JWT.slice(-20).toLowerCase());
    expect(all).not.toContain(Buffer.from(JWT).toString('hex').slice(20, 60));
    expect(response.headers.get('location')).toBe('https://elsewhere.test/?t=[scrubbed]');
  });

  it('is taken out where a part of it is as good as the whole', async ({ env }) => {
    const pair = Buffer.from(`gateway:${PASSWORD}`).toString('base64');
    const basic = `user gateway, password ${PASSWORD}, sent ${pair}`;
    expect((await received(env, '/basic/x', pieces([Buffer.from(basic)]))).toString()).toBe(
      'user gateway, password [scrubbed], sent [scrubbed]',
    );
    const signature = JWT.split('.')[2] as string;
    const parts = `{"claims":{"sub":"agent"},"signature":"${signature}","std":"${Buffer.from(signature, 'base64url').toString('base64')}","hex":"${Buffer.from(signature, 'base64url').toString('hex')}"}`;
    const shown = (await received(env, '/jwt/x', pieces([Buffer.from(parts)]))).toString();
    expect(JSON.parse(shown.replaceAll('[scrubbed]=', '[scrubbed]'))).toEqual({
      claims: { sub: 'agent' },
      signature: '[scrubbed]',
      std: '[scrubbed]',
      hex: '[scrubbed]',
    });
    const sas = `AuthenticationErrorDetail: sig ${decodeURIComponent('aB3%2Fx9Zk1234567890abcdefghijklmnop%3D')} does not match`;
    expect((await received(env, '/sas/x', pieces([Buffer.from(sas)]))).toString()).toBe(
      'AuthenticationErrorDetail: sig [scrubbed] does not match',
    );
  });

  it.for(['hex', 'uuid'])(
    'is taken out where it is a %s and comes back in another alphabet or case',
    async (name, { env }) => {
      const bytes = Buffer.from(HEX, 'hex');
      for (const form of [
        HEX.toUpperCase(),
        HEX.match(/../g)?.join(':') ?? '',
        UUID,
        UUID.toUpperCase(),
        bytes.toString('base64'),
        bytes.toString('base64url'),
        JSON.stringify([...bytes]),
      ]) {
        for (const parts of [[form], [form.slice(0, 11), form.slice(11)]]) {
          const shown = (
            await received(env, `/${name}/x`, pieces(['<', ...parts, '>'].map((part) => Buffer.from(part))))
          ).toString();
          expect(shown.replaceAll(/[=[\]]/g, '')).toBe('<scrubbed>');
        }
      }
    },
  );

  it('is taken out where CSV, SQL or a shell writes its quotes', async ({ env }) => {
    const csv = `"${QUOTED.replaceAll('"', '""')}"`;
    const sql = `'${QUOTED.replaceAll("'", "''")}'`;
    const shell = `'${QUOTED.replaceAll("'", "'\\''")}'`;
    expect((await received(env, '/quoted/x', pieces([Buffer.from(`${csv},${sql},${shell}`)]))).toString()).toBe(
      `"[scrubbed]",'[scrubbed]','[scrubbed]'`,
    );
  });

  it('is taken out of MCP answers, as JSON and as events, also in a text that is JSON itself', async ({ env }) => {
    const result = {
      jsonrpc: '2.0',
      id: 1,
      result: { content: [{ type: 'text', text: JSON.stringify({ headers: { authorization: `Bearer ${TOKEN}` } }) }] },
    };
    const ask = async (type: string, body: string): Promise<string> => {
      env.upstream.respond((_request, response) => response.writeHead(200, { 'content-type': type }).end(body));
      const response = await env.call('/mcp', {
        method: 'POST',
        headers: { accept: 'application/json, text/event-stream', 'mcp-protocol-version': '2025-06-18' },
        body: { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'echo', arguments: {} } },
      });
      return response.text();
    };
    const json = JSON.stringify(result);
    for (const text of [
      await ask('application/json', json),
      await ask('text/event-stream', `event: message\ndata: ${json}\n\n`),
    ]) {
      expect(text).toContain('Bearer [scrubbed]');
      expect(text).not.toContain(TOKEN.slice(0, 14));
    }
  });

  it('is not looked for in calls without a credential: compressed bodies pass as they are', async ({ env }) => {
    const encoded = gzipSync('plain');
    env.upstream.respond((_request, response) =>
      response.writeHead(200, { 'content-encoding': 'gzip', 'content-length': encoded.length }).end(encoded),
    );
    const response = await env.call('/bare/x');
    expect(response.headers.get('content-encoding')).toBe('gzip');
    expect(await response.text()).toBe('plain');
  });
});
