// Spellings of a path over real sockets: an upstream that reads several as one, in front of it rules that name one.
// What the upstream received is what counts. And paths that made the matching of patterns stall.

import { expect } from 'vitest';
import { rule } from '../support/config.ts';
import type { Environment } from '../support/environment.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';
import { sendRaw } from '../support/raw-http.ts';

const it = gatewayTest.extend('env', file, ({ environment }) =>
  environment(({ origin }) => ({
    upstreams: { strict: { url: origin, caseSensitive: true } },
    rules: [
      rule.allow('all', { methods: ['GET', 'POST'] }),
      rule.hold('transfers', { methods: ['POST'], path: '/transfers' }),
      rule.deny('admin', { path: '/admin/:rest*' }),
      rule.deny('ids', { path: '/items/:id(\\d+)/purge' }),
      rule.deny('stalls', { path: '/p/*/q/*/q/*/r' }),
      rule.allow('slugs', { path: '/:slug((?:[a-z0-9]+-?)+)' }),
    ],
    limits: { wait: '0s', pendingPerAgent: 200 },
  })),
);

async function post(env: Environment, path: string): Promise<number> {
  const text = [
    `POST ${path} HTTP/1.1`,
    'host: gateway.test',
    `authorization: Bearer ${await env.token('agent-1')}`,
    'connection: close',
  ];
  const answer = await sendRaw(
    env.ports.agents,
    [...text, 'content-type: application/json', 'content-length: 2', '', '{}'].join('\r\n'),
  );
  return answer.status;
}

/** An escape of what needs none, and a path parameter, are refused before any rule looks at them. */
const isRefused = (path: string): boolean => /%[3-7]|;/.test(path);

it('no spelling that the upstream may read as one leads around a hold or deny rule', async ({ env }) => {
  const before = env.upstream.requests.length;
  for (const path of [
    '/Transfers',
    '/TRANSFERS',
    '/%54ransfers',
    '/transfers/',
    '/tRANSFERS/',
    '/transfer%53',
    '/transfers;a=b',
    '/transfers%20',
    '/transfers.',
  ])
    expect([path, await post(env, `/api${path}`)]).toEqual([path, isRefused(path) ? 400 : 409]);
  for (const path of ['/Admin', '/ADMIN/users', '/%61dmin/', '/admin;x/users', '/Items/7/purge', '/items/7/PURGE/'])
    expect([path, await post(env, `/api${path}`)]).toEqual([path, isRefused(path) ? 400 : 403]);
  expect(env.upstream.requests.length).toBe(before);
});

it('an upstream that tells letters apart is asked for its own resources only', async ({ env }) => {
  expect([
    await post(env, '/strict/Transfers'),
    await post(env, '/strict/transfers'),
    await post(env, '/strict/transfers/'),
    await post(env, '/strict/Admin/x'),
  ]).toEqual([200, 409, 409, 200]);
});

it('a path that backtracks stalls nobody', async ({ env }) => {
  for (const path of [
    `/p/${'x/q/'.repeat(3_500)}`,
    `/${'a'.repeat(14_000)}!`,
    `/p/${'q/q/'.repeat(3_500)}R`,
    `/items/${'1'.repeat(14_000)}/x`,
  ]) {
    const alive = fetch(`http://127.0.0.1:${env.ports.ops}/livez`);
    const status = await post(env, `/api${path}`);
    expect([path.slice(0, 8), [200, 403, 431].includes(status), (await alive).status]).toEqual([
      path.slice(0, 8),
      true,
      200,
    ]);
  }
});
