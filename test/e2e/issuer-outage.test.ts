// What an issuer hears of the whole gateway while strangers make up key ids, and what its agents can still do when it
// is gone. Requests and connections are counted on the issuer's side.

import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect } from 'vitest';
import { GATEWAY_AUDIENCE } from '../support/config.ts';
import { countFrom } from '../support/count.ts';
import type { Environment } from '../support/environment.ts';
import { freshGatewayTest } from '../support/gateway-test.ts';

const JWKS = '/jwks';
const PATIENCE = { timeout: 40_000, interval: 100 };

const serial = countFrom(0);

const it = freshGatewayTest.extend('env', ({ environment }) => environment({ identity: { staleAfter: '10s' } }));

/** A call of an agent that was never seen before, so that nothing is remembered of its token. */
const callAnew = (env: Environment): Promise<Response> => env.call('/api/things', { as: `agent-new-${serial()}` });

async function codeOf(call: Promise<Response>): Promise<unknown> {
  const response = await call;
  return response.status === 200 ? 200 : ((await response.json()) as { readonly code: string }).code;
}

/** Calls with tokens that only their key ids tell from good ones. */
async function flood(env: Environment, count: number): Promise<ReadonlySet<unknown>> {
  const forge = async (i: number) => {
    const token = await env.issuer.sign({ sub: 'agent-1', aud: GATEWAY_AUDIENCE }, { kid: `made-up-${i}` });
    return codeOf(env.call('/api/things', { headers: { authorization: `Bearer ${token}` } }));
  };
  return new Set(await Promise.all(Array.from({ length: count }, (_, i) => forge(i))));
}

it('asks the issuer a bounded number of times under a flood of unknown key ids, and serves good tokens meanwhile', async ({
  env,
}) => {
  const [since, before] = [Date.now(), env.issuer.requests(JWKS)];
  for (let round = 0; round < 10; round++) {
    const [codes, good] = await Promise.all([flood(env, 50), codeOf(callAnew(env))]);
    expect([...codes]).toEqual(['token_key_unknown']);
    expect(good).toBe(200);
  }
  const seconds = (Date.now() - since) / 1000;
  // Twice in `staleAfter` by itself, and once in 30 seconds because of unknown keys.
  expect(env.issuer.requests(JWKS) - before).toBeLessThanOrEqual(
    2 + Math.floor(seconds / 5) + Math.floor(seconds / 30),
  );
}, 60_000);

it('serves known keys while the issuer hangs up on it, knocks a bounded number of times, and refuses everybody when the bound is reached', async ({
  env,
}) => {
  expect(await codeOf(callAnew(env))).toBe(200);
  await env.issuer.stop();
  const since = Date.now();
  let knocks = 0;
  const closed = createServer((socket) => {
    knocks += 1;
    socket.destroy();
  }).listen(Number(env.issuer.url.port), '127.0.0.1');
  await once(closed, 'listening');

  // The last answer of the issuer is at most five seconds old here, so five are left at least.
  expect(await codeOf(callAnew(env))).toBe(200);
  expect([...(await flood(env, 50))]).toEqual(['token_key_unknown']);
  expect(await codeOf(callAnew(env))).toBe(200);
  const sent = () => env.upstream.requests.length;
  await expect.poll(() => codeOf(callAnew(env)), PATIENCE).toBe('issuer_unavailable');
  const [seconds, count] = [(Date.now() - since) / 1000, sent()];
  // Tokens that were verified before are refused, too: their keys are not believed any more.
  expect(await codeOf(env.call('/api/things', { as: 'agent-new-0' }))).toBe('issuer_unavailable');
  expect([...(await flood(env, 50))]).toEqual(['issuer_unavailable']);
  expect(sent()).toBe(count);
  const readyz = (await (await fetch(`http://127.0.0.1:${env.ports.ops}/readyz`)).json()) as {
    readonly issuers: readonly unknown[];
  };
  expect(readyz.issuers).toEqual([expect.objectContaining({ name: 'test', ready: false, keys: 0 })]);
  // Each try makes up to two connections (discovery is tried anew; a kept connection that breaks is not used again),
  // not sooner than after five seconds.
  expect(knocks).toBeGreaterThan(0);
  expect(knocks).toBeLessThanOrEqual(2 * (3 + Math.floor(seconds / 5)));

  closed.close();
  await once(closed, 'close');
  await env.issuer.resume();
  await expect.poll(() => codeOf(callAnew(env)), PATIENCE).toBe(200);
}, 120_000);
