// A held call as the clients see it that agents are built with. None of them knows Countersign: what they do with its
// answer is what their own retry logic says. The upstream answers like a model provider, since that is what the openai
// client expects to talk to.

import { execFile, execFileSync } from 'node:child_process';
import { promisify } from 'node:util';
import OpenAI, { ConflictError, PermissionDeniedError } from 'openai';
import { Agent, RetryAgent, request } from 'undici';
import { describe, expect } from 'vitest';
import { rule } from '../support/config.ts';
import { countFrom } from '../support/count.ts';
import type { Environment } from '../support/environment.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';
import type { ReviewerClient } from '../support/reviewer-client.ts';

const PATIENCE = { timeout: 20_000 };

const serial = countFrom(0);

const it = gatewayTest
  .extend('env', file, async ({ environment }) => {
    const env = await environment({
      rules: [rule.hold('chat', { upstream: 'api', methods: ['POST'], path: '/v1/chat/completions' })],
      limits: { wait: '20s', pendingPerAgent: 100 },
    });
    env.upstream.respond(({ body }, response) => {
      const { model } = JSON.parse(body) as { model: string };
      const choices = [
        {
          index: 0,
          message: { role: 'assistant', content: 'done', refusal: null },
          finish_reason: 'stop',
          logprobs: null,
        },
      ];
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ id: 'chat_1', object: 'chat.completion', created: 1, model, choices }));
    });
    return env;
  })
  .extend('alice', file, ({ env }) => env.reviewer('alice'))
  .extend('base', file, ({ env }) => `http://127.0.0.1:${env.ports.agents}/api/v1`)
  .extend('token', file, ({ env }) => env.token('agent-1'));

/** A question of its own per test, so that no test meets another's hold. */
const question = () => ({ model: 'm-1', messages: [{ role: 'user' as const, content: `question ${serial()}` }] });

/** How often the gateway has answered a call about this hold. */
const answered = (env: Environment, id: unknown): number =>
  env.log.filter((line) => line.event === 'countersign.call.completed' && line.hold === id).length;

/** Approves the next hold that comes up once its caller has been told to come back. */
async function approveAfterFirstAnswer(
  env: Environment,
  alice: ReviewerClient,
): Promise<{ readonly done: Promise<string> }> {
  const { hold } = await alice.expect('PENDING');
  const approve = async (): Promise<string> => {
    const id = await hold;
    await expect.poll(() => answered(env, id), PATIENCE).toBeGreaterThan(0);
    await alice.approve(id);
    return id;
  };
  return { done: approve() };
}

