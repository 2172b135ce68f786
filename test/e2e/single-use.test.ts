// One approval, one call: whoever races, however often it is asked, and whenever it comes too late.

import { describe, expect } from 'vitest';
import { rule } from '../support/config.ts';
import { countFrom } from '../support/count.ts';
import type { Environment } from '../support/environment.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';
import { answered, approveTransfer, becomes, holdTransfer, transferNow } from './held.ts';

const serial = countFrom(0);
const payment = () => ({ to: 'ACME', reference: `r${serial()}` });

const it = gatewayTest.extend('env', file, ({ environment }) =>
  environment({
    tiers: {
      payment: { reviewers: ['group:finance'], count: 1, decideWithin: '5m', useWithin: '2m' },
      hasty: { reviewers: ['group:finance'], decideWithin: '1s', useWithin: '1s' },
    },
    rules: [
      rule.allow('reads', { upstream: 'api', methods: ['GET'] }),
      rule.hold('transfers', { upstream: 'api', methods: ['POST'], path: '/transfers' }),
      rule.hold('hasty', { upstream: 'api', methods: ['POST'], path: '/hasty' }, { tier: 'hasty' }),
    ],
    limits: { wait: '20s', pendingPerAgent: 1000 },
  }),
);

it.afterEach(({ env }) => env.upstream.respond((_request, response) => response.end('{"ok":true}')));

const sentWith = (env: Environment, body: unknown) =>
  env.upstream.requests.filter((request) => request.body === JSON.stringify(body));

describe('identical requests that race one approval', () => {
  it.for([2, 20])(
    '%i that wait: one is sent, and the others are told while it is under way',
    async (racers, { env }) => {
      const alice = await env.reviewer('alice');
      const body = payment();
      const id = await holdTransfer(env, body);
      let waiting = racers - 1;
      const othersWereTold = Promise.withResolvers<void>();
      // The winner's answer is kept back until everybody else has had theirs.
      env.upstream.respond((_request, response) => void othersWereTold.promise.then(() => response.end('{"ok":true}')));
      const racing = Array.from({ length: racers }, async () => {
        const answer = await answered(env.transfer(body));
        if (answer.status !== 200 && --waiting === 0) othersWereTold.resolve();
        return answer;
      });
      await alice.approve(id);
      const answers = await Promise.all(racing);
      expect(answers.filter(({ status }) => status === 200).map(({ hold }) => hold)).toEqual([id]);
      for (const { status, code, hold, json } of answers.filter((answer) => answer.status !== 200)) {
        expect([status, code, hold]).toEqual([409, 'already_sent', id]);
        expect(['RELEASING', 'SENT']).toContain(json.outcome);
      }
      expect(sentWith(env, body)).toHaveLength(1);
      expect((await alice.show(id)).state).toBe('EXECUTED');
    },
  );

  it.for([2, 20])(
    '%i that come after it: one is sent, the others are under way or asked anew',
    async (racers, { env }) => {
      const alice = await env.reviewer('alice');
      const body = payment();
      const id = await approveTransfer(env, alice, body);
      const answers = await Promise.all(Array.from({ length: racers }, () => transferNow(env, body)));
      expect(answers.filter(({ status }) => status === 200).map(({ hold }) => hold)).toEqual([id]);
      for (const { status, code, hold } of answers.filter((answer) => answer.status !== 200)) {
        expect(status).toBe(409);
        expect(code).toBe(hold === id ? 'already_sent' : 'approval_pending');
      }
      // Those that came too late share one new hold.
      expect(new Set(answers.map(({ hold }) => hold)).size).toBeLessThanOrEqual(2);
      expect(sentWith(env, body)).toHaveLength(1);
    },
  );

  it('with one Idempotency-Key never open a second hold', async ({ env }) => {
    const alice = await env.reviewer('alice');
    const body = payment();
    const headers = { 'idempotency-key': `race-${serial()}` };
    const id = await approveTransfer(env, alice, body, { headers });
    const answers = await Promise.all(Array.from({ length: 20 }, () => transferNow(env, body, { headers })));
    expect(answers.map(({ hold }) => hold)).toEqual(Array(20).fill(id));
    expect(answers.map(({ status, code }) => `${status} ${code}`).sort()).toEqual([
      '200 undefined',
      ...Array(19).fill('409 already_sent'),
    ]);
    expect(sentWith(env, body)).toHaveLength(1);
  });

  it('share one hold when they open it at once', async ({ env }) => {
    const body = payment();
    const answers = await Promise.all(Array.from({ length: 20 }, () => transferNow(env, body)));
    expect(new Set(answers.map(({ hold }) => hold)).size).toBe(1);
  });
});

describe('two reviewers who approve at once', () => {
  it('make one approval between them, and one call', async ({ env }) => {
    const [alice, bob] = await Promise.all([env.reviewer('alice'), env.reviewer('bob')]);
    const body = payment();
    const id = await holdTransfer(env, body);
    const votes = await Promise.all([alice.vote(id, 'approve'), bob.vote(id, 'approve')].map(answered));
    expect(votes.map(({ status, code }) => `${status} ${code}`).sort()).toEqual(['200 undefined', '409 hold_closed']);
    const answers = await Promise.all([transferNow(env, body), transferNow(env, body)]);
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(sentWith(env, body)).toHaveLength(1);
  });
});

