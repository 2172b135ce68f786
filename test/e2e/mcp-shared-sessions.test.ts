// One mount for several MCP servers has one session of the agent's and one stream of events, each made of the servers'
// own: what is one server's reaches no other and nobody else, and a server that was away is there again.

import { describe, expect } from 'vitest';
import { rule } from '../support/config.ts';
import type { Environment } from '../support/environment.ts';
import {
  call,
  code,
  INITIALIZE,
  names,
  numbers,
  request,
  type SharedMount,
  sharedMountTest,
} from '../support/shared-mount.ts';
import type { StrictServer } from '../support/strict-mcp-server.ts';

const it = sharedMountTest;

it.beforeEach(({ mount }) => mount.reset());

describe('a session', () => {
  it('is one for the agent, and each server has its own, which the others and the agent never see', async ({
    a,
    b,
    post,
  }) => {
    const { session, json } = await post(request('initialize', INITIALIZE));
    expect(json.result).toMatchObject({
      protocolVersion: '2025-11-25',
      serverInfo: { name: 'one' },
      instructions: '## a\n\n> Words of a.\n\n## b\n\n> Words of b.',
    });
    expect(json.result.capabilities).toEqual({
      tools: {},
      prompts: {},
      resources: { subscribe: true },
      logging: {},
      completions: {},
    });
    const said = await post(call('a__echo'), session ?? '');
    expect(said.json.result.content[0].text).toBe('a ran "echo"');
    expect(said.session).toBeNull();
    const own = a.arrived.at(-1)?.headers['mcp-session-id'];
    await post(call('b__echo'), session ?? '');
    expect(b.arrived.at(-1)?.headers['mcp-session-id']).not.toBe(own);
    expect(session).not.toContain(own);
    expect([a.arrived.at(-1)?.headers.authorization, b.arrived.at(-1)?.headers.authorization]).toEqual([
      expect.stringMatching(/^Bearer upstream-secret/),
      undefined,
    ]);
  });

  it.for([
    ['none', async () => undefined, 400],
    ['one that nobody gave', async () => 'v1.AAAA', 404],
    [
      'one of the server’s own',
      async ({ a }: SharedMount) =>
        String(a.arrived.findLast(({ headers }) => headers['mcp-session-id'])?.headers['mcp-session-id']),
      404,
    ],
    ['another agent’s', ({ open }: SharedMount) => open({ as: 'agent-2' }), 404],
    ['one of another mount', ({ open }: SharedMount) => open({ mount: 'other' }), 404],
    [
      'one with a changed letter',
      async ({ open }: SharedMount) => (await open()).replace(/.$/, (letter) => (letter === 'A' ? 'B' : 'A')),
      404,
    ],
  ] as const)('is refused: %s', async ([_what, session, status], { mount, a, b, post }) => {
    const given = await session(mount);
    const before = [a.arrived.length, b.arrived.length];
    expect((await post(call('a__echo'), given)).status).toBe(status);
    expect([a.arrived.length, b.arrived.length]).toEqual(before);
  });

  it('outlives a restart of the gateway, and not its own end', async ({ env, a, b, post, open }) => {
    const session = await open();
    await env.kill();
    await env.start();
    expect((await post(call('a__echo'), session)).json.result.content[0].text).toBe('a ran "echo"');
    expect((await env.call('/one', { method: 'DELETE', headers: { 'mcp-session-id': session } })).status).toBe(200);
    expect(a.arrived.at(-1)?.http === 'DELETE' && b.arrived.some(({ http }) => http === 'DELETE')).toBe(true);
    expect((await post(call('a__echo'), session)).status).toBe(404);
  });

  it.for(['0000-00-00', '2024-10-07', '2026-07-28', 'x', 7])(
    'is not spoilt by a server that answers with revision %s',
    async (protocolVersion, { b, kept, post }) => {
      b.results.initialize = (params) => ({ ...(kept.b.initialize?.(params) as object), protocolVersion });
      const { json } = await post(request('initialize', INITIALIZE));
      expect(json.result).toMatchObject({
        protocolVersion: '2025-11-25',
        instructions: '## a\n\n> Words of a.',
        _meta: { 'countersign/missing': { b: 'server_error' } },
      });
    },
  );

  it('speaks the oldest revision of its servers to the agent, and each server’s own to it', async ({
    a,
    b,
    kept,
    post,
  }) => {
    b.results.initialize = (params) => ({ ...(kept.b.initialize?.(params) as object), protocolVersion: '2025-06-18' });
    const { session, json } = await post(request('initialize', INITIALIZE));
    expect(json.result.protocolVersion).toBe('2025-06-18');
    await post(call('a__echo'), session ?? '', { headers: { 'mcp-protocol-version': '2025-06-18' } });
    await post(call('b__echo'), session ?? '', { headers: { 'mcp-protocol-version': '2025-06-18' } });
    expect([a, b].map(({ arrived }) => arrived.at(-1)?.headers['mcp-protocol-version'])).toEqual([
      '2025-11-25',
      '2025-06-18',
    ]);
  });
});

