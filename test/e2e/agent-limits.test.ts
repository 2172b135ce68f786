// What one agent may leave behind, by whole processes over sockets. Kind: stores and queues without bounds, filled by
// calls that nobody refuses.

import { describe, expect } from 'vitest';
import { rule } from '../support/config.ts';
import type { Environment } from '../support/environment.ts';
import { freshGatewayTest } from '../support/gateway-test.ts';
import { type RecordedRequest, startRecorder } from '../support/recorder.ts';

const it = freshGatewayTest;

const told = async (response: Response) => {
  const { code } = (await response.json()) as { code?: string };
  const retryAfter = response.headers.get('retry-after');
  return [
    response.status,
    code,
    response.headers.get('x-should-retry'),
    retryAfter !== null && /^[1-9]\d*$/.test(retryAfter),
  ];
};
const openTask = (env: Environment, as = 'agent-1', objective = 'x') =>
  env.call('/countersign/v1/tasks', {
    method: 'POST',
    as,
    body: { objective, plan: Array.from({ length: 10 }, () => objective), labels: [] },
  });
const hold = (env: Environment, n: number, as = 'agent-1') =>
  env.transfer({ n }, { as, headers: { prefer: 'wait=0' } });
const cancel = (env: Environment, id: string, as = 'agent-1') =>
  env.call(`/countersign/v1/holds/${id}`, { method: 'DELETE', as });

describe('one agent', { timeout: 120_000 }, () => {
  it('opens so many tasks and no more, and others still can', async ({ environment }) => {
    const env = await environment({ limits: { wait: '0s', openTasksPerAgent: 2 } });
    const [first] = [await openTask(env), await openTask(env)];
    expect(await told(await openTask(env))).toEqual([429, 'too_many_tasks', 'true', true]);
    expect((await openTask(env, 'agent-2')).status).toBe(201);
    const { id } = (await first.json()) as { id: string };
    expect((await env.call(`/countersign/v1/tasks/${id}`, { method: 'DELETE' })).status).toBe(200);
    expect((await openTask(env)).status).toBe(201);
  });

  it('asks people so often within an hour, and cancelling does not make room; a restart does not either', async ({
    environment,
  }) => {
    const env = await environment({ limits: { wait: '0s', holdsPerHourPerAgent: 3 } });
    for (let n = 0; n < 3; n++) {
      const response = await hold(env, n);
      expect(response.status).toBe(409);
      expect((await cancel(env, response.headers.get('countersign-hold') ?? '')).status).toBe(200);
    }
    expect(await told(await hold(env, 3))).toEqual([429, 'too_many_holds', 'true', true]);
    expect((await hold(env, 3, 'agent-2')).status).toBe(409);
    await env.kill();
    await env.start();
    expect(await told(await hold(env, 4))).toEqual([429, 'too_many_holds', 'true', true]);
    expect(env.upstream.requests).toEqual([]);
  });

  it('has so much stored: tasks, holds and calls under a task are refused, and an edit of the limit takes effect', async ({
    environment,
  }) => {
    const env = await environment({ limits: { wait: '0s', storedPerAgent: '64KiB', pendingPerAgent: 100 } });
    const { id } = (await (await openTask(env)).json()) as { id: string };
    let refused: unknown[] | undefined;
    for (let n = 0; n < 30 && refused === undefined; n++) {
      const response = await openTask(env, 'agent-1', 'o'.repeat(1_000));
      if (response.status !== 201) refused = await told(response);
    }
    expect(refused).toEqual([429, 'too_much_stored', 'true', true]);
    expect(await told(await hold(env, 1))).toEqual([429, 'too_much_stored', 'true', true]);
    expect(await told(await env.call('/api/x', { headers: { 'countersign-task': id } }))).toEqual([
      429,
      'too_much_stored',
      'true',
      true,
    ]);
    expect((await env.call('/api/x')).status).toBe(200);
    expect(
      await env.edit(({ limits }) => {
        limits.storedPerAgent = '1MiB';
      }),
    ).toBe('config.reloaded');
    expect((await hold(env, 1)).status).toBe(409);
    expect((await env.call('/api/x', { headers: { 'countersign-task': id } })).status).toBe(200);
  });
});

describe('retention', { timeout: 120_000 }, () => {
  it('deletes what has ended while the gateway runs, and leaves the record of it', async ({ environment }) => {
    const env = await environment({
      limits: { wait: '0s' },
      retention: { holds: '1s', bodies: '1s', tasks: '1s' },
    });
    const ended = (await hold(env, 1)).headers.get('countersign-hold') ?? '';
    const open = (await hold(env, 2)).headers.get('countersign-hold') ?? '';
    await cancel(env, ended);
    await env.logged('retention.deleted');
    expect((await env.call(`/countersign/v1/holds/${ended}`)).status).toBe(404);
    expect((await env.call(`/countersign/v1/holds/${open}`)).status).toBe(200);
  });
});

describe('a flood of calls that pass and are to be looked at', { timeout: 120_000 }, () => {
  it('does not keep anybody from hearing of a hold: it comes first, and the flood is one notice', async ({
    environment,
    closes,
  }) => {
    const receiver = await closes(startRecorder());
    const answers: (() => void)[] = [];
    // A receiver that takes its time: nothing is answered until the test says so.
    receiver.respond((_request, response) => void answers.push(() => response.end('{}')));
    const env = await environment(
      {
        tiers: { payment: { reviewers: ['group:finance'], notify: ['hook'] } },
        rules: [
          rule.allow('reads', { upstream: 'api', methods: ['GET'] }, { notify: ['hook'] }),
          rule.hold('transfers', { upstream: 'api', methods: ['POST'] }),
        ],
        limits: { wait: '0s' },
        notifications: {
          channels: { hook: { type: 'webhook', url: `${receiver.origin}/in`, secret: { env: 'E2E_WEBHOOK' } } },
        },
      },
      { env: { E2E_WEBHOOK: `whsec_${Buffer.alloc(32, 7).toString('base64')}` } },
    );
    const typeOf = ({ body }: RecordedRequest) => (JSON.parse(body) as { type: string }).type;
    for (let n = 0; n < 300; n += 50)
      await Promise.all(Array.from({ length: 50 }, async (_, i) => (await env.call(`/api/${n + i}`)).arrayBuffer()));
    // The flood's notice is on its way, and unanswered, before the hold opens.
    const first = await receiver.arrived(0);
    const id = (await hold(env, 1)).headers.get('countersign-hold');
    const second = await receiver.arrived(1);
    expect([typeOf(first), typeOf(second)]).toEqual(['io.countersign.call.passed', 'io.countersign.hold.opened']);
    expect((JSON.parse(second.body) as { subject: string }).subject).toBe(id);
    expect(receiver.requests).toHaveLength(2);
    for (const answer of answers) answer();
  });
});