describe('an approval that the upstream answers with an error', () => {
  it('is spent: the gateway does not try again, and the next request is asked anew', async ({ env }) => {
    const alice = await env.reviewer('alice');
    env.upstream.respond((_request, response) => response.writeHead(503, { 'retry-after': '0' }).end('busy'));
    const body = payment();
    const id = await approveTransfer(env, alice, body);
    expect(await transferNow(env, body)).toMatchObject({ status: 503, hold: id, text: 'busy' });
    expect(await alice.show(id)).toMatchObject({ state: 'UPSTREAM_ERROR', outcomeStatus: 503 });
    const again = await transferNow(env, body);
    expect([again.status, again.code, again.hold === id]).toEqual([409, 'approval_pending', false]);
    expect(sentWith(env, body)).toHaveLength(1);
  });
});

describe('the two clocks', () => {
  const hasty = (env: Environment, body: unknown, prefer: string) =>
    answered(env.call('/api/hasty', { method: 'POST', body, headers: { prefer } }));

  it('end a wait that nobody decides with approval_expired, and the next request is a new hold', async ({ env }) => {
    const body = payment();
    const expired = await hasty(env, body, 'wait=20');
    expect([expired.status, expired.code]).toEqual([403, 'approval_expired']);
    expect(expired.headers.get('x-should-retry')).toBe('false');
    const next = await hasty(env, body, 'wait=0');
    expect([next.status, next.code, next.hold === expired.hold]).toEqual([409, 'approval_pending', false]);
  });

  it('tell of an expiry that happened while nobody was there, once', async ({ env }) => {
    const alice = await env.reviewer('alice');
    const body = payment();
    const { hold: id } = await hasty(env, body, 'wait=0');
    await becomes(alice, id, 'EXPIRED');
    expect(await hasty(env, body, 'wait=0')).toMatchObject({ status: 403, code: 'approval_expired', hold: id });
    const next = await hasty(env, body, 'wait=0');
    expect([next.code, next.hold === id]).toEqual(['approval_pending', false]);
  });

  it('end an approval that nobody comes for with approval_unused, once', async ({ env }) => {
    const alice = await env.reviewer('alice');
    const body = payment();
    const { hold: id } = await hasty(env, body, 'wait=0');
    await alice.approve(id);
    await becomes(alice, id, 'EXPIRED');
    expect(await answered(env.call(`/countersign/v1/holds/${id}`))).toMatchObject({
      status: 200,
      code: 'approval_unused',
    });
    expect(await hasty(env, body, 'wait=0')).toMatchObject({ status: 403, code: 'approval_unused', hold: id });
    const next = await hasty(env, body, 'wait=0');
    expect([next.code, next.hold === id]).toEqual(['approval_pending', false]);
    expect(sentWith(env, body)).toEqual([]);
  });

  it('take no vote after the deadline', async ({ env }) => {
    const alice = await env.reviewer('alice');
    const { hold: id } = await hasty(env, payment(), 'wait=0');
    await becomes(alice, id, 'EXPIRED');
    expect(await answered(alice.vote(id, 'approve'))).toMatchObject({ status: 409, code: 'hold_closed' });
  });
});

describe('Prefer', () => {
  it.for(['wait=0', 'wait="0"', 'WAIT=0', 'wait=0, wait=20', 'handling=lenient; a=b, wait=0', 'wait=1'])(
    '`%s` answers 409 with Retry-After',
    async (prefer, { env }) => {
      const answer = await transferNow(env, payment(), { headers: { prefer } });
      expect([answer.status, answer.code]).toEqual([409, 'approval_pending']);
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
      expect(answer.headers.get('preference-applied')).toBeNull();
    },
  );

  it.for(['respond-async', 'respond-async, wait=0', 'wait=1, RESPOND-ASYNC'])(
    '`%s` answers 202 with the place to look',
    async (prefer, { env }) => {
      const answer = await transferNow(env, payment(), { headers: { prefer } });
      expect([answer.status, answer.code]).toEqual([202, 'approval_pending']);
      expect(answer.headers.get('preference-applied')).toBe('respond-async');
      expect(answer.headers.get('location')).toBe(`/countersign/v1/holds/${answer.hold}`);
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    },
  );

  it.for([
    'wait=-1',
    'wait=',
    'wait=1e9',
    'wait=99999999999',
    'wait=999999',
    'wait=soon',
    'respond-async;wait=0, wait=600',
  ])(
    '`%s` waits no longer than is configured, and the approval that comes meanwhile is used',
    async (prefer, { env }) => {
      const alice = await env.reviewer('alice');
      const { hold } = await alice.expect('PENDING');
      const body = payment();
      const answer = answered(env.transfer(body, { headers: { prefer } }));
      await alice.approve(await hold);
      expect(await answer).toMatchObject({ status: 200, hold: await hold });
      expect(sentWith(env, body)).toHaveLength(1);
    },
  );

  it('lets the status of a hold be waited for', async ({ env }) => {
    const alice = await env.reviewer('alice');
    const id = await holdTransfer(env, payment());
    const status = answered(env.call(`/countersign/v1/holds/${id}`, { headers: { prefer: 'wait=20' } }));
    await alice.deny(id);
    expect((await status).json).toMatchObject({ state: 'DENIED', code: 'approval_denied' });
  });
});
