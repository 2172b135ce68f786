// People are told through the outbox: signed, without arguments, at least once, over crashes, and what cannot be
// delivered is shown.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { Webhook } from 'standardwebhooks';
import { describe, expect } from 'vitest';
import { rule } from '../support/config.ts';
import { countFrom } from '../support/count.ts';
import type { Environment } from '../support/environment.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';
import { type RecordedRequest, startRecorder } from '../support/recorder.ts';

const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
const SLACK_TOKEN = 'xoxb-not-a-real-token-4b1d';
const IBAN = 'DE89370400440532013000';

interface Event {
  readonly specversion: string;
  readonly id: string;
  readonly type: string;
  readonly subject: string;
  readonly data: { readonly link: string; readonly code: string; readonly tier: string };
}

interface Listed {
  readonly id: string;
  readonly channel: string;
  readonly state: string;
  readonly attempts: number;
  readonly subject: string;
  readonly lastError?: string;
}

const serial = countFrom(0);

const ok = (_request: RecordedRequest, response: { end(text: string): void }): void => response.end('{"ok":true}');
const payment = () => ({ to: IBAN, amount: 4200, reference: `r${serial()}` });
const now = { headers: { prefer: 'wait=0' } };
const held = async (env: Environment, path: string): Promise<string> => {
  const response = await env.call(path, { method: 'POST', body: payment(), ...now });
  expect(response.status).toBe(409);
  return response.headers.get('countersign-hold') ?? '';
};
const eventIn = (request: RecordedRequest): Event => JSON.parse(request.body) as Event;

/** Looks at the listing until it is as expected: what a person at the page does. */
async function listed(env: Environment, wanted: (entry: Listed) => boolean): Promise<Listed> {
  const soc = await env.reviewer('sam', ['soc']);
  for (;;) {
    const { notifications } = await soc.read<{ notifications: Listed[] }>('/notifications');
    const found = notifications.find(wanted);
    if (found !== undefined) return found;
  }
}

/** A command of the terminal, as somebody runs it; resolves to what it printed. */
async function countersign(env: Environment, token: string, ...args: string[]): Promise<string> {
  const around = {
    env: { ...process.env, COUNTERSIGN_TOKEN: token, COUNTERSIGN_URL: `http://127.0.0.1:${env.ports.reviewers}` },
  };
  return (await promisify(execFile)(process.execPath, ['src/main.ts', ...args], around)).stdout;
}

const it = gatewayTest
  .extend('hook', file, ({ closes }) => closes(startRecorder()))
  .extend('slack', file, ({ closes }) => closes(startRecorder()))
  .extend('env', file, ({ hook, slack, environment }) =>
    environment(
      {
        tiers: {
          payment: { reviewers: ['group:finance'], notify: ['hook'] },
          slow: { reviewers: ['group:finance'], notify: ['hook'], escalate: { after: '1s', to: ['group:directors'] } },
          chat: { reviewers: ['group:finance'], notify: ['team'] },
          url: { reviewers: ['group:finance'], notify: ['incoming'] },
        },
        rules: [
          rule.allow('reads', { upstream: 'api', methods: ['GET'], path: '/accounts' }),
          rule.allow(
            'exports',
            { upstream: 'api', methods: ['GET'], path: '/exports/:id' },
            { notify: ['hook'], data: 'restricted' },
          ),
          rule.hold('transfers', { upstream: 'api', methods: ['POST'], path: '/transfers' }),
          rule.hold('slow', { upstream: 'api', methods: ['POST'], path: '/slow' }, { tier: 'slow' }),
          rule.hold('chats', { upstream: 'api', methods: ['POST'], path: '/chats' }, { tier: 'chat' }),
          rule.hold('urls', { upstream: 'api', methods: ['POST'], path: '/urls' }, { tier: 'url' }),
        ],
        reviewers: { watch: ['group:soc'] },
        notifications: {
          channels: {
            hook: { type: 'webhook', url: `${hook.origin}/in`, secret: { env: 'E2E_WEBHOOK' } },
            team: { type: 'slack', token: { env: 'E2E_SLACK' }, channel: 'C024BE91L', apiUrl: `${slack.origin}/api` },
            incoming: { type: 'slack', webhookUrl: { env: 'E2E_SLACK_URL' } },
          },
        },
      },
      {
        env: {
          E2E_WEBHOOK: SECRET,
          E2E_SLACK: SLACK_TOKEN,
          E2E_SLACK_URL: `${slack.origin}/services/T0/B0/secret-path`,
        },
      },
    ),
  );

it.afterEach(({ hook, slack }) => {
  hook.respond(ok);
  slack.respond(ok);
});

