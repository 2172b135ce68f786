// Held tool calls as real MCP clients live through them: the TypeScript SDK v1 and v2 with their default configuration,
// over real sockets. Waits are scaled by the gateway's own configuration (limits.wait), never by the clients'.

import { describe, expect } from 'vitest';
import { countFrom } from '../support/count.ts';
import type { Environment } from '../support/environment.ts';
import { connectV1, connectV2 } from '../support/mcp-clients.ts';
import type { McpUpstream } from '../support/mcp-upstream.ts';
import { twoBanksTest } from '../support/two-banks.ts';
import { giveUpWhileHeld, wasSentAway } from './held.ts';

interface Result {
  readonly content: readonly { readonly text: string }[];
  readonly isError?: boolean;
  readonly _meta?: Readonly<Record<string, unknown>>;
}

const amount = countFrom(1);

const it = twoBanksTest({ limits: { wait: '1s', pendingPerAgent: 100 } });

const connect = (env: Environment, as?: string) => connectV1(env, 'tools', { as });
const connectModern = (env: Environment) => connectV2(env, 'modern');

/** Arguments of its own per test, so that no test meets another's hold. */
const payment = () => ({ name: 'transfer_funds', arguments: { amount: amount() } });
const ranWith = (upstream: McpUpstream, call: ReturnType<typeof payment>) =>
  upstream.ran.filter(({ args }) => args.amount === call.arguments.amount);

