// The kill switch from outside: what is open is revoked, what comes is refused before its body is read, it outlives the
// process, and it is on record.

import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import { describe, expect, vi } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { credential, rule } from '../support/config.ts';
import { countFrom } from '../support/count.ts';
import { type Environment, startEnvironment } from '../support/environment.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';
import { startIssuer } from '../support/oidc-issuer.ts';
import { startRecorder } from '../support/recorder.ts';
import type { ReviewerClient } from '../support/reviewer-client.ts';

const serial = countFrom(0);
const payment = () => ({ to: 'ACME', reference: `r${serial()}` });
const now = { prefer: 'wait=0' };
const codeOf = async (response: Response): Promise<unknown[]> => [
  response.status,
  ((await response.json()) as { code: string }).code,
];
const idOf = (env: Environment, subject: string): string => `${env.issuer.issuer}#${subject}`;
const suspend = async (
  sam: ReviewerClient,
  body: Record<string, string>,
): Promise<{ id: string; revokedHolds: number }> => {
  const response = await sam.post('/suspensions', { reason: 'odd behaviour', ...body });
  expect(response.status).toBe(201);
  return (await response.json()) as { id: string; revokedHolds: number };
};

const it = gatewayTest
  .extend('env', file, ({ environment }) => environment({ reviewers: { killSwitch: ['group:soc'] } }))
  .extend('sam', file, ({ env }) => env.reviewer('sam', ['soc']));

describe('suspending an agent', () => {
  it('revokes what waits and what is approved, answers the waiting call, and refuses the next one', async ({
    env,
    sam,
  }) => {
    const as = 'agent-open';
    const alice = await env.reviewer('alice');
    const approved = (await env.transfer(payment(), { as, headers: now })).headers.get('countersign-hold') ?? '';
    await alice.approve(approved);
    const { hold } = await alice.expect('PENDING');
    const waiting = env.transfer(payment(), { as });
    const pending = await hold;
    const before = env.upstream.requests.length;

    expect(await suspend(sam, { principal: idOf(env, as) })).toMatchObject({ revokedHolds: 2 });
    expect(await codeOf(await waiting)).toEqual([403, 'approval_revoked']);
    for (const id of [approved, pending])
      expect(await alice.show(id)).toMatchObject({
        state: 'REVOKED',
        endedBecause: expect.stringContaining('odd behaviour'),
      });
    expect(await codeOf(await env.transfer(payment(), { as }))).toEqual([403, 'principal_suspended']);
    expect(await codeOf(await env.call('/api/accounts', { as }))).toEqual([403, 'principal_suspended']);
    expect(env.upstream.requests.length).toBe(before);
    expect((await env.call('/api/accounts', { as: 'agent-other' })).status).toBe(200);
  });

  it('refuses it before a byte of the body has come', async ({ env, sam }) => {
    const as = 'agent-body';
    await suspend(sam, { principal: idOf(env, as) });
    const socket = connect(env.ports.agents, '127.0.0.1');
    socket.write(
      `POST /api/transfers HTTP/1.1\r\nhost: 127.0.0.1:${env.ports.agents}\r\nauthorization: Bearer ${await env.token(as)}\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n`,
    );
    let answer = '';
    for await (const chunk of socket.setEncoding('utf8')) {
      answer += chunk;
      if (answer.includes('principal_suspended')) break;
    }
    expect(answer).toMatch(/^HTTP\/1\.1 403 /);
  });

  it('holds after a crash until it is lifted, and both are on record', async ({ env, sam }) => {
    const as = 'agent-crash';
    const { id } = await suspend(sam, { principal: idOf(env, as) });
    await env.kill();
    await env.start();
    expect(await codeOf(await env.call('/api/accounts', { as }))).toEqual([403, 'principal_suspended']);
    const { suspensions } = await sam.read<{ suspensions: { id: string; by: string; reason: string }[] }>(
      '/suspensions',
    );
    expect(suspensions[0]).toMatchObject({ id, by: idOf(env, 'sam'), reason: 'odd behaviour' });
    expect((await sam.request(`/suspensions/${id}`, { method: 'DELETE' })).status).toBe(200);
    expect((await env.call('/api/accounts', { as })).status).toBe(200);
    expect((await sam.request(`/suspensions/${id}`, { method: 'DELETE' })).status).toBe(404);

    const folder = join(env.folder, 'data', 'audit');
    const lines = readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.jsonl'))
      .flatMap((name) => readFileSync(join(folder, name), 'utf8').trim().split('\n'));
    const records = lines
      .map((line) => JSON.parse(line) as Record<string, unknown>)
      .filter((line) => line.type === 'suspension' && JSON.stringify(line).includes(id));
    expect(records).toMatchObject([
      { verb: 'suspended', principal: idOf(env, as), by: idOf(env, 'sam') },
      { verb: 'lifted' },
    ]);
  });

  it('covers every agent that acts for a suspended user', async ({ env, sam }) => {
    const claims = { sub: 'walter', act: { sub: 'agent-delegate' } };
    expect((await env.call('/api/accounts', { claims })).status).toBe(200);
    const pending = await env.transfer(payment(), { claims, headers: now });
    expect(pending.status).toBe(409);
    expect(await suspend(sam, { principal: idOf(env, 'walter') })).toMatchObject({ revokedHolds: 1 });
    expect(await codeOf(await env.call('/api/accounts', { claims }))).toEqual([403, 'principal_suspended']);
    expect((await env.call('/api/accounts', { as: 'agent-delegate' })).status).toBe(200);
  });

  it('changes nothing a second time', async ({ sam }) => {
    const { id } = await suspend(sam, { principal: 'nobody-yet' });
    const again = await sam.post('/suspensions', { principal: 'nobody-yet', reason: 'again' });
    expect([again.status, ((await again.json()) as { id: string }).id]).toEqual([200, id]);
  });
});

