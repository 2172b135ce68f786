// An upstream that echoes its credential, through the whole gateway: what the agent gets holds it in no form. And a
// mounted secret that rotates.

import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { rule } from '../support/config.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';
import type { Respond } from '../support/recorder.ts';

const TOKEN = 'tok/en+literal=7f3d9a2c51e8';
const PASSWORD = 'pass word&literal/7f3d9a2c';
const FILES = { first: 'mounted-secret-one-4711', second: 'mounted-secret-two-0815' };

const it = gatewayTest.extend('env', file, ({ environment }) =>
  environment(
    ({ origin, folder }) => {
      writeFileSync(join(folder, 'secret'), FILES.first);
      return {
        upstreams: {
          ...Object.fromEntries(
            ['bearer', 'query', 'basic', 'mounted', 'mounted-query', 'mounted-basic'].map((name) => [
              name,
              { url: origin, credential: name },
            ]),
          ),
        },
        credentials: {
          bearer: { type: 'static', in: 'header', secret: { env: 'SCRUB_TOKEN' } },
          query: { type: 'static', in: 'query', name: 'key', secret: { env: 'SCRUB_TOKEN' } },
          basic: { type: 'static', in: 'basic', username: 'gateway', secret: { env: 'SCRUB_PASSWORD' } },
          mounted: { type: 'static', in: 'header', name: 'x-key', secret: { file: './secret' } },
          'mounted-query': { type: 'static', in: 'query', name: 'key', secret: { file: './secret' } },
          'mounted-basic': { type: 'static', in: 'basic', username: 'gateway', secret: { file: './secret' } },
        },
        rules: [rule.allow('all', { methods: ['GET'] })],
      };
    },
    { env: { SCRUB_TOKEN: TOKEN, SCRUB_PASSWORD: PASSWORD } },
  ),
);

/** The ways in which a server may write a text, alone and inside a longer one. */
const FORMS: Readonly<Record<string, (secret: string) => string>> = {
  raw: (secret) => secret,
  base64: (secret) => Buffer.from(secret).toString('base64'),
  'base64 inside': (secret) => Buffer.from(`x:${secret}:y`).toString('base64'),
  base64url: (secret) => Buffer.from(`xy${secret}`).toString('base64url'),
  'URL-encoded': (secret) => encodeURIComponent(secret),
  'JSON-escaped': (secret) => JSON.stringify(secret).replaceAll('/', '\\/'),
};

/** Nothing that could be decoded to the secret again. */
function expectClean(text: string, secret: string): void {
  expect(text).toContain('[scrubbed]');
  for (const form of Object.values(FORMS)) expect(text).not.toContain(form(secret));
  for (const word of text.split(/[^A-Za-z0-9+/_=-]+/))
    expect(Buffer.from(word, 'base64').toString('latin1')).not.toContain(secret.slice(2, -2));
}

const cases = ['bearer', 'query', 'basic'].flatMap((upstream) =>
  Object.keys(FORMS).map((form) => [upstream, form] as const),
);
const secretOf = (upstream: string): string => (upstream === 'basic' ? PASSWORD : TOKEN);

/** Each character in a chunk of its own. */
const dripping =
  (text: string): Respond =>
  (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const next = (at: number): void => {
      if (at >= text.length) response.end();
      else response.write(text.charAt(at), () => setImmediate(next, at + 1));
    };
    next(0);
  };

describe('an echoed credential', () => {
  it.for(cases)('of %s is taken out of a text body, %s', async ([upstream, form], { env }) => {
    const secret = secretOf(upstream);
    const echo = FORMS[form]?.(secret) ?? '';
    env.upstream.respond((_request, response) =>
      response.writeHead(200, { 'content-type': 'application/json' }).end(`{"echo": "${echo}", "more": "kept"}`),
    );
    const text = await (await env.call(`/${upstream}/echo`)).text();
    expectClean(text, secret);
    expect(text).toContain('kept');
  });

  it.for(cases)('of %s is taken out of a stream that is cut inside it, %s', async ([upstream, form], { env }) => {
    const secret = secretOf(upstream);
    const text = `data: before ${FORMS[form]?.(secret)} after\n\n`;
    env.upstream.respond(dripping(text));
    const received = await (await env.call(`/${upstream}/events`)).text();
    expectClean(received, secret);
    expect(received).toMatch(/^data: before .* after\n\n$/);
  });

  it.for(cases)('of %s is taken out of a header field, %s', async ([upstream, form], { env }) => {
    const secret = secretOf(upstream);
    env.upstream.respond((_request, response) =>
      response.writeHead(200, { 'x-echo': FORMS[form]?.(secret) ?? '' }).end('{}'),
    );
    expectClean((await env.call(`/${upstream}/field`)).headers.get('x-echo') ?? '', secret);
  });

  it('of basic is taken out as the pair that was sent', async ({ env }) => {
    const pair = Buffer.from(`gateway:${PASSWORD}`).toString('base64');
    env.upstream.respond((request, response) => response.end(JSON.stringify({ sent: request.headers.authorization })));
    const text = await (await env.call('/basic/headers')).text();
    expect(text).not.toContain(pair);
  });

  it('is taken out of what is no text too', async ({ env }) => {
    env.upstream.respond((_request, response) =>
      response.writeHead(200, { 'content-type': 'application/octet-stream' }).end(TOKEN),
    );
    expect(await (await env.call('/bearer/binary')).text()).toBe('[scrubbed]');
  });

  it('in a text that does not decompress stops the answer instead of passing', async ({ env }) => {
    env.upstream.respond((_request, response) =>
      response.writeHead(200, { 'content-type': 'text/plain', 'content-encoding': 'gzip' }).end('x'),
    );
    const response = await env.call('/bearer/gzip');
    expect([response.status, ((await response.json()) as { code: string }).code]).toEqual([502, 'upstream_protocol']);
  });
});

describe('a mounted secret', () => {
  it('is used anew by header, query and basic once its file was swapped, without a restart', async ({ env }) => {
    env.upstream.respond((_request, response) => response.end('{}'));
    const sent = async (upstream: string): Promise<string> => {
      const before = env.upstream.requests.length;
      await env.call(`/${upstream}/read`);
      const { url, headers } = await env.upstream.arrived(before);
      const basic = Buffer.from(String(headers.authorization).replace('Basic ', ''), 'base64').toString();
      return String(
        headers['x-key'] ?? new URL(url, 'http://x').searchParams.get('key') ?? basic.replace('gateway:', ''),
      );
    };
    const all = async () => [await sent('mounted'), await sent('mounted-query'), await sent('mounted-basic')];
    expect(await all()).toEqual([FILES.first, FILES.first, FILES.first]);
    // As a Kubernetes mount does it: a new file in place of the old one, at once.
    writeFileSync(join(env.folder, 'next'), FILES.second);
    renameSync(join(env.folder, 'next'), join(env.folder, 'secret'));
    await expect.poll(all, { timeout: 20_000 }).toEqual([FILES.second, FILES.second, FILES.second]);
  }, 60_000);
});
