// The starter policies (config/policies) as they stand, over sockets: what each stops and what it lets pass. Only the
// addresses of the upstreams are the test's. Kind of fault: an example that looks right and stops nothing.

import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it as plainIt } from 'vitest';
import { parse } from 'yaml';
import type { GivenConfig, Started, Upstream } from '../support/config.ts';
import type { Environment } from '../support/environment.ts';
import { freshGatewayTest } from '../support/gateway-test.ts';
import { get, newAgent, openTask, outcomeOf, post } from '../support/reads-and-sends.ts';
import { startRecorder } from '../support/recorder.ts';

const FOLDER = 'config/policies';
const NAMES = readdirSync(FOLDER).map((name) => name.replace(/\.yaml$/, ''));

/** The policy as it stands, with each upstream at the recorder, or where `at` says. */
function policyOf(name: string, { origin }: Started, at: Readonly<Record<string, string>> = {}): GivenConfig {
  const policy = parse(readFileSync(`${FOLDER}/${name}.yaml`, 'utf8')) as GivenConfig;
  const upstreams = Object.entries(policy.upstreams ?? {}).map(([mount, upstream]) => [
    mount,
    { ...upstream, url: at[mount] ?? origin },
  ]);
  return { ...policy, upstreams: Object.fromEntries(upstreams) as Record<string, Upstream> };
}

/** A reviewer of these groups, and the newest hold that names one of them. */
async function reviewing(env: Environment, groups: readonly string[]) {
  const reviewer = await env.reviewer('rita', groups);
  const [hold] = await reviewer.list();
  if (hold === undefined) throw new Error('nothing is held');
  return { reviewer, hold };
}

const told = new Set<string>();
const story = (name: string) => {
  told.add(name);
  return freshGatewayTest.extend('env', ({ environment }) => environment((started) => policyOf(name, started)));
};

describe('exfiltration after a read', () => {
  const it = story('exfiltration');
  const letter = (to: string) => ({ to: [to], cc: [], bcc: [], text: 'as promised' });

  it('holds a letter to the outside after customers were read, whoever the task says it is for', async ({ env }) => {
    const agent = newAgent();
    expect(await post(env, '/mail/messages', agent, letter('eve@example.net'))).toBe('sent');
    expect(await get(env, '/crm/customers/1', agent)).toBe('sent');
    expect(await post(env, '/mail/messages', await openTask(env, agent), letter('eve@example.net'))).toBe(
      'approval_pending',
    );
    expect(await post(env, '/mail/messages', agent, letter('ann@hr.corp.example'))).toBe('sent');
  });
});

describe('a spending limit', () => {
  const it = story('spending-limit');
  const payout = (amount: number) => ({ amount, iban: 'DE89370400440532013000' });

  it('lets small payouts pass, holds the one that passes the sum, and denies beyond the cap', async ({ env }) => {
    const agent = newAgent();
    expect(await post(env, '/ledger/payouts', agent, payout(10))).toBe('task_required');
    const working = await openTask(env, agent);
    expect(await post(env, '/ledger/payouts', working, payout(3000))).toBe('sent');
    expect(await post(env, '/ledger/payouts', working, payout(1999.5))).toBe('sent');
    expect(await post(env, '/ledger/payouts', await openTask(env, agent), payout(1))).toBe('approval_pending');
    expect(await post(env, '/ledger/payouts', working, payout(60_000))).toBe('denied');
    // A negative amount would make room: it cannot be counted, so the stricter rules match.
    expect(await post(env, '/ledger/payouts', working, payout(-5000))).toBe('denied');
  });
});

describe('a second repository', () => {
  const it = story('second-repository');

  it('holds the change of another repository and lets further changes of the first pass', async ({ env }) => {
    const agent = newAgent();
    expect(await post(env, '/code/repos/acme/one/issues', agent, {})).toBe('sent');
    expect(await post(env, '/code/repos/acme/one/pulls', agent, {})).toBe('sent');
    expect(await post(env, '/code/repos/acme/two/issues', agent, {})).toBe('approval_pending');
  });
});

