// What happens when an agent is refused again and again: people are told, credentials are taken back, and its task, the
// person it acts for, or the agent itself is suspended for a while. Kinds of fault: an agent that stops what others do,
// a count that a restart or a reload loses, a flood that grows what is kept, refusals that are nobody's attempt.

import { describe, expect, vi } from 'vitest';
import { rule } from '../support/config.ts';
import type { Environment } from '../support/environment.ts';
import { freshGatewayTest } from '../support/gateway-test.ts';
import { startRecorder } from '../support/recorder.ts';

const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
const SUSPENDED = [403, 'principal_suspended'];
const codeOf = async (response: Response): Promise<unknown[]> => [
  response.status,
  ((await response.json()) as { code?: string }).code,
];

interface Violation {
  count: number;
  within: string;
  of: 'deny' | 'denied_by_people' | 'any';
  do: ({ notify: string } | 'revoke-credentials' | 'suspend-root' | 'suspend-person' | 'suspend-agent')[];
  for?: string;
}
const SUSPENDING: Violation = { count: 3, within: '10m', of: 'deny', do: ['suspend-root'], for: '1h' };

const it = freshGatewayTest.extend('open', ({ environment, closes }) => async (...violations: Violation[]) => {
  const hook = await closes(startRecorder());
  hook.respond((_request, response) => response.end('{}'));
  const env = await environment(
    {
      violations,
      rules: [
        rule.allow('reads', { upstream: 'api', methods: ['GET'] }),
        rule.hold('transfers', { upstream: 'api', methods: ['POST'], path: '/transfers' }),
        rule.deny('no-admin', { upstream: 'api', path: '/admin' }),
        rule.deny('told', { upstream: 'api', path: '/told' }, { notify: ['soc'] }),
      ],
      notifications: {
        channels: { soc: { type: 'webhook', url: `${hook.origin}/soc`, secret: { env: 'SOC_SECRET' } } },
      },
      reviewers: { killSwitch: ['group:soc'] },
    },
    { env: { SOC_SECRET: SECRET } },
  );
  return { env, hook };
});

type As = { as?: string; claims?: Record<string, unknown>; task?: string };
const ask = (env: Environment, path: string, { task, ...who }: As = {}) =>
  env.call(path, { ...who, headers: task === undefined ? {} : { 'countersign-task': task } });
async function refuse(env: Environment, times: number, who: As = {}): Promise<void> {
  for (let time = 0; time < times; time++)
    expect(await codeOf(await ask(env, '/api/admin', who))).toEqual([403, 'denied']);
}
async function openTask(env: Environment, as: string): Promise<string> {
  const response = await env.call('/countersign/v1/tasks', { as, method: 'POST', body: { objective: 'work' } });
  return ((await response.json()) as { id: string }).id;
}
const inForce = async (env: Environment) =>
  (await (await env.reviewer('sam', ['soc'])).read<{ suspensions: Record<string, unknown>[] }>('/suspensions'))
    .suspensions;

describe('suspend-root', () => {
  it('stops the task whose calls were refused, and not the agent’s other tasks', async ({ open }) => {
    const { env } = await open(SUSPENDING);
    const [bad, good] = [await openTask(env, 'agent-1'), await openTask(env, 'agent-1')];
    await refuse(env, 3, { task: bad });
    expect(await codeOf(await ask(env, '/api/accounts', { task: bad }))).toEqual(SUSPENDED);
    expect((await ask(env, '/api/accounts', { task: good })).status).toBe(200);
    expect((await ask(env, '/api/accounts')).status).toBe(200);
    expect(await inForce(env)).toMatchObject([{ task: bad, by: 'violations[0]', until: expect.any(String) }]);
  });

  it('falls to the person where the call has no task, and to the agent where it acts for nobody', async ({ open }) => {
    const { env } = await open(SUSPENDING);
    const claims = { sub: 'walter', act: { sub: 'agent-1' } };
    await refuse(env, 3, { claims });
    expect(await codeOf(await ask(env, '/api/accounts', { claims }))).toEqual(SUSPENDED);
    expect((await ask(env, '/api/accounts')).status).toBe(200);
    await refuse(env, 3, { as: 'agent-2' });
    expect(await codeOf(await ask(env, '/api/accounts', { as: 'agent-2' }))).toEqual(SUSPENDED);
    expect((await inForce(env)).map(({ person, principal }) => person ?? principal)).toEqual([
      `${env.issuer.issuer}#agent-2`,
      `${env.issuer.issuer}#walter`,
    ]);
  });

  it('never stops a task in which the refused agent takes no part', async ({ open }) => {
    const { env } = await open({ ...SUSPENDING, of: 'any' });
    const task = await openTask(env, 'agent-1');
    for (let time = 0; time < 4; time++) await ask(env, '/api/admin', { as: 'agent-2', task });
    await refuse(env, 3, { as: 'agent-2' });
    expect((await ask(env, '/api/accounts', { task })).status).toBe(200);
    expect((await inForce(env)).filter((one) => 'task' in one)).toEqual([]);
  });

  it('ends by itself', async ({ open }) => {
    const { env } = await open({ ...SUSPENDING, for: '2s' });
    const task = await openTask(env, 'agent-1');
    await refuse(env, 3, { task });
    await vi.waitFor(async () => expect((await ask(env, '/api/accounts', { task })).status).toBe(200), {
      timeout: 15_000,
      interval: 100,
    });
  });

  it('cuts what is open under the task, and revokes its holds', async ({ open }) => {
    const { env } = await open(SUSPENDING);
    const task = await openTask(env, 'agent-1');
    const headers = { 'countersign-task': task, prefer: 'wait=0' };
    const hold = (await env.transfer({ to: 'A' }, { headers })).headers.get('countersign-hold') ?? '';
    await refuse(env, 3, { task });
    expect((await (await env.reviewer('alice')).show(hold)).state).toBe('REVOKED');
  });
});