describe('a signed webhook', () => {
  it('tells of a held call by link, code and tier, verifies with the reference library, and carries no argument', async ({
    hook,
    env,
  }) => {
    const before = hook.requests.length;
    const id = await held(env, '/api/transfers');
    const request = await hook.arrived(before);
    const verified = new Webhook(SECRET).verify(request.body, request.headers as Record<string, string>) as Event;
    expect(() =>
      new Webhook(SECRET).verify(request.body.replace(id, 'hold_forged'), request.headers as Record<string, string>),
    ).toThrow();
    const alice = await env.reviewer('alice');
    const { bindingDigest } = await alice.show(id);
    expect(verified).toMatchObject({ specversion: '1.0', type: 'io.countersign.hold.opened', subject: id });
    expect(verified.id).toBe(request.headers['webhook-id']);
    expect(verified.data).toEqual({
      link: `http://127.0.0.1:${env.ports.reviewers}/holds/${id}`,
      code: bindingDigest.slice(0, 6),
      tier: 'payment',
    });
    expect(request.headers['content-type']).toContain('application/cloudevents+json');
    expect(JSON.stringify([request.body, request.rawHeaders])).not.toContain(IBAN);
  });

  it('comes again with the same id and body after the receiver failed', async ({ hook, env }) => {
    hook.respond((_request, response) => response.writeHead(503).end());
    const before = hook.requests.length;
    await held(env, '/api/transfers');
    const first = await hook.arrived(before);
    hook.respond(ok);
    const second = await hook.arrived(before + 1);
    expect(second.headers['webhook-id']).toBe(first.headers['webhook-id']);
    expect(second.body).toBe(first.body);
    new Webhook(SECRET).verify(second.body, second.headers as Record<string, string>);
    const entry = await listed(env, ({ id, state }) => id === first.headers['webhook-id'] && state === 'delivered');
    expect(entry.attempts).toBe(1);
  });

  it('is dead and shown when the receiver is gone for good, and is delivered once somebody has it tried again', async ({
    hook,
    env,
  }) => {
    hook.respond((_request, response) => response.writeHead(410).end('who asks?'));
    const before = hook.requests.length;
    const id = await held(env, '/api/transfers');
    const first = await hook.arrived(before);
    const dead = await listed(env, ({ subject, state }) => subject === id && state === 'dead');
    expect(dead).toMatchObject({ channel: 'hook', lastError: 'The receiver answered 410.' });
    const soc = await env.reviewer('sam', ['soc']);
    expect(await countersign(env, soc.token, 'notifications', 'list', '--state', 'dead')).toContain(`${dead.id}  dead`);
    hook.respond(ok);
    expect((await soc.post(`/notifications/${dead.id}/retry`, {})).status).toBe(200);
    expect((await hook.arrived(before + 1)).headers['webhook-id']).toBe(first.headers['webhook-id']);
    expect((await soc.post(`/notifications/${dead.id}/retry`, {})).status).toBe(404);
  });

  it('is shown to nobody but those whom reviewers.watch names', async ({ env }) => {
    const alice = await env.reviewer('alice');
    const response = await alice.request('/notifications');
    expect([response.status, ((await response.json()) as { code: string }).code]).toEqual([403, 'not_a_reviewer']);
  });

  it('is not lost when the gateway is killed between the hold and the delivery, and keeps its id', async ({
    hook,
    env,
  }) => {
    hook.respond(() => {});
    const before = hook.requests.length;
    const id = await held(env, '/api/transfers');
    const first = await hook.arrived(before);
    await env.kill();
    hook.respond(ok);
    await env.start();
    const second = await hook.arrived(before + 1);
    expect(eventIn(second)).toMatchObject({ subject: id, type: 'io.countersign.hold.opened' });
    expect(second.headers['webhook-id']).toBe(first.headers['webhook-id']);
    await listed(env, ({ subject, state }) => subject === id && state === 'delivered');
    expect(hook.requests.length).toBe(before + 2);
  });
});

describe('escalation', () => {
  it('shows the hold to the second group from its time on, has people told, and takes their vote', async ({
    hook,
    env,
  }) => {
    const before = hook.requests.length;
    const dora = await env.reviewer('dora', ['directors']);
    const { hold } = await dora.expect('PENDING');
    const id = await held(env, '/api/slow');
    const opened = await hook.arrived(before);
    expect(await hold).toBe(id);
    const escalated = await hook.arrived(before + 1);
    expect([eventIn(opened), eventIn(escalated)]).toMatchObject([
      { type: 'io.countersign.hold.opened', subject: id },
      { type: 'io.countersign.hold.escalated', subject: id },
    ]);
    expect(escalated.headers['webhook-id']).not.toBe(opened.headers['webhook-id']);
    expect(await dora.show(id)).toMatchObject({
      requirements: [{ escalate: { to: ['group:directors'], inForce: true } }],
      notified: ['hook'],
    });
    await dora.approve(id);
    expect((await dora.show(id)).state).toBe('APPROVED');
  });
});