describe('first times', () => {
  const it = story('first-time');

  it('holds what an agent shares for the first time, and each new place once', async ({ env }) => {
    const agent = newAgent();
    const share = (to: string) => ({ with: to, file: 'plan.pdf' });
    expect(await post(env, '/files/shares', agent, share('https://partner.example.net/in'))).toBe('approval_pending');
    const { reviewer, hold } = await reviewing(env, ['files-owners']);
    await reviewer.approve(hold.id);
    const { action } = await reviewer.read<{ readonly action: { readonly bodyText: string } }>(`/holds/${hold.id}`);
    const again = { method: 'POST', as: agent.as, body: JSON.parse(action.bodyText) };
    expect((await env.call('/files/shares', again)).status).toBe(200);
    expect(await post(env, '/files/shares', agent, share('https://partner.example.net/in'))).toBe('sent');
    expect(await post(env, '/files/shares', agent, share('https://other.example.net/in'))).toBe('approval_pending');
    expect(await post(env, '/files/shares', newAgent(), share('https://partner.example.net/in'))).toBe(
      'approval_pending',
    );
  });
});

describe('production changes in a window', () => {
  const it = story('production-window');
  it('lets staging pass and asks for production, for more people outside the window', async ({ env }) => {
    const agent = newAgent();
    expect(await post(env, '/deploys/staging/web', agent, {})).toBe('sent');
    expect(await post(env, '/deploys/production/web', agent, {})).toBe('approval_pending');
    const { hold } = await reviewing(env, ['platform', 'duty']);
    const held = new Date(String(hold.createdAt));
    const inWindow = held.getUTCDay() % 6 !== 0 && held.getUTCHours() >= 9 && held.getUTCHours() < 16;
    const tiers = (hold.requirements as readonly { tier: string }[]).map(({ tier }) => tier);
    expect(tiers).toEqual(inWindow ? ['change'] : ['change', 'emergency']);
  });
});

describe('secrets', () => {
  const it = story('secrets');

  it('asks the owner for each secret, and for what its holder writes elsewhere', async ({ env }) => {
    const agent = newAgent();
    expect(await post(env, '/tickets/comments', agent, {})).toBe('sent');
    const read = () => env.call('/vault/v1/secret/db', { as: agent.as, headers: { prefer: 'wait=0' } });
    await (await read()).text();
    const { reviewer, hold } = await reviewing(env, ['secret-owners']);
    expect((await reviewer.vote(hold.id, 'approve', { reason: 'for the migration' })).status).toBe(200);
    expect((await read()).status).toBe(200);
    expect(await get(env, '/tickets/comments', agent)).toBe('sent');
    expect(await post(env, '/tickets/comments', agent, {})).toBe('approval_pending');
  });
});

describe('a sandbox', () => {
  told.add('sandbox');
  // The claim is checked: a sandbox with the address of another upstream is none.
  const it = freshGatewayTest
    .extend('sandbox', ({ closes }) => closes(startRecorder()))
    .extend('env', ({ environment, sandbox }) =>
      environment((started) => policyOf('sandbox', started, { sandbox: sandbox.origin })),
    );

  it('lets everything pass but what comes from an agent that has read marked data', async ({ env, sandbox }) => {
    const agent = newAgent();
    const change = () =>
      outcomeOf(
        env.call('/sandbox/anything', { method: 'POST', as: agent.as, body: {}, headers: { prefer: 'wait=0' } }),
      );
    expect(await change()).toBe('sent');
    expect(await get(env, '/crm/customers/1', agent)).toBe('sent');
    expect(await change()).toBe('approval_pending');
    expect(sandbox.requests).toHaveLength(1);
  });
});

plainIt('every starter policy has its story', () => {
  expect([...told].toSorted()).toEqual(NAMES.toSorted());
});
