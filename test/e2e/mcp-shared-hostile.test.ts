// One mount for several MCP servers, against what servers and agents do to each other there: names, numbers, sessions, cursors and approvals
// of one must never pass for another's. The servers are written by hand and note what no client of theirs may do.

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type CallOptions, type Environment, startEnvironment, writtenBy } from '../support/environment.ts';
import type { ReviewerClient } from '../support/reviewer-client.ts';
import { type StrictServer, startStrictServer } from '../support/strict-mcp-server.ts';

let env: Environment;
let a: StrictServer;
let b: StrictServer;
let alice: ReviewerClient;
let id = 0;

beforeAll(async () => {
  [a, b] = await Promise.all([startStrictServer('a'), startStrictServer('b')]);
  env = await startEnvironment({
    upstreams: `
  one:
    protocol: mcp
    serversWithin: 2s
    servers: { a: { url: "${a.url}", credential: key }, b: { url: "${b.url}", toolChanges: allow } }
  strict:
    protocol: mcp
    servers: { a: { url: "${a.url}" } }
  other:
    protocol: mcp
    servers: { a: { url: "${a.url}" } }`,
    credentials: '  second: { type: static, in: header, name: x-second, secret: { env: E2E_SECRET } }',
    rules: `
  - { id: echo, match: { upstream: one, tool: "*__echo*" }, decide: allow }
  - { id: pay, match: { upstream: one, tool: "*__pay" }, decide: hold, tier: payment }
  - { id: resources, match: { upstream: one, server: a, resource: "docs://public/*" }, decide: allow }
  - { id: templates, match: { upstream: one, mcp: [completion/complete] }, decide: allow }
  - { id: prompts, match: { upstream: one, prompt: "a__*" }, decide: allow }
  - { id: asks, match: { upstream: one, mcp: [sampling/createMessage, roots/list] }, decide: allow }
  - { id: listen, match: { upstream: one, mcp: ["subscriptions/listen", "tasks/*"] }, decide: allow }
  - { id: strict, match: { upstream: strict }, decide: hold, tier: payment }
  - { id: not-b, match: { upstream: one, server: b, mcp: [resources/templates/list] }, decide: deny }
`,
    reviewers: '  killSwitch: ["group:soc"]',
    limits: '{ wait: 20s, pendingPerAgent: 100 }',
  });
  alice = await env.reviewer('alice');
});
afterAll(async () => {
  await env.close();
  await Promise.all([a.kill(), b.kill()]);
});
const defaults = () => ({ ...a.results });
let kept: { a: StrictServer['results']; b: StrictServer['results'] };
beforeAll(() => {
  kept = { a: defaults(), b: { ...b.results } };
});
beforeEach(() => {
  for (const [server, results] of [
    [a, kept.a],
    [b, kept.b],
  ] as const) {
    for (const method of Object.keys(server.results)) delete server.results[method];
    Object.assign(server.results, results);
    server.silent.clear();
    for (const method of Object.keys(server.events)) delete server.events[method];
  }
});

interface Said {
  readonly status: number;
  readonly session: string | null;
  // biome-ignore lint/suspicious/noExplicitAny: answers of many forms are read by their path
  readonly json: any;
}

async function post(message: object, session?: string, { mount = 'one', headers = {}, ...more }: CallOptions & { mount?: string } = {}): Promise<Said> {
  const response = await env.call(`/${mount}`, {
    method: 'POST',
    body: message,
    headers: {
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': '2025-11-25',
      prefer: 'wait=0',
      ...(session !== undefined && { 'mcp-session-id': session }),
      ...headers,
    },
    ...more,
  });
  const text = await response.text();
  return { status: response.status, session: response.headers.get('mcp-session-id'), json: text === '' ? undefined : JSON.parse(text) };
}

const request = (method: string, params?: object) => ({ jsonrpc: '2.0', id: ++id, method, ...(params && { params }) });
const INITIALIZE = { protocolVersion: '2025-11-25', capabilities: { sampling: {} }, clientInfo: { name: 'raw', version: '1' } };

async function open(options: CallOptions & { mount?: string } = {}): Promise<string> {
  const { session } = await post(request('initialize', INITIALIZE), undefined, options);
  if (session === null) throw new Error('no session');
  await post({ jsonrpc: '2.0', method: 'notifications/initialized' }, session, options);
  return session;
}

