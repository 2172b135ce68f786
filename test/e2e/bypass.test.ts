// An agent that wants a held call through without an approval of its own: races, framing, pipelining, keys,
// preferences. What counts is what the upstream received; each test says what the agent tried.

import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, expect } from 'vitest';
import { countFrom } from '../support/count.ts';
import type { Environment } from '../support/environment.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';
import { sendRaw } from '../support/raw-http.ts';
import { answered, approveTransfer, becomes, holdTransfer, transferNow } from './held.ts';

const serial = countFrom(0);
const payment = () => ({ to: 'ACME', reference: `r${serial()}` });
const sentWith = (env: Environment, body: unknown) =>
  env.upstream.requests.filter((request) => request.body === JSON.stringify(body));

const it = gatewayTest
  .extend('env', file, ({ environment }) => environment({ limits: { wait: '20s', pendingPerAgent: 200 } }))
  .extend('alice', file, ({ env }) => env.reviewer('alice'))
  .extend('bob', file, ({ env }) => env.reviewer('bob'));

interface RawOptions {
  readonly version?: string;
  readonly fields?: readonly string[];
  readonly framed?: string;
}

/** A POST /api/transfers as bytes. */
async function raw(
  env: Environment,
  body: unknown,
  { version = '1.1', fields = [], framed }: RawOptions = {},
): Promise<string> {
  const text = JSON.stringify(body);
  const head = [
    `POST /api/transfers HTTP/${version}`,
    'host: gateway.test',
    `authorization: Bearer ${await env.token('agent-1')}`,
    'content-type: application/json',
    framed === undefined ? `content-length: ${text.length}` : 'transfer-encoding: chunked',
    // What fetch says of itself, so that both ways are the identical request.
    'accept: */*',
    'accept-language: *',
    ...fields,
  ];
  return `${head.join('\r\n')}\r\n\r\n${framed ?? text}`;
}

const chunked = (text: string, size: number): string =>
  `${(text.match(new RegExp(`.{1,${size}}`, 'gs')) ?? []).map((piece) => `${piece.length.toString(16)};ext="5"\r\n${piece}\r\n`).join('')}0\r\n\r\n`;

describe('other framing', () => {
  it.for([
    ['HTTP/1.0', { version: '1.0', fields: ['prefer: wait=0'] }],
    [
      'fields in capitals',
      {
        version: '1.1',
        fields: ['PREFER: WAIT=0', 'COUNTERSIGN-HOLD: hold_AAAAAAAAAAAAAAAAAAAAAA', 'X-COUNTERSIGN-DECISION: allow'],
      },
    ],
  ] as const)('by %s is held like any other call', async ([_name, { version, fields }], { env }) => {
    const body = payment();
    const answer = await sendRaw(
      env.ports.agents,
      await raw(env, body, { version, fields: [...fields, 'connection: close'] }),
    );
    expect([answer.status, (JSON.parse(answer.body) as { code: string }).code]).toEqual([409, 'approval_pending']);
    expect(sentWith(env, body)).toEqual([]);
  });

  it('in chunks of any size is the identical request, and goes upstream once, re-framed', async ({ env, alice }) => {
    const body = payment();
    const id = await approveTransfer(env, alice, body);
    const before = env.upstream.requests.length;
    for (const size of [7, 1]) {
      const framed = chunked(JSON.stringify(body), size);
      const answer = await sendRaw(
        env.ports.agents,
        await raw(env, body, { framed, fields: ['prefer: wait=0', 'connection: close'] }),
      );
      expect(answer.status).toBe(size === 7 ? 200 : 409);
      expect(answer.text.includes(`countersign-hold: ${id}`)).toBe(size === 7);
    }
    const [seen, ...more] = env.upstream.requests.slice(before);
    expect([seen?.body, seen?.headers['content-length'], seen?.headers['transfer-encoding'], more]).toEqual([
      JSON.stringify(body),
      String(JSON.stringify(body).length),
      undefined,
      [],
    ]);
  });

  it('that appends a second call to an approved one gets the first through only', async ({ env, alice }) => {
    const [body, smuggled] = [payment(), payment()];
    await approveTransfer(env, alice, body);
    const both =
      (await raw(env, body, { fields: ['prefer: wait=0'] })) +
      (await raw(env, smuggled, { fields: ['prefer: wait=0', 'connection: close'] }));
    const { text } = await sendRaw(env.ports.agents, both);
    expect([...text.matchAll(/^HTTP\/1\.1 (\d+)/gm)].map(([, status]) => status)).toEqual(['200', '409']);
    expect([sentWith(env, body).length, sentWith(env, smuggled).length]).toEqual([1, 0]);
  });
});