describe('what was minted', () => {
  it('is taken back while the call that uses it is still under way', async () => {
    const bank = await startRecorder();
    const mint = await startIssuer({
      clients: [{ id: 'gateway', secret: 'gateway-secret' }],
      resources: { 'urn:bank': { scope: 'pay' } },
    });
    const own = await startEnvironment(
      {
        upstreams: { bank: { url: bank.origin, credential: 'minted' } },
        credentials: {
          minted: credential.clientCredentials(mint.issuer, 'urn:bank'),
        },
        rules: [rule.hold('payments', { upstream: 'bank', methods: ['POST'] })],
        reviewers: { killSwitch: ['group:soc'] },
      },
      { env: { MINT_SECRET: 'gateway-secret' } },
    );
    try {
      const answers: (() => void)[] = [];
      bank.respond((_request, response) => answers.push(() => response.end('{}')));
      const alice = await own.reviewer('alice');
      const { hold } = await alice.expect('PENDING');
      const call = own.call('/bank/payments', { method: 'POST', body: payment() });
      await alice.approve(await hold);
      const token = (await bank.arrived(0)).headers.authorization?.replace('Bearer ', '') ?? '';
      expect(await mint.isActive(token)).toBe(true);
      const soc = await own.reviewer('sam', ['soc']);
      const response = await soc.post('/suspensions', { principal: `${own.issuer.issuer}#agent-1`, reason: 'odd' });
      expect(await response.json()).toMatchObject({ credentialsRevoked: true });
      expect(await mint.isActive(token)).toBe(false);
      for (const answer of answers) answer();
      expect((await call).status).toBe(200);
    } finally {
      await own.close();
      await Promise.all([bank.close(), mint.close()]);
    }
  });
});

describe('suspending a task', () => {
  it('stops the calls that name it and no others', async ({ env, sam }) => {
    const as = 'agent-task';
    const task = (
      (await (await env.call('/countersign/v1/tasks', { as, method: 'POST', body: { objective: 'pay' } })).json()) as {
        id: string;
      }
    ).id;
    const headers = { ...now, 'countersign-task': task };
    const hold = (await env.transfer(payment(), { as, headers })).headers.get('countersign-hold') ?? '';
    expect(await suspend(sam, { task })).toMatchObject({ revokedHolds: 1 });
    expect((await (await env.reviewer('alice')).show(hold)).state).toBe('REVOKED');
    expect(await codeOf(await env.transfer(payment(), { as, headers }))).toEqual([403, 'principal_suspended']);
    expect((await env.call('/api/accounts', { as })).status).toBe(200);
  });
});

describe('the switch', () => {
  it('is out of reach for reviewers whom reviewers.killSwitch does not name, and for agents', async ({ env }) => {
    const alice = await env.reviewer('alice');
    expect(await codeOf(await alice.post('/suspensions', { principal: 'x', reason: 'y' }))).toEqual([
      403,
      'not_a_reviewer',
    ]);
    expect(await codeOf(await alice.request('/suspensions'))).toEqual([403, 'not_a_reviewer']);
    const token = await env.token('agent-1');
    const response = await fetch(`http://127.0.0.1:${env.ports.reviewers}/api/v1/suspensions`, {
      headers: { authorization: `Bearer ${token}` },
    });
    expect(response.status).toBe(401);
  });

  it.for([
    {},
    { principal: 'a' },
    { principal: 'a', task: 'b', reason: 'c' },
    { principal: '', reason: 'c' },
    { principal: 'a', reason: ' ' },
  ])('refuses %j', async (body, { sam }) => {
    expect(await codeOf(await sam.post('/suspensions', body))).toEqual([400, 'bad_request']);
  });

  it('tells each reviewer what they may do and how they decide', async ({ env, sam }) => {
    const alice = await env.reviewer('alice-pace');
    const hold =
      (await env.transfer(payment(), { as: 'agent-pace', headers: now })).headers.get('countersign-hold') ?? '';
    expect(await alice.read('/me')).toMatchObject({
      powers: { killSwitch: false, watch: false },
      pace: { decisions: 0 },
    });
    await alice.approve(hold);
    expect(await alice.read('/me')).toMatchObject({
      pace: { decisions: 1, medianSeconds: expect.any(Number), hastyShare: expect.any(Number) },
    });
    expect(await sam.read('/me')).toMatchObject({ powers: { killSwitch: true, watch: true } });
    const metrics = await (await fetch(`http://127.0.0.1:${env.ports.ops}/metrics`)).text();
    expect(metrics).toMatch(/countersign_review_decisions[^\n]*approve/);
    expect(metrics).not.toMatch(/countersign_review[^\n]*alice/);
  });
});