describe('a count', () => {
  it('goes on after a crash in the middle', async ({ open }) => {
    const { env } = await open(SUSPENDING);
    const task = await openTask(env, 'agent-1');
    await refuse(env, 2, { task });
    await env.kill();
    await env.start();
    await refuse(env, 1, { task });
    expect(await codeOf(await ask(env, '/api/accounts', { task }))).toEqual(SUSPENDED);
  });

  it('is of one agent, and has calls that the rules deny only', async ({ open }) => {
    const { env } = await open(SUSPENDING);
    await refuse(env, 2, { as: 'agent-2' });
    await refuse(env, 2);
    // A token that is none, a task that is none, a request that is none, and calls of a suspended agent.
    await env.call('/api/admin', { headers: { authorization: 'Bearer none' } });
    for (let time = 0; time < 3; time++) await ask(env, '/api/accounts', { task: 'task_none' });
    for (let time = 0; time < 3; time++) await env.call('/api/transfers', { method: 'POST', body: '{"a":1,"a":2}' });
    expect((await ask(env, '/api/accounts')).status).toBe(200);
    expect(await inForce(env)).toEqual([]);
    await refuse(env, 1);
    expect((await inForce(env)).length).toBe(1);
  });

  it('of denials by people counts a hold once, however often its agent asks again', async ({ open }) => {
    const { env } = await open({ count: 2, within: '10m', of: 'denied_by_people', do: ['suspend-agent'], for: '1h' });
    const alice = await env.reviewer('alice');
    const denied = async (body: object) => {
      const headers = { prefer: 'wait=0' };
      await alice.deny((await env.transfer(body, { headers })).headers.get('countersign-hold') ?? '');
      for (let time = 0; time < 3; time++)
        expect((await codeOf(await env.transfer(body, { headers })))[1]).not.toBe('principal_suspended');
    };
    await denied({ to: 'A' });
    expect((await ask(env, '/api/accounts')).status).toBe(200);
    const { hold } = await alice.expect('PENDING');
    void env.transfer({ to: 'B' }, { headers: { prefer: 'wait=0' } });
    await alice.deny(await hold);
    await vi.waitFor(async () => expect(await codeOf(await ask(env, '/api/accounts'))).toEqual(SUSPENDED));
  });
});

describe('a reload', () => {
  it('that removes the entry leaves its suspension in force, and counts no more', async ({ open }) => {
    const { env } = await open(SUSPENDING);
    await refuse(env, 3);
    await env.edit((config) => {
      config.violations = [];
    });
    expect(await codeOf(await ask(env, '/api/accounts'))).toEqual(SUSPENDED);
    await refuse(env, 4, { as: 'agent-2' });
    expect((await inForce(env)).length).toBe(1);
  });
});

describe('people', () => {
  it('are told of the threshold once, signed, and of denied calls once a minute', async ({ open }) => {
    const { env, hook } = await open({ count: 3, within: '10m', of: 'deny', do: [{ notify: 'soc' }] });
    await refuse(env, 3);
    const event = JSON.parse((await hook.arrived(0)).body) as Record<string, unknown>;
    expect(event).toMatchObject({
      type: 'io.countersign.violations.reached',
      data: { link: expect.stringContaining('/suspensions') },
    });
    expect((await ask(env, '/api/accounts')).status).toBe(200);
    for (let time = 0; time < 2; time++) await ask(env, '/api/told', { as: 'agent-2' });
    const told = JSON.parse((await hook.arrived(1)).body) as Record<string, unknown>;
    expect(told).toMatchObject({
      type: 'io.countersign.call.denied',
      data: { link: expect.stringContaining('/watch') },
    });
    const sam = await env.reviewer('sam', ['soc']);
    expect((await sam.read<{ passed: object[] }>('/watch')).passed).toMatchObject([
      { outcome: 'denied', rules: ['reads', 'told'] },
      { outcome: 'denied', rules: ['reads', 'told'] },
    ]);
    expect((await sam.read<{ notifications: object[] }>('/notifications')).notifications.length).toBeLessThanOrEqual(3);
  });
});
