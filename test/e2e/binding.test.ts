// What an approval is bound to: after it, one thing at a time is changed, and nothing of it reaches the upstream. And
// what it is not bound to: an edit that has nothing to do with it voids nothing.

import { describe, expect } from 'vitest';
import { rule, ruleOf, type WholeConfig } from '../support/config.ts';
import { countFrom } from '../support/count.ts';
import type { CallOptions, Environment } from '../support/environment.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';
import { startIssuer } from '../support/oidc-issuer.ts';
import { startRecorder } from '../support/recorder.ts';
import { answered, approveTransfer, transferNow } from './held.ts';

const serial = countFrom(0);
const payment = () => ({ to: 'ACME', reference: `r${serial()}`, amount: 4200 });

const it = gatewayTest
  .extend('elsewhere', file, ({ closes }) => closes(startIssuer({ clients: [] })))
  .extend('env', file, ({ elsewhere, environment }) =>
    environment({
      identity: { issuers: [{ name: 'elsewhere', type: 'oidc', issuer: elsewhere.issuer, algorithms: ['ES256'] }] },
      upstreams: { api: { boundHeaders: ['x-account'] } },
      rules: [
        rule.allow('reads', { upstream: 'api', methods: ['GET'] }),
        rule.hold('transfers', { upstream: 'api', methods: ['POST'], path: '/transfers' }, { data: 'kind-a' }),
        rule.hold('removals', { upstream: 'api', methods: ['DELETE'], path: '/transfers' }),
      ],
      limits: { wait: '20s', pendingPerAgent: 1000 },
    }),
  )
  .extend('alice', file, ({ env }) => env.reviewer('alice'));

/** Edits the configuration, runs, and takes the edit back. */
async function withEdit(
  env: Environment,
  change: (config: WholeConfig) => void,
  run: () => Promise<void>,
): Promise<void> {
  const before = env.config;
  expect(await env.edit(change)).toBe('config.reloaded');
  try {
    await run();
  } finally {
    expect(await env.edit(before)).toBe('config.reloaded');
  }
}

describe('after an approval, another request', () => {
  interface Change {
    readonly path?: string;
    readonly method?: string;
    readonly as?: string;
    readonly claims?: CallOptions['claims'];
    readonly headers?: CallOptions['headers'];
    readonly alter?: (body: string) => string;
  }
  const long = 'x'.repeat(200_000);
  const CHANGES: readonly (readonly [string, Change])[] = [
    ['with another last byte of its body', { alter: (body) => `${body.slice(0, -2)}9}` }],
    ['with one more space after its body', { alter: (body) => `${body} ` }],
    [
      'with the body’s members in another order',
      { alter: (body) => JSON.stringify(Object.fromEntries(Object.entries(JSON.parse(body)).reverse())) },
    ],
    ['with another value of a bound field', { headers: { 'x-account': '2' } }],
    ['with a bound field left empty', { headers: { 'x-account': '' } }],
    ['with another Accept', { headers: { accept: 'text/csv' } }],
    ['with another Content-Type', { headers: { 'content-type': 'application/problem+json' } }],
    ['with a query', { path: '/api/transfers?dry=1' }],
    ['with an empty query', { path: '/api/transfers?' }],
    ['with another method', { method: 'DELETE' }],
    ['with an Idempotency-Key', { headers: { 'idempotency-key': 'new' } }],
    ['of another agent', { as: 'agent-2' }],
    ['on behalf of somebody', { as: 'carol', claims: { act: { sub: 'agent-1' } } }],
  ];

  it.for(CHANGES)(
    '%s needs an approval of its own',
    async ([_name, { path = '/api/transfers', method = 'POST', as, claims, headers, alter }], { env, alice }) => {
      const body = JSON.stringify({ ...payment(), memo: long, last: 1 });
      const sent: CallOptions = {
        method: 'POST',
        body,
        headers: { prefer: 'wait=0', 'x-account': '1', accept: 'application/json' },
      };
      const before = env.upstream.requests.length;
      const first = await answered(env.call('/api/transfers', sent));
      await alice.approve(first.hold);
      const changed: CallOptions = {
        ...{ ...sent, method, body: alter?.(body) ?? body, headers: { ...sent.headers, ...headers } },
        ...(as !== undefined && { as }),
        ...(claims !== undefined && { claims }),
      };
      const other = await answered(env.call(path, changed));
      expect([other.status, other.code, other.hold === first.hold]).toEqual([409, 'approval_pending', false]);
      expect(env.upstream.requests.length).toBe(before);
      // The approval itself is untouched, and opens the way for what was approved.
      expect(await answered(env.call('/api/transfers', sent))).toMatchObject({ status: 200, hold: first.hold });
      expect(env.upstream.requests.slice(before).map((request) => request.body)).toEqual([body]);
    },
  );

  it('of the same subject at another issuer needs an approval of its own', async ({ elsewhere, env, alice }) => {
    const body = payment();
    const before = env.upstream.requests.length;
    const id = await approveTransfer(env, alice, body);
    const token = await elsewhere.sign({ sub: 'agent-1', aud: 'https://gateway.test' });
    const other = await transferNow(env, body, { headers: { authorization: `Bearer ${token}` } });
    expect([other.code, other.hold === id]).toEqual(['approval_pending', false]);
    expect(env.upstream.requests.length).toBe(before);
  });
});