const call = (name: string, args: object = {}) => request('tools/call', { name, arguments: args });
const names = ({ json }: Said) => json.result.tools.map(({ name }: { name: string }) => name);
const heldId = ({ json }: Said): string => json.result._meta['countersign/hold'];
const code = ({ json }: Said): unknown => json.result?._meta?.['countersign/code'] ?? json.error?.data?.code ?? json.code;

describe('a session', () => {
  it('is one for the agent, and each server has its own, which the others and the agent never see', async () => {
    const { session, json } = await post(request('initialize', INITIALIZE));
    expect(json.result).toMatchObject({
      protocolVersion: '2025-11-25',
      serverInfo: { name: 'one' },
      instructions: '## a\n\n> Words of a.\n\n## b\n\n> Words of b.',
    });
    expect(json.result.capabilities).toEqual({ tools: {}, prompts: {}, resources: { subscribe: true }, logging: {}, completions: {} });
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

  it.each([
    ['none', async () => undefined, 400],
    ['one that nobody gave', async () => 'v1.AAAA', 404],
    ['one of the server’s own', async () => String(a.arrived.findLast(({ headers }) => headers['mcp-session-id'])?.headers['mcp-session-id']), 404],
    ['another agent’s', () => open({ as: 'agent-2' }), 404],
    ['one of another mount', () => open({ mount: 'other' }), 404],
    ['one with a changed letter', async () => (await open()).replace(/.$/, (letter) => (letter === 'A' ? 'B' : 'A')), 404],
  ])('is refused: %s', async (_what, session, status) => {
    const given = await session();
    const before = [a.arrived.length, b.arrived.length];
    expect((await post(call('a__echo'), given)).status).toBe(status);
    expect([a.arrived.length, b.arrived.length]).toEqual(before);
  });

  it('outlives a restart of the gateway, and not its own end', async () => {
    const session = await open();
    await env.kill();
    await env.start();
    expect((await post(call('a__echo'), session)).json.result.content[0].text).toBe('a ran "echo"');
    expect((await env.call('/one', { method: 'DELETE', headers: { 'mcp-session-id': session } })).status).toBe(200);
    expect(a.arrived.at(-1)?.http === 'DELETE' && b.arrived.some(({ http }) => http === 'DELETE')).toBe(true);
    expect((await post(call('a__echo'), session)).status).toBe(404);
  });

  it.each(['0000-00-00', '2024-10-07', '2026-07-28', 'x', 7])('is not spoilt by a server that answers with revision %s', async (protocolVersion) => {
    b.results.initialize = (params) => ({ ...(kept.b.initialize?.(params) as object), protocolVersion });
    const { json } = await post(request('initialize', INITIALIZE));
    expect(json.result).toMatchObject({
      protocolVersion: '2025-11-25',
      instructions: '## a\n\n> Words of a.',
      _meta: { 'countersign/missing': { b: 'server_error' } },
    });
  });

  it('speaks the oldest revision of its servers to the agent, and each server’s own to it', async () => {
    b.results.initialize = (params) => ({ ...(kept.b.initialize?.(params) as object), protocolVersion: '2025-06-18' });
    const { session, json } = await post(request('initialize', INITIALIZE));
    expect(json.result.protocolVersion).toBe('2025-06-18');
    await post(call('a__echo'), session ?? '', { headers: { 'mcp-protocol-version': '2025-06-18' } });
    await post(call('b__echo'), session ?? '', { headers: { 'mcp-protocol-version': '2025-06-18' } });
    expect([a, b].map(({ arrived }) => arrived.at(-1)?.headers['mcp-protocol-version'])).toEqual(['2025-11-25', '2025-06-18']);
  });
});

describe('a list', () => {
  it('has every entry under the name of its server, and leaves out what would be ambiguous, too long or no tool’s name', async () => {
    const tool = (name: unknown) => ({ name, inputSchema: { type: 'object' } });
    a.results['tools/list'] = () => ({
      tools: [tool('echo'), tool('echo'), tool('echo__b'), tool(`echo${'x'.repeat(130)}`), tool('echo\u202e'), tool(7), null],
    });
    const session = await open();
    expect(names(await post(request('tools/list'), session))).toEqual(['a__echo', 'a__echo__b', 'b__echo']);
    expect(await env.logged('mcp.entries_left_out')).toMatchObject({ upstream: 'one/a', rpc: 'tools/list' });
    // The first two underscores are the seam: there is one reading.
    expect((await post(call('a__echo__b'), session)).json.result.content[0].text).toBe('a ran "echo__b"');
  });

  it('goes on where servers have more, by a cursor that is good for this list and this caller only', async () => {
    const page = (params: Record<string, unknown>) => (params.cursor === undefined ? 'echo1' : params.cursor === 'a-2' ? 'echo2' : 'wrong');
    a.results['tools/list'] = (params) => ({ tools: [{ name: page(params), inputSchema: {} }], ...(params.cursor === undefined && { nextCursor: 'a-2' }) });
    const session = await open();
    const first = await post(request('tools/list'), session);
    expect(names(first)).toEqual(['a__echo1', 'b__echo']);
    const cursor = first.json.result.nextCursor;
    expect(cursor).not.toContain('a-2');
    const second = await post(request('tools/list', { cursor }), session);
    expect([names(second), second.json.result.nextCursor]).toEqual([['a__echo2'], undefined]);
    const before = a.arrived.length;
    for (const [method, given, options] of [
      ['prompts/list', cursor, {}],
      ['tools/list', 'a-2', {}],
      ['tools/list', `${cursor}A`, {}],
      ['tools/list', 7, {}],
    ] as const) {
      expect(code(await post(request(method, { cursor: given }), session, options))).toBe('bad_rpc');
    }
    expect(code(await post(request('tools/list', { cursor }), await open({ as: 'agent-2' }), { as: 'agent-2' }))).toBe('bad_rpc');
    expect(a.arrived.slice(before).filter(({ message }) => message.method === 'tools/list')).toEqual([]);
  });

  it('is what rules say of the mount: a hold rule that matches it refuses it, since nobody could tell what would be approved', async () => {
    expect(code(await post(request('initialize', INITIALIZE), undefined, { mount: 'strict' }))).toBe('denied');
  });

  it('does not wait for a server that is silent, and says which one is missing to the agent, in the log and on record', async () => {
    const session = await open();
    b.silent.add('tools/list');
    const list = await post(request('tools/list'), session);
    expect(names(list)).toEqual(['a__echo']);
    expect(list.json.result._meta).toEqual({ 'countersign/missing': { b: 'no_answer' } });
    const missing = { event: 'mcp.server_missing', upstream: 'one/b', rpc: 'tools/list', error: 'no_answer' };
    await expect.poll(() => env.log).toContainEqual(expect.objectContaining(missing));
    await expect.poll(() => writtenBy(env)).toContain('"missingServers":[{"server":"b","error":"no_answer"}]');
  });

  it('is without a server whose part a rule denies', async () => {
    a.results['resources/templates/list'] = () => ({ resourceTemplates: [{ name: 't', uriTemplate: 'docs://public/{page}' }] });
    b.results['resources/templates/list'] = a.results['resources/templates/list'];
    const { json } = await post(request('resources/templates/list'), await open());
    expect(json.result).toEqual({
      resourceTemplates: [{ name: 't', uriTemplate: 'a+docs://public/{page}' }],
      _meta: { 'countersign/missing': { b: 'denied' } },
    });
  });
});

it('has no address besides the mount’s: no server can be called around it', async () => {
  const session = await open();
  for (const path of ['/one/a', '/one%2Fa', '/a', '/one/a/', '/.well-known/oauth-protected-resource/one/a']) {
    const response = await env.call(path, path.startsWith('/.') ? {} : { method: 'POST', body: call('echo'), headers: { 'mcp-session-id': session } });
    expect([path, response.status >= 400 && response.status < 500]).toEqual([path, true]);
    await response.body?.cancel();
  }
});

describe('a server that was killed', () => {
  it('takes nothing from the others, and is there again, in a new session, when it is back', async () => {
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

describe('an approval', () => {
  const pay = (server: string, amount: number) => call(`${server}__pay`, { amount });

  it('is for one tool of one server, also across a restart, and is used once', async () => {
    const session = await open();
    const held = await post(pay('a', 1), session);
    const hold = heldId(held);
    expect((await alice.show(hold)).action).toMatchObject({ upstream: 'one/a', tool: 'pay', args: { amount: 1 } });
    await alice.approve(hold);
    const elsewhere = await post(pay('b', 1), session);
    expect([code(elsewhere), heldId(elsewhere) === hold]).toEqual(['approval_pending', false]);
    await env.kill();
    await env.start();
    expect((await post(pay('a', 1), session)).json.result.content[0].text).toBe('a ran "pay"');
    expect(heldId(await post(pay('a', 1), session))).not.toBe(hold);
    expect([a, b].map((server) => server.messages('tools/call').filter(({ params }) => params?.name === 'pay').length)).toEqual([1, 0]);
  });

  it.each([
    ['address', (yaml: string) => yaml.replace(`a: { url: "${a.url}", credential: key }`, `a: { url: "${b.url}", credential: key }`)],
    ['credential', (yaml: string) => yaml.replace(`a: { url: "${a.url}", credential: key }`, `a: { url: "${a.url}", credential: second }`)],
  ])('is void when the server’s %s changed', async (what, change) => {
    const session = await open();
    const amount = what.length;
    const hold = heldId(await post(pay('a', amount), session));
    await alice.approve(hold);
    const before = [a, b].map((server) => server.messages('tools/call').length);
    let undo = '';
    expect(
      await env.edit((yaml) => {
        undo = yaml;
        return change(yaml);
      }),
    ).toBe('config.reloaded');
    const again = await post(pay('a', amount), session);
    expect(code(again)).toMatch(/approval_(pending|invalidated)/);
    expect([a, b].map((server) => server.messages('tools/call').length)).toEqual(before);
    await env.edit(() => undo);
  });

  it('is taken back by the cancellation of the call, also when its server is away', async () => {
    const session = await open();
    const { hold } = await alice.expect('PENDING');
    const message = pay('b', 51);
    const waiting = post(message, session, { headers: { prefer: 'wait=20' } });
    const pending = await hold;
    await b.kill();
    await post({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: message.id } }, session);
    expect(code(await waiting)).toMatch(/approval_(revoked|denied|expired|invalidated)|hold_closed/);
    expect((await alice.show(pending)).state).toBe('CANCELLED');
    await b.start();
  });

  it('is taken back when the session that asked for it ends', async () => {
    const session = await open();
    const hold = heldId(await post(pay('a', 50), session));
    await env.call('/one', { method: 'DELETE', headers: { 'mcp-session-id': session } });
    expect((await alice.show(hold)).state).toBe('CANCELLED');
  });
});

describe('a changed tool', () => {
  it('is refused for the server that changed it, and for no other', async () => {
    const session = await open();
    const list = (description: string) => () => ({ tools: [{ name: 'echo-pinned', description, inputSchema: {} }] });
    a.results['tools/list'] = list('old');
    b.results['tools/list'] = list('old');
    expect(names(await post(request('tools/list'), session))).toEqual(['a__echo-pinned', 'b__echo-pinned']);
    a.results['tools/list'] = list('new');
    expect(names(await post(request('tools/list'), session))).toEqual(['b__echo-pinned']);
    expect(code(await post(call('a__echo-pinned'), session))).toBe('denied');
    b.results['tools/list'] = list('new');
    // b accepts changes.
    expect(names(await post(request('tools/list'), session))).toEqual(['b__echo-pinned']);
  });
});

describe('what names a server', () => {
  it('reaches it in its own words: resources, prompts, completions', async () => {
    const session = await open();
    for (const server of [a, b]) {
      server.results['resources/list'] = () => ({ resources: [{ name: 'r', uri: 'docs://public/r' }] });
      server.results['resources/read'] = ({ uri }) => ({ contents: [{ uri, text: 'text' }] });
      server.results['prompts/get'] = ({ name }) => ({
        messages: [{ role: 'user', content: { type: 'resource_link', name: String(name), uri: 'docs://public/p' } }],
      });
      server.results['completion/complete'] = () => ({ completion: { values: ['x'] } });
    }
    expect((await post(request('resources/list'), session)).json.result.resources.map(({ uri }: { uri: string }) => uri)).toEqual([
      'a+docs://public/r',
      'b+docs://public/r',
    ]);
    const read = await post(request('resources/read', { uri: 'a+docs://public/r' }), session, { headers: { 'mcp-name': 'a+docs://public/r' } });
    expect(read.json.result.contents).toEqual([{ uri: 'a+docs://public/r', text: 'text' }]);
    expect(a.arrived.at(-1)).toMatchObject({ message: { params: { uri: 'docs://public/r' } }, headers: { 'mcp-name': 'docs://public/r' } });
    const prompt = await post(request('prompts/get', { name: 'a__hello' }), session);
    expect(prompt.json.result.messages[0].content).toMatchObject({ name: 'hello', uri: 'a+docs://public/p' });
    await post(request('completion/complete', { ref: { type: 'ref/prompt', name: 'b__hello' }, argument: { name: 'n', value: '' } }), session);
    expect(b.arrived.at(-1)?.message.params).toMatchObject({ ref: { name: 'hello' } });
    await post(request('completion/complete', { ref: { type: 'ref/resource', uri: 'b+docs://{x}' }, argument: { name: 'x', value: '' } }), session);
    expect(b.arrived.at(-1)?.message.params).toMatchObject({ ref: { uri: 'docs://{x}' } });
  });

  it.each([
    ['a resource of a server that no rule names', request('resources/read', { uri: 'b+docs://public/r' }), 'no_matching_rule'],
    ['a resource under no server', request('resources/read', { uri: 'docs://public/r' }), 'no_matching_rule'],
    ['a resource that leads elsewhere', request('resources/read', { uri: 'a+docs://public/../private' }), 'no_matching_rule'],
    ['a prompt of another server', request('prompts/get', { name: 'b__hello' }), 'no_matching_rule'],
    ['a tool under no server', call('echo'), 'no_matching_rule'],
    ['a call that is to become a task', request('tools/call', { name: 'a__echo', arguments: {}, task: {} }), undefined],
    ['a tool of a server that there is not', call('c__echo'), undefined],
    ['a tool without a name', call('a__'), 'no_matching_rule'],
    ['a task, though a rule lets it through', request('tasks/get', { taskId: '1' }), undefined],
    ['a subscription to everything, though a rule lets it through', request('subscriptions/listen'), undefined],
  ])('goes nowhere: %s', async (_what, message, refused) => {
    const session = await open();
    const before = [a.arrived.length, b.arrived.length];
    const said = await post(message, session);
    expect(said.status).toBe(200);
    expect(said.json.error ?? said.json.result.isError).toBeTruthy();
    expect(code(said)).toBe(refused);
    expect([a.arrived.length, b.arrived.length]).toEqual(before);
  });

  it.each([
    ['a server’s own name in Mcp-Name', call('a__echo'), { 'mcp-name': 'echo' }],
    ['another server’s name in Mcp-Name', call('a__echo'), { 'mcp-name': 'b__echo' }],
    ['a batch', [call('a__echo')], {}],
  ])('is refused before it goes anywhere: %s', async (_what, message, headers) => {
    const session = await open();
    const before = a.arrived.length;
    expect(code(await post(message, session, { headers }))).toBe('bad_rpc');
    expect(a.arrived.length).toBe(before);
  });
});

describe('what servers send', () => {
  /** Events of an agent's own stream as they come. */
  async function listen(session: string, lastEventId?: string, servers = [a, b], as = 'agent-1') {
    // What an earlier agent kept open must not pass for this one's.
    await expect.poll(() => a.streams.size + b.streams.size).toBe(0);
    const aborter = new AbortController();
    const headers = { accept: 'text/event-stream', 'mcp-session-id': session, ...(lastEventId !== undefined && { 'last-event-id': lastEventId }) };
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
            return { id: /^id: (.*)$/m.exec(event)?.[1], message: JSON.parse(/^data: (.*)$/m.exec(event)?.[1] ?? 'null') };
          }
          const { value, done } = await reader.read();
          if (done) throw new Error('the stream ended');
          text += value;
        }
      },
      close: () => aborter.abort(),
    };
  }

  it('comes in one stream; requests of the same number are told apart, and each answer reaches its server', async () => {
    const session = await open();
    const stream = await listen(session);
    a.push({ jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: 1 } });
    const sample = { jsonrpc: '2.0', id: 1, method: 'sampling/createMessage', params: { messages: [], _meta: { progressToken: 7 } } };
    await stream.next();
    b.push(sample);
    const ofB = await stream.next();
    a.push(sample);
    const ofA = await stream.next();
    expect([ofA.message.id, ofB.message.id]).toEqual(['a/1', 'b/1']);
    expect(ofA.message.params._meta.progressToken).toBe('a/7');
    await post({ jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken: 'b/7', progress: 1 } }, session);
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

  it('comes again from a server that ended its stream, or was away, without the agent’s asking', async () => {
    const session = await open();
    const stream = await listen(session);
    const note = (data: number) => ({ jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data } });
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

  it('is cut at every end when its agent is suspended', async () => {
    const stream = await listen(await open({ as: 'agent-odd' }), undefined, [a, b], 'agent-odd');
    const soc = await env.reviewer('sam', ['soc']);
    const response = await soc.post('/suspensions', { principal: `${env.issuer.issuer}#agent-odd`, reason: 'odd' });
    expect(await response.json()).toMatchObject({ cutConnections: 1 });
    await expect(stream.next()).rejects.toThrow();
    await expect.poll(() => a.streams.size + b.streams.size).toBe(0);
  });

  it('does not come again when the rules in force now do not let it', async () => {
    const session = await open();
    const stream = await listen(session);
    let undo = '';
    await env.edit((yaml) => {
      undo = yaml;
      return yaml.replace('  - { id: not-b,', '  - { id: no-stream, match: { upstream: one, server: b, methods: [GET] }, decide: deny }\n  - { id: not-b,');
    });
    await b.kill();
    await b.start();
    await expect
      .poll(() => env.log.some(({ upstream, method, error }) => upstream === 'one/b' && method === 'GET' && error === 'denied'), { timeout: 20_000 })
      .toBe(true);
    a.push({ jsonrpc: '2.0', method: 'notifications/resources/updated', params: { uri: 'docs://x' } });
    expect((await stream.next()).message.params).toEqual({ uri: 'a+docs://x' });
    expect(b.streams.size).toBe(0);
    stream.close();
    await env.edit(() => undo);
  });

  it('is never another server’s answer or progress, in whichever stream it comes', async () => {
    const session = await open();
    const stream = await listen(session);
    const forged = (rpcId: unknown) => ({ jsonrpc: '2.0', id: rpcId, result: { content: [{ type: 'text', text: 'forged' }] } });
    const progress = { jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken: 'of-a', progress: 1 } };
    const note = { jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: 1 } };
    b.push(forged(id + 1));
    b.push(progress);
    b.push(note);
    expect((await stream.next()).message.params).toEqual({ level: 'info', data: 1, logger: 'b' });
    stream.close();
    b.events['tools/call'] = (message) => [
      { message: forged(id + 1), id: 'e1' },
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
    const resumed = await listen(session, last, [b]);
    b.push(forged(id + 1));
    expect(b.arrived.at(-1)?.headers['last-event-id']).toBe('e1');
    b.push({ jsonrpc: '2.0', id: calling.id, result: { content: [{ type: 'text', text: 'again' }] } });
    expect((await resumed.next()).message).toEqual({ jsonrpc: '2.0', id: calling.id, result: { content: [{ type: 'text', text: 'again' }] } });
    expect(a.arrived.length).toBe(before);
    resumed.close();
  });

  it('reaches nobody when it comes in answer to the gateway’s own question', async () => {
    b.events['tools/list'] = (message) => [
      { message: { jsonrpc: '2.0', id: 1, method: 'sampling/createMessage', params: { messages: [] } } },
      { message: { jsonrpc: '2.0', id: message.id, result: { tools: [{ name: 'echo', inputSchema: {} }] } } },
    ];
    expect(names(await post(request('tools/list'), await open()))).toEqual(['a__echo', 'b__echo']);
    await expect.poll(() => b.arrived.findLast(({ message }) => 'error' in message)?.message).toMatchObject({ id: 1, error: { code: -32601 } });
  });

  it('goes on after a break where each server’s own stream was', async () => {
    const session = await open();
    const stream = await listen(session);
    const note = { jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: 1 } };
    a.push(note, 'a-1');
    b.push(note, 'b-1');
    await stream.next();
    const { id: last = '' } = await stream.next();
    stream.close();
    const resumed = await listen(session, last);
    await expect.poll(() => [a, b].map(({ arrived }) => arrived.findLast(({ http }) => http === 'GET')?.headers['last-event-id'])).toEqual(['a-1', 'b-1']);
    resumed.close();
  });
});

it('never let one of the servers see what no client of it may do', () => {
  expect([...a.faults, ...b.faults]).toEqual([]);
});
