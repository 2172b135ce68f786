// Where notifications may go: https, this machine, and nothing inside unless the operator says so; redirects lead
// nowhere.

import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { guardedLookup } from '../../src/upstream/address-guard.ts';
import { post, refuseTarget } from '../../src/upstream/post.ts';

const REQUEST = { headers: { 'content-type': 'application/json' }, body: '{}', allowPrivateAddresses: false };

async function listen(handle: RequestListener): Promise<string> {
  const server = createServer(handle).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

// Judged without a connection, so that a guard that fails here fails here, and not at whoever has the address.
it.each([
  'http://hooks.example.org/in',
  'https://169.254.169.254/latest/meta-data',
  'https://10.0.0.7/in',
  'https://[fd00::7]/in',
  'https://192.168.1.1/in',
  'https://2852039166/in',
  'https://user:pass@hooks.example.org/in',
  'ftp://hooks.example.org/in',
])('refuses %s', (url) => {
  expect(refuseTarget(url, false)).toMatch(/\.$/);
});

it('lets private addresses be allowed, and metadata and link-local ones never', () => {
  expect(refuseTarget('https://10.0.0.7/in', true)).toBeUndefined();
  expect(refuseTarget('https://169.254.169.254/in', true)).toMatch(/link-local/);
  expect(refuseTarget('https://[fe80::1]/in', true)).toMatch(/link-local/);
});

it.each([
  ['10.0.0.7', false, 'upstream_address_refused'],
  ['10.0.0.7', true, undefined],
  ['169.254.169.254', true, 'upstream_address_refused'],
  ['93.184.216.34', false, undefined],
])('judges a name that resolves to %s, private addresses allowed: %s', async (address, allowPrivateAddresses, code) => {
  const rules = {
    url: 'https://hooks.example.org/in',
    allowPlaintext: false,
    allowPrivateAddresses,
    neverSpecial: true,
  };
  const lookup = guardedLookup(rules, (_name, _options, callback) => callback(null, [{ address, family: 4 }]));
  const error = await new Promise<NodeJS.ErrnoException | null>((resolve) => lookup('hooks.example.org', {}, resolve));
  expect(error?.code).toBe(code);
});

it('gives a redirect as its answer and does not follow it', async () => {
  let reached = 0;
  const target = await listen((_request, response) => {
    reached++;
    response.end();
  });
  const origin = await listen((_request, response) => response.writeHead(307, { location: `${target}/inside` }).end());
  expect((await post(`${origin}/in`, REQUEST)).status).toBe(307);
  expect(reached).toBe(0);
});

it('reads no more than 64 KiB of an answer, and how long to wait where it says so', async () => {
  const origin = await listen((_request, response) =>
    response.writeHead(429, { 'retry-after': '7' }).end('x'.repeat(1_000_000)),
  );
  const { status, retryAfterMs, body } = await post(`${origin}/in`, REQUEST);
  expect([status, retryAfterMs, body.length]).toEqual([429, 7_000, 64 * 1024]);
});