describe('a server that was killed', () => {
  it('takes nothing from the others, and is there again, in a new session, when it is back', async ({
    b,
    post,
    open,
  }) => {
    const session = await open();
    await b.kill();
    expect(names(await post(request('tools/list'), session))).toEqual(['a__echo']);
    // Aborted, where a connection was still thought to be open.
    await expect.poll(async () => code(await post(call('b__echo'), session))).toBe('upstream_unreachable');
    expect((await post(call('a__echo'), session)).json.result.content[0].text).toBe('a ran "echo"');
    const late = await open();
    await b.start();
    // Of two sessions, one has b’s old id and one has none.
    expect(code(await post(call('b__echo'), session))).toBe('session_not_found');
    expect((await post(call('b__echo'), session)).json.result.content[0].text).toBe('b ran "echo"');
    expect((await post(call('b__echo'), late)).json.result.content[0].text).toBe('b ran "echo"');
    await b.kill();
    await b.start();
    await expect.poll(async () => names(await post(request('tools/list'), late))).toEqual(['a__echo', 'b__echo']);
  });
});

describe('what servers send', () => {
  /** Events of an agent's own stream as they come. */
  async function listen(
    env: Environment,
    a: StrictServer,
    b: StrictServer,
    session: string,
    lastEventId?: string,
    servers = [a, b],
    as = 'agent-1',
  ) {
    // What an earlier agent kept open must not pass for this one's.
    await expect.poll(() => a.streams.size + b.streams.size).toBe(0);
    const aborter = new AbortController();
    const headers = {
      accept: 'text/event-stream',
      'mcp-session-id': session,
      ...(lastEventId !== undefined && { 'last-event-id': lastEventId }),
    };
    const response = await env.call('/one', { as, headers, signal: aborter.signal });
    await expect.poll(() => servers.map(({ streams }) => streams.size)).toEqual(servers.map(() => 1));
    const reader = (response.body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    return {
      // biome-ignore lint/suspicious/noExplicitAny: messages of many forms are read by their path
      async next(): Promise<{ id: string | undefined; message: any }> {
        for (;;) {
          const end = text.indexOf('\n\n');
          if (end !== -1) {
            const event = text.slice(0, end);
            text = text.slice(end + 2);
            return {
              id: /^id: (.*)$/m.exec(event)?.[1],
              message: JSON.parse(/^data: (.*)$/m.exec(event)?.[1] ?? 'null'),
            };
          }
          const { value, done } = await reader.read();
          if (done) throw new Error('the stream ended');
          text += value;
        }
      },
      close: () => aborter.abort(),
    };
  }

  it('comes in one stream; requests of the same number are told apart, and each answer reaches its server', async ({
    env,
    a,
    b,
    post,
    open,
  }) => {
    const session = await open();
    const stream = await listen(env, a, b, session);
    a.push({ jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: 1 } });
    const sample = {
      jsonrpc: '2.0',
      id: 1,
      method: 'sampling/createMessage',
      params: { messages: [], _meta: { progressToken: 7 } },
    };
    await stream.next();
    b.push(sample);
    const ofB = await stream.next();
    a.push(sample);
    const ofA = await stream.next();
    expect([ofA.message.id, ofB.message.id]).toEqual(['a/1', 'b/1']);
    expect(ofA.message.params._meta.progressToken).toBe('a/7');
    await post(
      { jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken: 'b/7', progress: 1 } },
      session,
    );
    expect(b.arrived.at(-1)?.message.params).toEqual({ progressToken: 7, progress: 1 });
    const answer = (rpcId: unknown) => post({ jsonrpc: '2.0', id: rpcId, result: { role: 'assistant' } }, session);
    expect((await answer('a/1')).status).toBe(202);
    expect(a.arrived.at(-1)?.message).toEqual({ jsonrpc: '2.0', id: 1, result: { role: 'assistant' } });
    // Answered once, never asked, or in no server's name.
    const before = [a.arrived.length, b.arrived.length];
    for (const wrong of ['a/1', 'a/2', 'c/1', 1, 'a/01', 'a/"1"']) expect((await answer(wrong)).status).toBe(403);
    expect([a.arrived.length, b.arrived.length]).toEqual(before);
    expect((await answer('b/1')).status).toBe(202);
    a.push({ jsonrpc: '2.0', method: 'notifications/resources/updated', params: { uri: 'docs://x' } });
    expect((await stream.next()).message.params).toEqual({ uri: 'a+docs://x' });
    b.push({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 9 } });
    expect((await stream.next()).message.params).toEqual({ requestId: 'b/9' });
    stream.close();
  });

  it('comes again from a server that ended its stream, or was away, without the agent’s asking', async ({
    env,
    a,
    b,
    open,
  }) => {
    const session = await open();
    const stream = await listen(env, a, b, session);
    const note = (data: number) => ({
      jsonrpc: '2.0',
      method: 'notifications/message',
      params: { level: 'info', data },
    });
    a.push(note(1));
    expect((await stream.next()).message.params).toMatchObject({ data: 1, logger: 'a' });
    b.push(note(2));
    expect((await stream.next()).message.params).toMatchObject({ data: 2, logger: 'b' });
    await b.kill();
    await b.start();
    await expect.poll(() => b.streams.size, { timeout: 20_000 }).toBe(1);
    b.push(note(3));
    expect((await stream.next()).message.params).toMatchObject({ data: 3, logger: 'b' });
    a.push(note(4));
    expect((await stream.next()).message.params).toMatchObject({ data: 4, logger: 'a' });
    stream.close();
    // The servers’ streams end with the agent’s.
    await expect.poll(() => a.streams.size + b.streams.size).toBe(0);
  });

  it('is cut at every end when its agent is suspended', async ({ env, a, b, open }) => {
    const stream = await listen(env, a, b, await open({ as: 'agent-odd' }), undefined, [a, b], 'agent-odd');
    const soc = await env.reviewer('sam', ['soc']);
    const response = await soc.post('/suspensions', { principal: `${env.issuer.issuer}#agent-odd`, reason: 'odd' });
    expect(await response.json()).toMatchObject({ cutConnections: 1 });
    await expect(stream.next()).rejects.toThrow();
    await expect.poll(() => a.streams.size + b.streams.size).toBe(0);
  });

  it('does not come again when the rules in force now do not let it', async ({ env, a, b, open }) => {
    const session = await open();
    const stream = await listen(env, a, b, session);
    const undo = env.config;
    await env.edit(({ rules }) =>
      rules.unshift(rule.deny('no-stream', { upstream: 'one', server: 'b', methods: ['GET'] })),
    );
    await b.kill();
    await b.start();
    await expect
      .poll(
        () =>
          env.log.some(({ upstream, method, error }) => upstream === 'one/b' && method === 'GET' && error === 'denied'),
        { timeout: 20_000 },
      )
      .toBe(true);
    a.push({ jsonrpc: '2.0', method: 'notifications/resources/updated', params: { uri: 'docs://x' } });
    expect((await stream.next()).message.params).toEqual({ uri: 'a+docs://x' });
    expect(b.streams.size).toBe(0);
    stream.close();
    await env.edit(undo);
  });

  it('is never another server’s answer or progress, in whichever stream it comes', async ({ env, a, b, open }) => {
    const session = await open();
    const stream = await listen(env, a, b, session);
    const forged = (rpcId: unknown) => ({
      jsonrpc: '2.0',
      id: rpcId,
      result: { content: [{ type: 'text', text: 'forged' }] },
    });
    const progress = {
      jsonrpc: '2.0',
      method: 'notifications/progress',
      params: { progressToken: 'of-a', progress: 1 },
    };
    const note = { jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: 1 } };
    b.push(forged(numbers.last + 1));
    b.push(progress);
    b.push(note);
    expect((await stream.next()).message.params).toEqual({ level: 'info', data: 1, logger: 'b' });
    stream.close();
    b.events['tools/call'] = (message) => [
      { message: forged(numbers.last + 1), id: 'e1' },
      { message: progress, id: 'e2' },
      { message: { ...progress, params: { progressToken: 'of-b', progress: 1 } }, id: 'e3' },
      { message: { jsonrpc: '2.0', id: message.id, result: { content: [] } }, id: 'e4' },
      { message: forged('x'), id: 'e5' },
    ];
    const headers = { accept: 'application/json, text/event-stream', 'mcp-session-id': session };
    const calling = request('tools/call', { name: 'b__echo', arguments: {}, _meta: { progressToken: 'of-b' } });
    const answer = await env.call('/one', { method: 'POST', headers, body: calling });
    const text = await answer.text();
    expect([...text.matchAll(/^data: (\{.*)$/gm)].map(([, data]) => JSON.parse(data ?? ''))).toEqual([
      { jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken: 'of-b', progress: 1 } },
      { jsonrpc: '2.0', id: calling.id, result: { content: [] } },
    ]);
    // The stream is taken up again at its server alone, and is the answer to the same request.
    const [, last = ''] = /^id: (.*)$/m.exec(text) ?? [];
    const before = a.arrived.length;
    const resumed = await listen(env, a, b, session, last, [b]);
    b.push(forged(numbers.last + 1));
    expect(b.arrived.at(-1)?.headers['last-event-id']).toBe('e1');
    b.push({ jsonrpc: '2.0', id: calling.id, result: { content: [{ type: 'text', text: 'again' }] } });
    expect((await resumed.next()).message).toEqual({
      jsonrpc: '2.0',
      id: calling.id,
      result: { content: [{ type: 'text', text: 'again' }] },
    });
    expect(a.arrived.length).toBe(before);
    resumed.close();
  });

  it('reaches nobody when it comes in answer to the gateway’s own question', async ({ b, post, open }) => {
    b.events['tools/list'] = (message) => [
      { message: { jsonrpc: '2.0', id: 1, method: 'sampling/createMessage', params: { messages: [] } } },
      { message: { jsonrpc: '2.0', id: message.id, result: { tools: [{ name: 'echo', inputSchema: {} }] } } },
    ];
    expect(names(await post(request('tools/list'), await open()))).toEqual(['a__echo', 'b__echo']);
    await expect
      .poll(() => b.arrived.findLast(({ message }) => 'error' in message)?.message)
      .toMatchObject({ id: 1, error: { code: -32601 } });
  });

  it('goes on after a break where each server’s own stream was', async ({ env, a, b, open }) => {
    const session = await open();
    const stream = await listen(env, a, b, session);
    const note = { jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: 1 } };
    a.push(note, 'a-1');
    b.push(note, 'b-1');
    await stream.next();
    const { id: last = '' } = await stream.next();
    stream.close();
    const resumed = await listen(env, a, b, session, last);
    await expect
      .poll(() => [a, b].map(({ arrived }) => arrived.findLast(({ http }) => http === 'GET')?.headers['last-event-id']))
      .toEqual(['a-1', 'b-1']);
    resumed.close();
  });
});