describe('a default SDK v1 client', () => {
  it('is told that its call is pending, and gets the result when it sends the same call again after the approval', async ({
    bank,
    env,
    alice,
  }) => {
    const { client } = await connect(env);
    const call = payment();
    const first = (await client.callTool(call)) as unknown as Result;
    expect(first.isError).toBe(true);
    expect(first.content[0]?.text).toContain('Nothing was executed');
    const id = String(first._meta?.['countersign/hold']);
    expect(first._meta).toMatchObject({
      'countersign/code': 'approval_pending',
      'countersign/status': `/countersign/v1/holds/${id}`,
    });
    expect(first._meta?.['countersign/retryAfter']).toBeGreaterThan(0);
    // Another JSON-RPC id, the same call: it attaches.
    const second = (await client.callTool(call)) as unknown as Result;
    expect(second._meta?.['countersign/hold']).toBe(id);
    await alice.approve(id);
    const third = (await client.callTool(call)) as unknown as Result;
    expect(third).toMatchObject({ content: [{ text: 'done transfer_funds' }] });
    expect(ranWith(bank, call)).toHaveLength(1);
    expect((await alice.show(id)).state).toBe('EXECUTED');
  });

  it('gets the result at once when the approval comes while it waits', async ({ env, alice }) => {
    const { client } = await connect(env);
    const { hold } = await alice.expect('PENDING');
    const call = payment();
    const answer = client.callTool(call);
    await alice.approve(await hold);
    expect(await answer).toMatchObject({ content: [{ text: 'done transfer_funds' }] });
  });

  it('is told of a denial as a tool result, also when it asks again', async ({ bank, env, alice }) => {
    const { client } = await connect(env);
    const call = payment();
    const id = String(((await client.callTool(call)) as unknown as Result)._meta?.['countersign/hold']);
    await alice.deny(id);
    for (const _ of [1, 2]) {
      expect(await client.callTool(call)).toMatchObject({
        isError: true,
        _meta: { 'countersign/code': 'approval_denied' },
      });
    }
    expect(ranWith(bank, call)).toHaveLength(0);
  });

  it('never has an approval used for other arguments under the same JSON-RPC id (orka#589)', async ({ env, alice }) => {
    const { transport } = await connect(env);
    const send = async (value: number) => {
      const response = await env.call('/tools', {
        method: 'POST',
        headers: {
          accept: 'application/json, text/event-stream',
          'mcp-session-id': transport.sessionId ?? '',
          prefer: 'wait=0',
        },
        body: {
          jsonrpc: '2.0',
          id: 'same',
          method: 'tools/call',
          params: { name: 'transfer_funds', arguments: { amount: value } },
        },
      });
      const text = await response.text();
      return JSON.parse(text.startsWith('{') ? text : (/^data: (\{.*)$/m.exec(text)?.[1] ?? '')) as { result: Result };
    };
    const [first, second] = [amount(), amount()];
    const approved = await send(first);
    await alice.approve(String(approved.result._meta?.['countersign/hold']));
    const other = await send(second);
    expect(other.result._meta).toMatchObject({ 'countersign/code': 'approval_pending' });
    expect(other.result._meta?.['countersign/hold']).not.toBe(approved.result._meta?.['countersign/hold']);
    expect((await send(first)).result).toMatchObject({ content: [{ text: 'done transfer_funds' }] });
  });
});

describe('an SDK v1 client that follows progress', () => {
  it('is kept past limits.wait by progress notifications, and gets the upstream’s answer in the same stream', async ({
    bank,
    env,
    alice,
  }) => {
    const { client } = await connect(env);
    const { hold } = await alice.expect('PENDING');
    const call = payment();
    const progress: { progress: number; message?: string | undefined }[] = [];
    const answer = client.callTool(call, undefined, {
      onprogress: (update) => void progress.push(update),
      resetTimeoutOnProgress: true,
    });
    const id = await hold;
    // Longer than limits.wait: another call of this agent has waited in vain meanwhile.
    const { client: other } = await connect(env);
    expect(await other.callTool(payment())).toMatchObject({ isError: true });
    await alice.approve(id);
    expect(await answer).toMatchObject({ content: [{ text: 'done transfer_funds' }] });
    expect(progress[0]?.message).toContain(id);
    expect(ranWith(bank, call)).toHaveLength(1);
  });

  it('is told of a denial in the stream', async ({ env, alice }) => {
    const { client } = await connect(env);
    const { hold } = await alice.expect('PENDING');
    const answer = client.callTool(payment(), undefined, { onprogress: () => {}, resetTimeoutOnProgress: true });
    await alice.deny(await hold);
    expect(await answer).toMatchObject({ isError: true, _meta: { 'countersign/code': 'approval_denied' } });
  });

  it('cancels the hold with notifications/cancelled', async ({ env, alice }) => {
    const { client } = await connect(env);
    await giveUpWhileHeld(alice, client, payment());
  });
});

describe('the end of a 2025 session', () => {
  // A client that opens a session for each call ends it behind the pending answer, and comes back in another one.
  it('cancels the holds whose requests are open in that session, and no other', async ({ env, alice }) => {
    const { client, transport } = await connect(env);
    const { client: other } = await connect(env);
    const answeredHold = String(((await client.callTool(payment())) as unknown as Result)._meta?.['countersign/hold']);
    const stays = String(((await other.callTool(payment())) as unknown as Result)._meta?.['countersign/hold']);
    const { hold } = await alice.expect('PENDING');
    const open = client.callTool(payment()).catch((error: Error) => error);
    const id = await hold;
    const { hold: cancelled } = await alice.expect('CANCELLED', id);
    await transport.terminateSession();
    expect(await cancelled).toBe(id);
    for (const kept of [answeredHold, stays]) expect((await alice.show(kept)).state).toBe('PENDING');
    await open;
  });

  it.for([
    ['without progress', {}],
    ['in a stream of progress', { _meta: { progressToken: 1 } }],
  ] as const)(
    'is not a closed connection: the hold of a call that waits %s stays',
    async ([_how, more], { env, alice }) => {
      const { transport } = await connect(env);
      const { hold } = await alice.expect('PENDING');
      const aborter = new AbortController();
      const message = { jsonrpc: '2.0', id: 9, method: 'tools/call', params: { ...payment(), ...more } };
      const headers = { accept: 'application/json, text/event-stream', 'mcp-session-id': transport.sessionId ?? '' };
      const answer = env
        .call('/tools', { method: 'POST', headers, body: message, signal: aborter.signal })
        .catch((error: Error) => error);
      const id = await hold;
      aborter.abort();
      await answer;
      await expect
        .poll(() => env.log.some((line) => line.hold === id && line.error === 'client_closed'), { timeout: 10_000 })
        .toBe(true);
      expect((await alice.show(id)).state).toBe('PENDING');
    },
  );
});

describe('an SDK v2 client of protocol 2026-07-28 with its default configuration', () => {
  it('comes back by itself with the sealed requestState until the call is approved', async ({
    modernBank,
    env,
    alice,
  }) => {
    const client = await connectModern(env);
    const { hold } = await alice.expect('PENDING');
    const call = payment();
    const answer = client.callTool(call);
    const id = await hold;
    await wasSentAway(env, id);
    await alice.approve(id);
    expect(await answer).toMatchObject({ content: [{ text: 'done transfer_funds' }] });
    expect(ranWith(modernBank, call)).toHaveLength(1);
  });

  it('is told of a denial as a result that it understands', async ({ env, alice }) => {
    const client = await connectModern(env);
    const { hold } = await alice.expect('PENDING');
    const answer = client.callTool(payment());
    await alice.deny(await hold);
    expect(await answer).toMatchObject({ isError: true, _meta: { 'countersign/code': 'approval_denied' } });
  });

  it('cancels the hold by closing its request', async ({ env, alice }) => {
    // Between two legs there is nothing to close: this leg has to last.
    expect(
      await env.edit(({ limits }) => {
        limits.wait = '50s';
      }),
    ).toBe('config.reloaded');
    const client = await connectModern(env);
    const { hold } = await alice.expect('PENDING');
    const aborter = new AbortController();
    const answer = client.callTool(payment(), { signal: aborter.signal }).catch((error: Error) => error);
    const id = await hold;
    const { hold: cancelled } = await alice.expect('CANCELLED', id);
    aborter.abort();
    expect(await cancelled).toBe(id);
    await answer;
  });
});

// The same at real clocks and with limits.wait as it is by default: two minutes, so only when asked for
// (COUNTERSIGN_REAL_TIME=1).
describe.runIf(process.env.COUNTERSIGN_REAL_TIME === '1')(
  'default clients and the default configuration, in real time',
  { timeout: 300_000 },
  () => {
    const after = (seconds: number) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

    it('completes a v1 call approved after 40 s in one go, one approved after 70 s by the promised retry, and a v2 call by itself', async ({
      env,
      alice,
    }) => {
      // Another test may have set it: the same file again is no news.
      if (env.config.limits.wait !== '50s')
        await env.edit(({ limits }) => {
          limits.wait = '50s';
        });
      const { client } = await connect(env);
      const modern = await connectModern(env);
      const approveAfter = async (seconds: number, call: () => Promise<unknown>) => {
        const { hold } = await alice.expect('PENDING');
        const answer = call();
        const id = await hold;
        const approved = after(seconds).then(() => alice.approve(id));
        return { answer: await answer, approved };
      };
      const [first, second] = [payment(), payment()];
      expect((await approveAfter(40, () => client.callTool(first))).answer).toMatchObject({
        content: [{ text: 'done transfer_funds' }],
      });
      const late = await approveAfter(70, () => client.callTool(second));
      expect(late.answer).toMatchObject({ isError: true, _meta: { 'countersign/code': 'approval_pending' } });
      await late.approved;
      expect(await client.callTool(second)).toMatchObject({ content: [{ text: 'done transfer_funds' }] });
      expect((await approveAfter(70, () => modern.callTool(payment()))).answer).toMatchObject({
        content: [{ text: 'done transfer_funds' }],
      });
    });
  },
);
