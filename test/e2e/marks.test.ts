// What sets a mark, and what does not: over real sockets, by what a later call may do. Kind: an answer that reaches the
// agent before its mark, and a mark for what the agent has never got.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { rule } from '../support/config.ts';
import type { Environment } from '../support/environment.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';
import { openSocket, startSocketServer } from '../support/open-calls.ts';
import { type Agent, actingFor, get, newAgent, openTask, post, STOPPED } from '../support/reads-and-sends.ts';

const TAINTED = '"customer-data" in tainted';

const it = gatewayTest
  .extend('sockets', file, ({ closes }) => closes(startSocketServer()))
  .extend('env', file, ({ sockets, environment }) =>
    environment({
      taints: { 'customer-data': {}, other: { for: '1h' } },
      resources: [
        { id: 'customers', match: { upstream: 'api', path: '/customers/*' }, taints: ['customer-data'] },
        { id: 'feed', match: { upstream: 'live', path: '/customers' }, taints: ['customer-data'] },
      ],
      upstreams: { live: { url: sockets.origin, credential: 'key', websocket: true } },
      rules: [
        rule.allow('http', { upstream: 'api' }),
        rule.allow('sockets', { upstream: 'live', upgrade: true }),
        rule.deny('secret', { upstream: 'api', path: '/customers/denied' }),
        rule.hold('ask', { upstream: 'api', path: '/customers/held' }),
        rule.deny('leak', { upstream: 'api', path: '/send' }, { when: TAINTED }),
        rule.deny('quiet', { upstream: 'api', path: '/quiet' }, { when: TAINTED, tellFacts: false }),
        rule.hold('held-leak', { upstream: 'api', path: '/held-send' }, { when: TAINTED }),
      ],
      reviewers: { killSwitch: ['group:finance'], declassify: ['group:dpo'] },
      limits: { wait: '0s', pendingPerAgent: 1000 },
    }),
  );

const send = (env: Environment, agent: Agent) => post(env, '/api/send', agent, { to: 'x@else.example' });
const calmly = (env: Environment) => env.upstream.respond((_request, response) => response.end('{"ok":true}'));
/** Records of the audit log that name this text. */
function recorded(env: Environment, type: string, text: string): readonly Record<string, unknown>[] {
  const folder = join(env.folder, 'data', 'audit');
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.jsonl'))
    .flatMap((name) => readFileSync(join(folder, name), 'utf8').trim().split('\n'))
    .filter((line) => line.includes(text))
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .filter((record) => record.type === type);
}
const callOf = ({ as, claims }: Agent) => ({ as, ...(claims && { claims }) });

describe('an answer marks its reader', () => {
  it.for([
    ['200', 'GET', 200, {}],
    ['201', 'POST', 201, {}],
    ['204', 'DELETE', 204, {}],
    ['a HEAD', 'HEAD', 200, {}],
    ['206', 'GET', 206, { 'content-range': 'bytes 0-3/10' }],
    ['304', 'GET', 304, { etag: '"a"' }],
    ['401', 'GET', 401, {}],
    ['404', 'GET', 404, {}],
    ['500', 'GET', 500, {}],
  ] as const)('with %s', async ([_what, method, status, headers], { env }) => {
    const agent = newAgent();
    const bodyless = method === 'HEAD' || status === 204 || status === 304;
    env.upstream.respond((_request, response) => void response.writeHead(status, headers).end(bodyless ? '' : '{}'));
    const answer = await env.call('/api/customers/1', { ...callOf(agent), method });
    await answer.text();
    calmly(env);
    expect(answer.status).toBe(status);
    expect(await send(env, agent)).toBe('denied');
  });

  it('when an event stream opens, before its first event', async ({ env }) => {
    const agent = newAgent();
    env.upstream.respond((_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.flushHeaders();
    });
    const answer = await env.call('/api/customers/1', callOf(agent));
    calmly(env);
    expect(await send(env, agent)).toBe('denied');
    await answer.body?.cancel();
  });

  it('when a WebSocket opens', async ({ env }) => {
    const agent = newAgent();
    const socket = await openSocket(env, '/live/customers', agent);
    expect(await send(env, agent)).toBe('denied');
    expect(await socket.say('still open')).toBe('echo');
    socket.close();
  });

  it('after people have approved it, and not while they think', async ({ env }) => {
    const [agent, alice] = [newAgent(), await env.reviewer('alice')];
    expect(await get(env, '/api/customers/held', agent)).toBe('approval_pending');
    expect(await send(env, agent)).toBe('sent');
    const [hold] = (await alice.list()).filter(({ principal }) => JSON.stringify(principal).includes(agent.as));
    await alice.approve(hold?.id ?? '');
    expect(await send(env, agent)).toBe('sent');
    expect(await get(env, '/api/customers/held', agent)).toBe('sent');
    expect(await send(env, agent)).toBe('denied');
  });
});