describe('a field that is not bound', () => {
  it('changes nothing about the approval, and is not forwarded', async ({ env, alice }) => {
    const body = payment();
    const before = env.upstream.requests.length;
    const id = await approveTransfer(env, alice, body, { headers: { 'x-note': 'one' } });
    expect(
      await transferNow(env, body, { headers: { 'x-note': 'two', 'x-more': 'three', 'user-agent': 'me' } }),
    ).toMatchObject({ status: 200, hold: id });
    const { headers } = await env.upstream.arrived(before);
    expect([headers['x-note'], headers['x-more'], headers['user-agent']]).toEqual([undefined, undefined, undefined]);
  });
});

describe('a change of the task’s plan', () => {
  it('voids the approval given under the old one, and says so once', async ({ env, alice }) => {
    const task = await openTask(env);
    const headers = { 'countersign-task': task };
    const body = payment();
    const before = env.upstream.requests.length;
    const id = await approveTransfer(env, alice, body, { headers });
    const plan = { objective: 'pay', plan: ['pay somebody else'] };
    expect((await env.call(`/countersign/v1/tasks/${task}`, { method: 'PUT', body: plan })).status).toBe(200);
    expect(await transferNow(env, body, { headers })).toMatchObject({
      status: 403,
      code: 'approval_invalidated',
      hold: id,
    });
    expect((await transferNow(env, body, { headers })).code).toBe('approval_pending');
    expect(env.upstream.requests.length).toBe(before);
  });

  it('leaves an approval without the task, or with another one, as it is', async ({ env, alice }) => {
    const [task, other] = [await openTask(env), await openTask(env)];
    const body = payment();
    const id = await approveTransfer(env, alice, body, { headers: { 'countersign-task': task } });
    for (const headers of [{}, { 'countersign-task': other }]) {
      const answer = await transferNow(env, body, { headers });
      expect([answer.code, answer.hold === id]).toEqual(['approval_pending', false]);
    }
  });

  const openTask = async (env: Environment) =>
    String((await answered(env.call('/countersign/v1/tasks', { method: 'POST', body: { objective: 'pay' } }))).json.id);
});

