// What an approval is bound to: after it, one thing at a time is changed, and nothing of it reaches the upstream. And
// what it is not bound to: an edit that has nothing to do with it voids nothing.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CallOptions, type Environment, startEnvironment, startRecorder } from '../support/environment.ts';
import { startIssuer, type TestIssuer } from '../support/oidc-issuer.ts';
import type { ReviewerClient } from '../support/reviewer-client.ts';
import { answered, approveTransfer, transferNow } from './held.ts';

let env: Environment;
let alice: ReviewerClient;
let elsewhere: TestIssuer;
let serial = 0;
const payment = () => ({ to: 'ACME', reference: `r${serial++}`, amount: 4200 });

beforeAll(async () => {
  elsewhere = await startIssuer({ clients: [] });
  env = await startEnvironment({
    api: ', boundHeaders: [x-account]',
    identity: `    - { name: elsewhere, type: oidc, issuer: "${elsewhere.issuer}", algorithms: [ES256] }`,
    limits: '{ wait: 20s, pendingPerAgent: 1000 }',
    rules: `
  - { id: reads, match: { upstream: api, methods: [GET] }, decide: allow }
  - { id: transfers, match: { upstream: api, methods: [POST], path: /transfers }, decide: hold, tier: payment, data: "kind-a" }
  - { id: removals, match: { upstream: api, methods: [DELETE], path: /transfers }, decide: hold, tier: payment }
`,
  });
  alice = await env.reviewer('alice');
});
afterAll(async () => {
  await env.close();
  await elsewhere.close();
});