describe('pipelining', () => {
  it('twice the same call on one connection sends it once', async ({ env, alice }) => {
    const body = payment();
    const id = await holdTransfer(env, body);
    const first = await raw(env, body, { fields: ['prefer: wait=10'] });
    // Nobody decides on the second call: it waits to its end.
    const second = await raw(env, body, { fields: ['prefer: wait=1', 'connection: close'] });
    const answers = sendRaw(env.ports.agents, first + second);
    await alice.approve(id);
    const statuses = [...(await answers).text.matchAll(/^HTTP\/1\.1 (\d+)/gm)].map(([, status]) => status);
    expect(statuses.sort()).toEqual(['200', '409']);
    expect(sentWith(env, body)).toHaveLength(1);
  });

  it.for([0, 1])(
    'and leaving before the approval comes sends nothing, and leaves the approval (%i calls ahead)',
    async (ahead, { env, alice }) => {
      const body = payment();
      const socket = connect(env.ports.agents, '127.0.0.1');
      await once(socket, 'connect');
      const { hold } = await alice.expect('PENDING');
      if (ahead > 0) {
        // Nobody decides on the call ahead, and the next one is read when it has ended.
        socket.write(await raw(env, payment(), { fields: ['prefer: wait=1'] }));
        await hold;
      }
      const next = ahead > 0 ? await alice.expect('PENDING') : { hold };
      socket.write(await raw(env, body, { fields: ['prefer: wait=20'] }));
      const id = await next.hold;
      socket.destroy();
      await expect
        .poll(() => env.log.filter(({ hold: of, error }) => of === id && error === 'client_closed').length)
        .toBe(1);
      await alice.approve(id);
      expect((await alice.show(id)).state).toBe('APPROVED');
      expect(await transferNow(env, body)).toMatchObject({ status: 200, hold: id });
      expect(sentWith(env, body)).toHaveLength(1);
    },
  );
});

describe('an approval for one request', () => {
  it('is not lent to another by naming its hold', async ({ env, alice }) => {
    const [body, other] = [payment(), payment()];
    const id = await approveTransfer(env, alice, body);
    const { status, code, hold } = await transferNow(env, other, {
      headers: { 'countersign-hold': id, 'x-countersign-hold': id },
    });
    expect([status, code, hold === id]).toEqual([409, 'approval_pending', false]);
    expect(sentWith(env, other)).toEqual([]);
  });

  it('is not lent to another Idempotency-Key, nor to none, nor to a repeated one', async ({ env, alice }) => {
    const body = payment();
    const keyed = (key: string) => transferNow(env, body, { headers: { 'idempotency-key': key } });
    const { hold: id } = await keyed('key-a');
    await alice.approve(id);
    for (const answer of [
      await keyed('key-b'),
      await keyed('KEY-A'),
      await keyed('"key-a"'),
      await transferNow(env, body),
    ]) {
      expect([answer.code, answer.hold === id]).toEqual(['approval_pending', false]);
    }
    const twice = await raw(env, body, {
      fields: ['prefer: wait=0', 'idempotency-key: key-a', 'Idempotency-Key: key-b', 'connection: close'],
    });
    expect((await sendRaw(env.ports.agents, twice)).status).toBe(400);
    expect(sentWith(env, body)).toEqual([]);
    expect(await keyed('key-a')).toMatchObject({ status: 200, hold: id });
  });

  it('under a key says nothing to another agent with the same key', async ({ env, alice }) => {
    const headers = { 'idempotency-key': 'shared' };
    const body = payment();
    const id = await approveTransfer(env, alice, body, { headers });
    for (const asked of [body, payment()]) {
      const answer = await transferNow(env, asked, { as: 'agent-2', headers });
      expect(answer.hold).not.toBe(id);
      expect(answer.status).not.toBe(200);
    }
    expect(sentWith(env, body)).toEqual([]);
  });
});