describe('an edit of the configuration', () => {
  const EDITS: readonly (readonly [string, (config: WholeConfig) => unknown])[] = [
    ['of the rule that matched', (config) => Object.assign(ruleOf(config, 'transfers'), { data: 'kind-b' })],
    ['of its tier', (config) => Object.assign(config.tiers.payment ?? {}, { useWithin: '3m' })],
    ['that adds a rule which matches, too', ({ rules }) => rules.unshift(rule.allow('more', { methods: ['POST'] }))],
    ['that asks for more', (config) => Object.assign(config.tiers.payment ?? {}, { count: 2 })],
  ];

  it.for(EDITS)('%s voids an approval that waits for use', async ([_name, change], { env, alice }) => {
    const body = payment();
    const before = env.upstream.requests.length;
    const id = await approveTransfer(env, alice, body);
    await withEdit(env, change, async () => {
      expect(await transferNow(env, body)).toMatchObject({ status: 403, code: 'approval_invalidated', hold: id });
      expect((await transferNow(env, body)).code).toBe('approval_pending');
    });
    expect(env.upstream.requests.length).toBe(before);
  });

  it.for(EDITS)(
    '%s while the call waits lets no vote of before or after release it',
    async ([_name, change], { env, alice }) => {
      const { hold } = await alice.expect('PENDING');
      const before = env.upstream.requests.length;
      const waiting = answered(env.transfer(payment()));
      const id = await hold;
      await withEdit(env, change, async () => {
        await alice.approve(id);
        expect(await waiting).toMatchObject({ status: 403, code: 'approval_invalidated', hold: id });
      });
      expect(env.upstream.requests.length).toBe(before);
    },
  );

  it('that denies the call now is what counts, approval or not', async ({ env, alice }) => {
    const body = payment();
    const before = env.upstream.requests.length;
    await approveTransfer(env, alice, body);
    await withEdit(
      env,
      ({ rules }) => rules.unshift(rule.deny('freeze', { path: '/transfers' })),
      async () => expect(await transferNow(env, body)).toMatchObject({ status: 403, code: 'denied' }),
    );
    expect(env.upstream.requests.length).toBe(before);
  });

  it('that has nothing to do with an approval voids nothing, and drops no call that waits', async ({ env, alice }) => {
    const body = payment();
    const id = await approveTransfer(env, alice, body);
    const { hold } = await alice.expect('PENDING');
    const waiting = answered(env.transfer(payment()));
    const waitingId = await hold;
    const unrelated = ({ rules, tiers, limits }: WholeConfig) => {
      rules.unshift(rule.allow('heads', { methods: ['HEAD'] }));
      tiers.spare = { reviewers: ['user:zoe'] };
      limits.wait = '25s';
    };
    await withEdit(env, unrelated, async () => {
      expect(await transferNow(env, body)).toMatchObject({ status: 200, hold: id });
      await alice.approve(waitingId);
      expect(await waiting).toMatchObject({ status: 200, hold: waitingId });
    });
  });

  it('that is not valid is refused, and the old rules go on', async ({ env, alice }) => {
    const body = payment();
    const id = await approveTransfer(env, alice, body);
    const { hold } = await alice.expect('PENDING');
    const waiting = answered(env.transfer(payment()));
    const waitingId = await hold;
    const before = env.config;
    const broken = (config: WholeConfig) => Object.assign(ruleOf(config, 'transfers'), { decide: 'perhaps' });
    expect(await env.edit(broken)).toBe('config.refused');
    expect(await transferNow(env, body)).toMatchObject({ status: 200, hold: id });
    await alice.approve(waitingId);
    expect(await waiting).toMatchObject({ status: 200, hold: waitingId });
    expect((await transferNow(env, payment())).code).toBe('approval_pending');
    expect(await env.edit(before)).toBe('config.reloaded');
  });
});

describe('an upstream that moves', () => {
  const MOVES: readonly (readonly [string, (origin: string, other: string) => string])[] = [
    ['to another address', (_origin, other) => other],
    ['to another path of the same address', (origin) => `${origin}/v2`],
  ];

  it.for(MOVES)(
    '%s: an approval for the old place does not open the new one',
    async ([_name, move], { env, alice }) => {
      const other = await startRecorder();
      const body = payment();
      const before = env.upstream.requests.length;
      const id = await approveTransfer(env, alice, body);
      const { hold } = await alice.expect('PENDING');
      const waiting = answered(env.transfer(payment()));
      const waitingId = await hold;
      const moved = ({ upstreams }: WholeConfig) => {
        upstreams.api.url = move(env.upstream.origin, other.origin);
      };
      await withEdit(env, moved, async () => {
        const again = await transferNow(env, body);
        expect([again.code, again.hold === id]).toEqual(['approval_pending', false]);
        await alice.approve(waitingId);
        expect(await waiting).toMatchObject({ status: 403, code: 'approval_invalidated', hold: waitingId });
      });
      expect(env.upstream.requests.length).toBe(before);
      expect(other.requests).toEqual([]);
      await other.close();
    },
  );
});

describe('a token that expires while its call waits', () => {
  it('is refused at release, and the approval can still be used with a fresh one', async ({ env, alice }) => {
    const { hold } = await alice.expect('PENDING');
    const body = payment();
    const before = env.upstream.requests.length;
    const expiresAt = Math.ceil(Date.now() / 1000) + 2;
    const waiting = answered(env.transfer(body, { claims: { exp: expiresAt } }));
    const id = await hold;
    await expect.poll(() => Date.now(), { timeout: 5_000 }).toBeGreaterThan(expiresAt * 1000);
    await alice.approve(id);
    const answer = await waiting;
    expect([answer.status, answer.code]).toEqual([401, 'token_expired']);
    expect(answer.headers.get('www-authenticate')).toContain('error="invalid_token"');
    expect(env.upstream.requests.length).toBe(before);
    expect(await transferNow(env, body)).toMatchObject({ status: 200, hold: id });
  });
});