describe('Node’s fetch', () => {
  const ask = (base: string, token: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> =>
    fetch(`${base}/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    });

  it('waits on its connection and gets the upstream’s answer when the call is approved meanwhile', async ({
    alice,
    base,
    token,
  }) => {
    const { hold } = await alice.expect('PENDING');
    const answer = ask(base, token, question());
    await alice.approve(await hold);
    const response = await answer;
    expect([response.status, response.headers.get('countersign-hold')]).toEqual([200, await hold]);
    expect(await response.json()).toMatchObject({ object: 'chat.completion' });
  });

  it('sees a 409 that is not ok, and a 202 only when it asked for one', async ({ base, token }) => {
    const body = question();
    const pending = await ask(base, token, body, { prefer: 'wait=0' });
    expect([pending.status, pending.ok]).toEqual([409, false]);
    const asked = await ask(base, token, body, { prefer: 'respond-async' });
    expect([asked.status, asked.headers.get('countersign-hold')]).toEqual([
      202,
      pending.headers.get('countersign-hold'),
    ]);
  });
});

describe('undici', () => {
  const options = (token: string, body: unknown) => ({
    method: 'POST' as const,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', prefer: 'wait=0' },
    body: JSON.stringify(body),
  });

  it('surfaces the pending call through its retrying agent, which does not send it again by itself', async ({
    env,
    base,
    token,
  }) => {
    const dispatcher = new RetryAgent(new Agent());
    const { statusCode, headers, body } = await request(`${base}/chat/completions`, {
      ...options(token, question()),
      dispatcher,
    });
    expect([statusCode, headers['x-should-retry']]).toEqual([409, 'true']);
    expect(await body.json()).toMatchObject({ code: 'approval_pending' });
    await expect.poll(() => answered(env, headers['countersign-hold']), PATIENCE).toBe(1);
    await dispatcher.close();
  });

  it('completes the call when its retrying agent is told to take 409 as a reason to come back', async ({
    env,
    alice,
    base,
    token,
  }) => {
    const dispatcher = new RetryAgent(new Agent(), { statusCodes: [409], methods: ['POST'], maxRetries: 5 });
    const before = env.upstream.requests.length;
    const { done } = await approveAfterFirstAnswer(env, alice);
    const { statusCode, headers, body } = await request(`${base}/chat/completions`, {
      ...options(token, question()),
      dispatcher,
    });
    expect([statusCode, headers['countersign-hold']]).toEqual([200, await done]);
    expect(await body.json()).toMatchObject({ object: 'chat.completion' });
    expect(env.upstream.requests.length).toBe(before + 1);
    await dispatcher.close();
  });
});

describe('the openai client', () => {
  const client = (base: string, token: string, maxRetries: number, headers: Record<string, string> = {}): OpenAI =>
    new OpenAI({ apiKey: token, baseURL: base, maxRetries, defaultHeaders: headers });

  it('waits, and returns the completion when the call is approved meanwhile', async ({ alice, base, token }) => {
    const { hold } = await alice.expect('PENDING');
    const completion = client(base, token, 0).chat.completions.create(question());
    await alice.approve(await hold);
    expect((await completion).choices[0]?.message.content).toBe('done');
  });

  it('retries a pending call by itself and completes without its caller noticing; the upstream sees it once', async ({
    env,
    alice,
    base,
    token,
  }) => {
    const before = env.upstream.requests.length;
    const { done } = await approveAfterFirstAnswer(env, alice);
    const { data, response } = await client(base, token, 5, { prefer: 'wait=0' })
      .chat.completions.create(question())
      .withResponse();
    expect(data.choices[0]?.message.content).toBe('done');
    expect([response.status, response.headers.get('countersign-hold')]).toEqual([200, await done]);
    expect(env.upstream.requests.length).toBe(before + 1);
    expect((await alice.show(await done)).state).toBe('EXECUTED');
  });

  it('raises a conflict when nobody decides and its retries are used up, and always means the same hold', async ({
    env,
    alice,
    base,
    token,
  }) => {
    const failure = await client(base, token, 1, { prefer: 'wait=0' })
      .chat.completions.create(question())
      .catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(ConflictError);
    const { headers } = failure as ConflictError;
    expect([headers.get('x-should-retry'), headers.get('retry-after')]).toEqual([
      'true',
      expect.stringMatching(/^\d+$/),
    ]);
    const pending = (await alice.list()).filter(({ id }) => id === headers.get('countersign-hold'));
    expect(pending).toHaveLength(1);
    await expect.poll(() => answered(env, headers.get('countersign-hold')), PATIENCE).toBe(2);
  });

  it('does not try again after a denial', async ({ env, alice, base, token }) => {
    const { hold } = await alice.expect('PENDING');
    const failure = client(base, token, 5)
      .chat.completions.create(question())
      .catch((error: unknown) => error);
    await alice.deny(await hold);
    expect(await failure).toBeInstanceOf(PermissionDeniedError);
    expect(((await failure) as PermissionDeniedError).headers.get('x-should-retry')).toBe('false');
    await expect.poll(async () => answered(env, await hold), PATIENCE).toBe(1);
  });
});

/** 7.84 is the first that prints a field of the answer by name. */
function hasCurl(): boolean {
  try {
    const [, major, minor] = /^curl (\d+)\.(\d+)/.exec(execFileSync('curl', ['--version'], { encoding: 'utf8' })) ?? [];
    return Number(major) * 1000 + Number(minor) >= 7084;
  } catch {
    return false;
  }
}

describe.skipIf(!hasCurl())('curl (skipped where there is none of 7.84 or later)', () => {
  const curl = async (
    base: string,
    token: string,
    body: unknown,
    ...more: readonly string[]
  ): Promise<{ readonly status: string; readonly hold: string; readonly text: string }> => {
    const format = '\n%{http_code} %header{countersign-hold}';
    const args = [
      '-sS',
      '-w',
      format,
      '-H',
      `Authorization: Bearer ${token}`,
      '--json',
      JSON.stringify(body),
      ...more,
      `${base}/chat/completions`,
    ];
    const { stdout } = await promisify(execFile)('curl', args);
    const at = stdout.lastIndexOf('\n');
    const [status = '', hold = ''] = stdout.slice(at + 1).split(' ');
    return { status, hold, text: stdout.slice(0, at) };
  };

  it('prints the problem of a pending call, which says what to do', async ({ base, token }) => {
    const { status, text } = await curl(base, token, question(), '-H', 'Prefer: wait=0');
    expect(status).toBe('409');
    expect(JSON.parse(text)).toMatchObject({ code: 'approval_pending', detail: expect.any(String) });
  });

  it('waits for the approval while it is on the line, also behind Expect: 100-continue', async ({
    alice,
    base,
    token,
  }) => {
    const { hold } = await alice.expect('PENDING');
    const answer = curl(base, token, question(), '-H', 'Expect: 100-continue');
    await alice.approve(await hold);
    expect(await answer).toMatchObject({ status: '200', hold: await hold });
  });

  it('comes back with --retry-all-errors and completes after the approval', async ({ env, alice, base, token }) => {
    const { done } = await approveAfterFirstAnswer(env, alice);
    const { status, hold, text } = await curl(
      base,
      token,
      question(),
      '-H',
      'Prefer: wait=0',
      '--fail',
      '--retry',
      '5',
      '--retry-all-errors',
      '--no-progress-meter',
    );
    expect([status, hold]).toEqual(['200', await done]);
    expect(text).toContain('chat.completion');
  });
});