describe('a race at the moment of release', () => {
  const ROUNDS = 8;

  it('against a deny: what was denied was not sent, and what was sent was not denied', async ({ env, alice, bob }) => {
    for (let round = 0; round < ROUNDS; round++) {
      const body = payment();
      const id = await approveTransfer(env, alice, body);
      const { bindingDigest } = await bob.show(id);
      const [answer, deny] = await Promise.all([
        transferNow(env, body),
        answered(bob.vote(id, 'deny', { bindingDigest })),
      ]);
      const outcome = `${answer.code ?? answer.status} ${deny.code ?? deny.status}`;
      expect(['200 hold_closed', 'approval_denied 200']).toContain(outcome);
      expect(sentWith(env, body)).toHaveLength(answer.status === 200 ? 1 : 0);
    }
  });

  it('against the agent’s own cancelling: what was cancelled was not sent', async ({ env, alice }) => {
    for (let round = 0; round < ROUNDS; round++) {
      const body = payment();
      const id = await approveTransfer(env, alice, body);
      const cancel = answered(env.call(`/countersign/v1/holds/${id}`, { method: 'DELETE' }));
      const [answer, cancelled] = await Promise.all([transferNow(env, body), cancel]);
      expect(['200 hold_closed', 'approval_revoked approval_revoked']).toContain(
        `${answer.code ?? answer.status} ${cancelled.code ?? cancelled.status}`,
      );
      expect(sentWith(env, body)).toHaveLength(answer.status === 200 ? 1 : 0);
    }
  });

  it('against a revision of the task: what was voided was not sent', async ({ env, alice }) => {
    const opened = await answered(env.call('/countersign/v1/tasks', { method: 'POST', body: { objective: 'pay' } }));
    const headers = { 'countersign-task': String(opened.json.id) };
    for (let round = 0; round < ROUNDS; round++) {
      const body = payment();
      const id = await approveTransfer(env, alice, body, { headers });
      const revise = env.call(`/countersign/v1/tasks/${opened.json.id}`, {
        method: 'PUT',
        body: { objective: `pay ${round}` },
      });
      const [answer] = await Promise.all([
        transferNow(env, body, { headers }),
        revise.then((response) => response.text()),
      ]);
      const { state } = await alice.show(id);
      expect(['200 EXECUTED', '403 INVALIDATED']).toContain(`${answer.status} ${state}`);
      expect(sentWith(env, body)).toHaveLength(answer.status === 200 ? 1 : 0);
    }
  });

  it('against a change of the rules: what was voided was not sent', async ({ env, alice }) => {
    for (const useWithin of ['3m', '2m']) {
      const bodies = Array.from({ length: 10 }, payment);
      const ids = await Promise.all(bodies.map((body) => approveTransfer(env, alice, body)));
      const [answers] = await Promise.all([
        Promise.all(bodies.map((body) => transferNow(env, body))),
        env.edit(({ tiers }) => Object.assign(tiers.payment ?? {}, { useWithin })),
      ]);
      for (const [n, { status, code }] of answers.entries()) {
        expect(['200 undefined', '403 approval_invalidated']).toContain(`${status} ${code}`);
        if (status === 200) await becomes(alice, ids[n] ?? '', 'EXECUTED');
        expect(sentWith(env, bodies[n])).toHaveLength(status === 200 ? 1 : 0);
      }
    }
  });
});

describe('a flood of holds', () => {
  it('stops at limits.pendingPerAgent, whatever keys and tasks it uses, and leaves other agents alone', async ({
    env,
  }) => {
    const as = 'agent-flood';
    const opened = await answered(
      env.call('/countersign/v1/tasks', { method: 'POST', body: { objective: 'flood' }, as }),
    );
    const options = (n: number) => ({
      as,
      headers: {
        ...(n % 3 === 0 && { 'countersign-task': String(opened.json.id) }),
        ...(n % 2 === 0 && { 'idempotency-key': `k${n}` }),
      },
    });
    const answers = await Promise.all(Array.from({ length: 230 }, (_, n) => transferNow(env, payment(), options(n))));
    const codes = answers.map(({ code }) => code);
    expect(codes.filter((code) => code === 'approval_pending')).toHaveLength(200);
    expect(codes.filter((code) => code === 'too_many_pending')).toHaveLength(30);
    expect((await transferNow(env, payment(), { as: 'agent-calm' })).code).toBe('approval_pending');
  });
});