describe('nobody is marked', () => {
  it('by what is denied or held', async ({ env }) => {
    const agent = newAgent();
    expect(await get(env, '/api/customers/denied', agent)).toBe('denied');
    expect(await get(env, '/api/customers/held', agent)).toBe('approval_pending');
    expect(await send(env, agent)).toBe('sent');
  });

  it('by what is never answered, or breaks off before anything of it was passed on', async ({ env }) => {
    const agent = newAgent();
    env.upstream.respond((_request, response) => response.destroy());
    expect((await env.call('/api/customers/1', callOf(agent))).status).toBe(502);
    env.upstream.respond((_request, response) => {
      response.writeHead(200, { 'content-length': '10' });
      response.write('half', () => response.destroy());
    });
    expect((await env.call('/api/customers/1', callOf(agent))).status).toBe(502);
    calmly(env);
    expect(await send(env, agent)).toBe('sent');
  });

  it('by an answer that is withheld because its agent was suspended meanwhile', async ({ env }) => {
    const [agent, alice] = [newAgent(), await env.reviewer('alice')];
    const { promise: arrived, resolve } = Promise.withResolvers<() => void>();
    env.upstream.respond((_request, response) => {
      resolve(() => response.writeHead(200, { 'content-type': 'text/event-stream' }).end('data: secret\n\n'));
    });
    const answer = env.call('/api/customers/1', callOf(agent));
    const letGo = await arrived;
    const id = `${env.issuer.issuer}#${agent.as}`;
    const made = await alice.post('/suspensions', { principal: id, reason: 'odd' });
    letGo();
    expect((await answer).status).toBe(403);
    calmly(env);
    await alice.request(`/suspensions/${((await made.json()) as { id: string }).id}`, { method: 'DELETE' });
    expect(await send(env, agent)).toBe('sent');
  });
});

describe('who is stopped by a mark', () => {
  it('is told which mark, since when, until when, and by which call', async ({ env }) => {
    const agent = newAgent();
    const read = await env.call('/api/customers/1', callOf(agent));
    await read.text();
    for (const [path, code] of [
      ['/api/send', 'denied'],
      ['/api/held-send', 'approval_pending'],
    ] as const) {
      const refused = await env.call(path, {
        ...callOf(agent),
        method: 'POST',
        body: {},
        headers: { prefer: 'wait=0' },
      });
      const problem = (await refused.json()) as Record<string, unknown>;
      expect(problem).toMatchObject({
        code,
        detail: expect.stringContaining(
          'The decision rests on: the mark customer-data on what was read before, until ',
        ),
        because: [{ fact: 'tainted', value: 'customer-data', cause: { resources: ['customers'] } }],
      });
      const [{ since, until, cause }] = problem.because as [
        { since: string; until: string; cause: { call: string; at: string } },
      ];
      expect(Date.parse(until) - Date.parse(since)).toBe(24 * 3_600_000);
      await expect
        .poll(() => env.log.filter(({ call }) => call === cause.call).map(({ marked }) => marked))
        .toEqual([['customer-data']]);
    }
  });

  it('is told nothing where the rule says so', async ({ env }) => {
    const agent = newAgent();
    expect(await get(env, '/api/customers/1', agent)).toBe('sent');
    const refused = await env.call('/api/quiet', callOf(agent));
    const text = await refused.text();
    expect(JSON.parse(text)).toMatchObject({ code: 'denied' });
    expect(text).not.toContain('customer-data');
  });
});

