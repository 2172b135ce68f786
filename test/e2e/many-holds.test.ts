// Two thousand calls held open at once in one process: each is released to its own caller and sent once, and nothing is
// left behind.

import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect } from 'vitest';
import { verifyAudit } from '../../src/audit/verify.ts';
import type { Environment } from '../support/environment.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';
import type { ReviewerClient, SeenHold } from '../support/reviewer-client.ts';

const CALLS = 2_000;
const AGENTS = 8;
const VOTES_AT_A_TIME = 40;

const it = gatewayTest.extend('env', file, async ({ environment }) => {
  const env = await environment({
    tiers: { payment: { reviewers: ['group:finance'], decideWithin: '30m', useWithin: '30m' } },
    limits: { wait: '10m', pendingPerAgent: 3000 },
  });
  env.upstream.respond(({ body }, response) => response.end(body));
  return env;
});

/** A POST over a connection that is kept; several thousand of these are open at once. */
async function post(env: Environment, agent: Agent, subject: string, body: string) {
  const sent = request({
    ...{ agent, host: '127.0.0.1', port: env.ports.agents, method: 'POST', path: '/api/transfers' },
    headers: {
      authorization: `Bearer ${await env.token(subject)}`,
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
    },
  });
  sent.end(body);
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  return { status: response.statusCode, hold: response.headers['countersign-hold'], text: await text(response) };
}

async function metric(env: Environment, name: string): Promise<number> {
  const page = await (await fetch(`http://127.0.0.1:${env.ports.ops}/metrics`)).text();
  return [...page.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\d+)`, 'gm'))].reduce(
    (sum, [, value]) => sum + Number(value),
    0,
  );
}

async function listAll(reviewer: ReviewerClient): Promise<SeenHold[]> {
  const found: SeenHold[] = [];
  let next: string | undefined;
  do {
    const page = await reviewer.request(`/holds?limit=200${next === undefined ? '' : `&after=${next}`}`);
    const listing = (await page.json()) as { holds: SeenHold[]; next?: string };
    found.push(...listing.holds);
    next = listing.next;
  } while (next !== undefined);
  return found;
}

it('releases two thousand held calls, each to its own caller and each sent once', { timeout: 240_000 }, async ({
  env,
}) => {
  const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY });
  const bodies = Array.from({ length: CALLS }, (_, n) => JSON.stringify({ to: `account-${n}`, amount: n }));
  const calls = bodies.map((body, n) => post(env, agent, `agent-${n % AGENTS}`, body));
  await expect.poll(() => metric(env, 'countersign_holds_active'), { timeout: 120_000, interval: 500 }).toBe(CALLS);
  expect(env.upstream.requests).toEqual([]);

  const alice = await env.reviewer('alice');
  const holds = await listAll(alice);
  expect(holds).toHaveLength(CALLS);
  const queue = holds.values();
  const approveRest = async (): Promise<void> => {
    for (const { id, bindingDigest } of queue)
      expect((await alice.vote(id, 'approve', { bindingDigest })).status).toBe(200);
  };
  await Promise.all(Array.from({ length: VOTES_AT_A_TIME }, approveRest));

  const answers = await Promise.all(calls);
  // The upstream says back what it got: every caller has the answer to its own call, and to no other.
  expect(answers.map(({ status, text: said }) => `${status} ${said}`)).toEqual(bodies.map((body) => `200 ${body}`));
  expect(new Set(answers.map(({ hold }) => hold))).toEqual(new Set(holds.map(({ id }) => id)));
  expect(env.upstream.requests.map(({ body }) => body).sort()).toEqual([...bodies].sort());
  await expect.poll(() => metric(env, 'countersign_holds_active'), { timeout: 30_000 }).toBe(0);
  // What was sent twice, or without an approval, would be a fault of the record.
  expect(await verifyAudit(join(env.folder, 'data/audit'))).toMatchObject({ ok: true, faults: [] });
  agent.destroy();
});