describe('what is open', () => {
  it('is cut: streams and WebSocket connections of the agent, at both ends, and nobody else’s', async () => {
    const server = createServer((incoming, response) => {
      incoming.socket.once('close', () => closed.push(incoming.url ?? ''));
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: first\n\n');
      streams.set(incoming.url ?? '', response);
    });
    const closed: string[] = [];
    const streams = new Map<string, ServerResponse>();
    const sockets = new WebSocketServer({ server });
    sockets.on('connection', (socket) => socket.once('close', () => closed.push('/socket')).send('first'));
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const own = await startEnvironment({
      upstreams: { live: { url: origin, credential: 'key', websocket: true } },
      rules: [rule.allow('live', { upstream: 'live' }), rule.allow('sockets', { upstream: 'live', upgrade: true })],
      reviewers: { killSwitch: ['group:soc'] },
    });
    try {
      const stream = async (as: string) => {
        const response = await own.call(`/live/${as}`, { as });
        const reader = (response.body as ReadableStream<Uint8Array>).getReader();
        expect(Buffer.from((await reader.read()).value ?? []).toString()).toContain('first');
        return reader;
      };
      const [bad, good] = [await stream('agent-bad'), await stream('agent-good')];
      const socket = new WebSocket(`ws://127.0.0.1:${own.ports.agents}/live/socket`, {
        headers: { authorization: `Bearer ${await own.token('agent-bad')}` },
      });
      await once(socket, 'message');
      const socketClosed = once(socket, 'close');

      const soc = await own.reviewer('sam', ['soc']);
      const response = await soc.post('/suspensions', { principal: `${own.issuer.issuer}#agent-bad`, reason: 'odd' });
      expect(await response.json()).toMatchObject({ cutConnections: 2 });
      await expect(bad.read()).rejects.toThrow();
      await socketClosed;
      await vi.waitFor(() => expect(closed.toSorted()).toEqual(['/agent-bad', '/socket']));
      streams.get('/agent-good')?.end('data: second\n\n');
      expect(Buffer.from((await good.read()).value ?? []).toString()).toContain('second');
      const ends = () =>
        own.log.filter(({ event }) => event === 'countersign.call.completed').map(({ path, error }) => [path, error]);
      await vi.waitFor(() =>
        expect(ends().toSorted()).toEqual([
          ['/agent-bad', 'principal_suspended'],
          ['/agent-good', undefined],
          ['/socket', 'principal_suspended'],
        ]),
      );
    } finally {
      await own.close();
      sockets.close();
      server.closeAllConnections();
      server.close();
    }
  });

  it('runs to its end where it was sent and is not answered yet, but no stream begins any more', async () => {
    const answers: (() => void)[] = [];
    const slow = await startRecorder();
    slow.respond(({ url }, response) => {
      const events = url === '/events';
      answers.push(() => {
        response.writeHead(200, { 'content-type': events ? 'text/event-stream' : 'application/json' });
        response.end(events ? 'data: late\n\n' : '{"done":true}');
      });
    });
    const own = await startEnvironment({
      upstreams: { slow: { url: slow.origin, credential: 'key' } },
      rules: [rule.allow('slow', { upstream: 'slow' })],
      reviewers: { killSwitch: ['group:soc'] },
    });
    try {
      const call = own.call('/slow/report');
      await slow.arrived(0);
      const events = own.call('/slow/events');
      await slow.arrived(1);
      const soc = await own.reviewer('sam', ['soc']);
      const response = await soc.post('/suspensions', { principal: `${own.issuer.issuer}#agent-1`, reason: 'odd' });
      expect(await response.json()).toMatchObject({ cutConnections: 0 });
      for (const answer of answers) answer();
      expect(await (await call).json()).toEqual({ done: true });
      expect(await codeOf(await events)).toEqual([403, 'principal_suspended']);
    } finally {
      await own.close();
      await slow.close();
    }
  });
});