describe('a mark that is lifted', () => {
  const keyOf = (env: Environment, { as }: Agent) => `${env.issuer.issuer}#${as}`;
  const lift = async (env: Environment, who: string, body: object, groups = ['dpo'], claims = {}) => {
    const reviewer = await env.reviewer(who, groups, claims);
    const response = await reviewer.post('/declassifications', body);
    return { status: response.status, ...((await response.json()) as Record<string, unknown>) };
  };

  it('is gone, and no other one is; the lifting is on record', async ({ env }) => {
    const agent = newAgent();
    expect(await get(env, '/api/customers/1', agent)).toBe('sent');
    const alice = await env.reviewer('alice');
    const { marks } = await alice.read<{ marks: { taint: string; until: string; cause: object }[] }>(
      `/facts?agent=${encodeURIComponent(keyOf(env, agent))}`,
    );
    expect(marks).toMatchObject([{ taint: 'customer-data', scope: 'agent', cause: { resources: ['customers'] } }]);
    const asked = { taint: 'customer-data', reason: 'the customer was a test' };
    const done = await lift(env, 'dora', { ...asked, scope: 'agent', key: keyOf(env, agent) });
    expect(done).toMatchObject({
      status: 201,
      by: expect.stringContaining('dora'),
      lifted: { taint: 'customer-data' },
    });
    expect(recorded(env, 'declassification', agent.as)).toMatchObject([
      { taint: 'customer-data', scope: 'agent', reason: 'the customer was a test', lifted: { taint: 'customer-data' } },
    ]);
    // The person of the chain is marked under each name.
    expect(await send(env, agent)).toBe('denied');
    for (const key of [keyOf(env, agent), agent.as])
      expect((await lift(env, 'dora', { ...asked, scope: 'person', key })).status).toBe(201);
    expect(await send(env, agent)).toBe('sent');
    expect((await lift(env, 'dora', { ...asked, scope: 'agent', key: keyOf(env, agent) })).status).toBe(404);
  });

  it('is not lifted by others, in haste, without a reason, or by who was in the chain', async ({ env }) => {
    const [person, agent] = ['petra', newAgent()];
    expect(await get(env, '/api/customers/1', actingFor(person, agent))).toBe('sent');
    const body = { taint: 'customer-data', scope: 'agent', key: keyOf(env, agent), reason: 'a test' };
    expect(await lift(env, 'dora', body, ['finance'])).toMatchObject({ status: 403, code: 'not_a_reviewer' });
    expect(await lift(env, person, body)).toMatchObject({ status: 403, code: 'separation_of_duties' });
    expect(await lift(env, 'dora', { ...body, reason: ' ' })).toMatchObject({ status: 400, code: 'bad_request' });
    expect(await lift(env, 'dora', { ...body, scope: 'all' })).toMatchObject({ status: 400 });
    const hourAgo = { auth_time: Math.floor(Date.now() / 1000) - 3600 };
    expect(await lift(env, 'dora', body, ['dpo'], hourAgo)).toMatchObject({ status: 401, code: 'step_up_required' });
    expect(await send(env, agent)).toMatch(STOPPED);
  });
});

describe('a mark stays', () => {
  it('after a reload that shortens its taint, and after one that takes the resource away', async ({ env }) => {
    const agent = newAgent();
    expect(await get(env, '/api/customers/1', agent)).toBe('sent');
    await env.edit((config) => {
      config.taints = { 'customer-data': { for: '1s' }, other: {} };
    });
    expect(await send(env, agent)).toBe('denied');
  });

  it('in the record of the call that set it, and of the decisions that looked at it', async ({ env }) => {
    const agent = await openTask(env, newAgent());
    expect(await get(env, '/api/customers/1', agent)).toBe('sent');
    expect(await send(env, agent)).toBe('denied');
    const lines = () => env.log.filter((line) => line.agent === `${env.issuer.issuer}#${agent.as}`);
    await expect.poll(() => lines().some(({ marked }) => String(marked) === 'customer-data')).toBe(true);
    await expect
      .poll(() => lines().map(({ tainted, error }) => [String(tainted), error]))
      .toContainEqual(['customer-data', 'denied']);
    expect(recorded(env, 'outcome', agent.as)).toMatchObject([{ marked: ['customer-data'] }]);
    expect(recorded(env, 'decision', agent.as)).toMatchObject([{}, { tainted: ['customer-data'], error: 'denied' }]);
  });
});