/** Edits the configuration, runs, and takes the edit back. */
async function withEdit(change: (yaml: string) => string, run: () => Promise<void>): Promise<void> {
  let before = '';
  expect(
    await env.edit((yaml) => {
      before = yaml;
      const after = change(yaml);
      expect(after).not.toBe(yaml);
      return after;
    }),
  ).toBe('config.reloaded');
  try {
    await run();
  } finally {
    expect(await env.edit(() => before)).toBe('config.reloaded');
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

  it.each(CHANGES)(
    '%s needs an approval of its own',
    async (_name, { path = '/api/transfers', method = 'POST', as, claims, headers, alter }) => {
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

  it('of the same subject at another issuer needs an approval of its own', async () => {
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
  it('changes nothing about the approval, and is not forwarded', async () => {
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
  it('voids the approval given under the old one, and says so once', async () => {
    const task = await openTask();
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

  it('leaves an approval without the task, or with another one, as it is', async () => {
    const [task, other] = [await openTask(), await openTask()];
    const body = payment();
    const id = await approveTransfer(env, alice, body, { headers: { 'countersign-task': task } });
    for (const headers of [{}, { 'countersign-task': other }]) {
      const answer = await transferNow(env, body, { headers });
      expect([answer.code, answer.hold === id]).toEqual(['approval_pending', false]);
    }
  });

  const openTask = async () =>
    String((await answered(env.call('/countersign/v1/tasks', { method: 'POST', body: { objective: 'pay' } }))).json.id);
});

describe('an edit of the configuration', () => {
  const EDITS: readonly (readonly [string, (yaml: string) => string])[] = [
    ['of the rule that matched', (yaml) => yaml.replace('data: "kind-a"', 'data: "kind-b"')],
    ['of its tier', (yaml) => yaml.replace('useWithin: 2m', 'useWithin: 3m')],
    [
      'that adds a rule which matches, too',
      (yaml) => yaml.replace('rules:\n', 'rules:\n  - { id: more, match: { methods: [POST] }, decide: allow }\n'),
    ],
    ['that asks for more', (yaml) => yaml.replace('count: 1', 'count: 2')],
  ];

  it.each(EDITS)('%s voids an approval that waits for use', async (_name, change) => {
    const body = payment();
    const before = env.upstream.requests.length;
    const id = await approveTransfer(env, alice, body);
    await withEdit(change, async () => {
      expect(await transferNow(env, body)).toMatchObject({ status: 403, code: 'approval_invalidated', hold: id });
      expect((await transferNow(env, body)).code).toBe('approval_pending');
    });
    expect(env.upstream.requests.length).toBe(before);
  });

  it.each(EDITS)('%s while the call waits lets no vote of before or after release it', async (_name, change) => {
    const { hold } = await alice.expect('PENDING');
    const before = env.upstream.requests.length;
    const waiting = answered(env.transfer(payment()));
    const id = await hold;
    await withEdit(change, async () => {
      await alice.approve(id);
      expect(await waiting).toMatchObject({ status: 403, code: 'approval_invalidated', hold: id });
    });
    expect(env.upstream.requests.length).toBe(before);
  });

  it('that denies the call now is what counts, approval or not', async () => {
    const body = payment();
    const before = env.upstream.requests.length;
    await approveTransfer(env, alice, body);
    await withEdit(
      (yaml) => yaml.replace('rules:\n', 'rules:\n  - { id: freeze, match: { path: /transfers }, decide: deny }\n'),
      async () => expect(await transferNow(env, body)).toMatchObject({ status: 403, code: 'denied' }),
    );
    expect(env.upstream.requests.length).toBe(before);
  });

  it('that has nothing to do with an approval voids nothing, and drops no call that waits', async () => {
    const body = payment();
    const id = await approveTransfer(env, alice, body);
    const { hold } = await alice.expect('PENDING');
    const waiting = answered(env.transfer(payment()));
    const waitingId = await hold;
    const unrelated = (yaml: string) =>
      yaml
        .replace('  - { id: reads,', '  - { id: heads, match: { methods: [HEAD] }, decide: allow }\n  - { id: reads,')
        .replace('tiers: {', 'tiers: { spare: { reviewers: ["user:zoe"] }, ')
        .replace('wait: 20s', 'wait: 25s');
    await withEdit(unrelated, async () => {
      expect(await transferNow(env, body)).toMatchObject({ status: 200, hold: id });
      await alice.approve(waitingId);
      expect(await waiting).toMatchObject({ status: 200, hold: waitingId });
    });
  });

  it('that is not valid is refused, and the old rules go on', async () => {
    const body = payment();
    const id = await approveTransfer(env, alice, body);
    const { hold } = await alice.expect('PENDING');
    const waiting = answered(env.transfer(payment()));
    const waitingId = await hold;
    let before = '';
    const broken = (yaml: string) => {
      before = yaml;
      return yaml.replace('decide: hold', 'decide: perhaps');
    };
    expect(await env.edit(broken)).toBe('config.refused');
    expect(await transferNow(env, body)).toMatchObject({ status: 200, hold: id });
    await alice.approve(waitingId);
    expect(await waiting).toMatchObject({ status: 200, hold: waitingId });
    expect((await transferNow(env, payment())).code).toBe('approval_pending');
    expect(await env.edit(() => `${before}# whole again\n`)).toBe('config.reloaded');
  });
});

describe('an upstream that moves', () => {
  const MOVES: readonly (readonly [string, (origin: string, other: string) => string])[] = [
    ['to another address', (_origin, other) => other],
    ['to another path of the same address', (origin) => `${origin}/v2`],
  ];

  it.each(MOVES)('%s: an approval for the old place does not open the new one', async (_name, move) => {
    const other = await startRecorder();
    const body = payment();
    const before = env.upstream.requests.length;
    const id = await approveTransfer(env, alice, body);
    const { hold } = await alice.expect('PENDING');
    const waiting = answered(env.transfer(payment()));
    const waitingId = await hold;
    const moved = (yaml: string) =>
      yaml.replace(`url: "${env.upstream.origin}"`, `url: "${move(env.upstream.origin, other.origin)}"`);
    await withEdit(moved, async () => {
      const again = await transferNow(env, body);
      expect([again.code, again.hold === id]).toEqual(['approval_pending', false]);
      await alice.approve(waitingId);
      expect(await waiting).toMatchObject({ status: 403, code: 'approval_invalidated', hold: waitingId });
    });
    expect(env.upstream.requests.length).toBe(before);
    expect(other.requests).toEqual([]);
    await other.close();
  });
});

describe('a token that expires while its call waits', () => {
  it('is refused at release, and the approval can still be used with a fresh one', async () => {
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