describe('a Slack message', () => {
  it('is posted with the bot token, links to the page, and carries no argument', async ({ slack, env }) => {
    const before = slack.requests.length;
    const id = await held(env, '/api/chats');
    const { url, headers, body } = await slack.arrived(before);
    expect([url, headers.authorization]).toEqual(['/api/chat.postMessage', `Bearer ${SLACK_TOKEN}`]);
    const message = JSON.parse(body) as {
      channel: string;
      blocks: { type: string; elements?: { type: string; url: string; action_id?: string }[] }[];
    };
    expect(message.channel).toBe('C024BE91L');
    const [button] = message.blocks.find(({ type }) => type === 'actions')?.elements ?? [];
    expect(button).toMatchObject({ type: 'button', url: `http://127.0.0.1:${env.ports.reviewers}/holds/${id}` });
    expect(button).not.toHaveProperty('value');
    expect(body).not.toContain(IBAN);
  });

  it('is dead when Slack answers 200 and refuses it for good', async ({ slack, env }) => {
    slack.respond((_request, response) => response.end('{"ok":false,"error":"channel_not_found"}'));
    const id = await held(env, '/api/chats');
    const dead = await listed(env, ({ subject, state }) => subject === id && state === 'dead');
    expect(dead.lastError).toBe('Slack refused the message: channel_not_found.');
  });

  it('goes to an incoming webhook, whose URL stays out of the log and the listing', async ({ slack, env }) => {
    slack.respond((_request, response) => response.writeHead(500).end('no'));
    const before = slack.requests.length;
    const id = await held(env, '/api/urls');
    expect((await slack.arrived(before)).url).toBe('/services/T0/B0/secret-path');
    const entry = await listed(env, ({ subject, attempts }) => subject === id && attempts === 1);
    expect(JSON.stringify([entry, env.log])).not.toContain('secret-path');
  });
});

describe('human on the loop', () => {
  it('lets the call pass, tells the channel, shows it, and lets a person end its task', async ({ hook, env }) => {
    const before = hook.requests.length;
    const opened = await env.call('/countersign/v1/tasks', {
      method: 'POST',
      body: { objective: 'Export the ledger' },
    });
    const task = ((await opened.json()) as { id: string }).id;
    const inTask = { headers: { 'countersign-task': task, prefer: 'wait=0' } };
    expect((await env.call('/api/exports/7', inTask)).status).toBe(200);
    const event = eventIn(await hook.arrived(before));
    expect(event).toMatchObject({
      type: 'io.countersign.call.passed',
      data: { tier: 'watch', link: `http://127.0.0.1:${env.ports.reviewers}/watch` },
    });

    const soc = await env.reviewer('sam', ['soc']);
    const { passed } = await soc.read<{ passed: Record<string, unknown>[] }>('/watch');
    expect(passed[0]).toMatchObject({
      ...{
        id: event.subject,
        principalId: `${env.issuer.issuer}#agent-1`,
        upstream: 'api',
        path: '/exports/7',
        rules: ['exports'],
        data: 'restricted',
      },
      ...{ task: { id: task, objective: 'Export the ledger' }, youMay: { revokeTask: true } },
    });

    const pending = await env.call('/api/transfers', { method: 'POST', body: payment(), ...inTask });
    const id = pending.headers.get('countersign-hold') ?? '';
    const alice = await env.reviewer('alice');
    expect((await alice.post(`/tasks/${task}/revoke`, { reason: 'no' })).status).toBe(403);
    expect((await soc.post(`/tasks/${task}/revoke`, {})).status).toBe(400);
    expect((await soc.post(`/tasks/${task}/revoke`, { reason: 'not agreed' })).status).toBe(200);
    expect(await alice.show(id)).toMatchObject({
      state: 'REVOKED',
      endedBecause: expect.stringContaining('not agreed'),
    });
    const next = await env.call('/api/exports/8', inTask);
    expect([next.status, ((await next.json()) as { code: string }).code]).toEqual([409, 'task_ended']);
    const after = await soc.read<{ passed: Record<string, unknown>[] }>('/watch');
    expect(after.passed[0]).toMatchObject({ youMay: { revokeTask: false } });
  });

  it('says nothing of calls that a rule without notify lets pass', async ({ env }) => {
    const soc = await env.reviewer('sam', ['soc']);
    const before = (await soc.read<{ passed: unknown[] }>('/watch')).passed.length;
    expect((await env.call('/api/accounts')).status).toBe(200);
    expect((await soc.read<{ passed: unknown[] }>('/watch')).passed.length).toBe(before);
  });
});
