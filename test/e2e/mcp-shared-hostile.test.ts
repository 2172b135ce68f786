// One mount for several MCP servers, against what servers and agents do to each other there: names, cursors, tools and
// approvals of one must never pass for another's. The servers are written by hand and note what no client of theirs may
// do.

import { describe, expect } from 'vitest';
import { writtenBy } from '../support/environment.ts';
import { call, code, heldId, INITIALIZE, names, request, sharedMountTest } from '../support/shared-mount.ts';
import type { StrictServer } from '../support/strict-mcp-server.ts';

// JSON-RPC 2.0, section 5.1.
const NO_SUCH_METHOD = -32601;
const INVALID_PARAMS = -32602;

const it = sharedMountTest;

it.beforeEach(({ mount }) => mount.reset());

describe('a list', () => {
  it('has every entry under the name of its server, and leaves out what would be ambiguous, too long or no tool’s name', async ({
    env,
    a,
    post,
    open,
  }) => {
    const tool = (name: unknown) => ({ name, inputSchema: { type: 'object' } });
    a.results['tools/list'] = () => ({
      tools: [
        tool('echo'),
        tool('echo'),
        tool('echo__b'),
        tool(`echo${'x'.repeat(130)}`),
        tool('echo\u202e'),
        tool(7),
        null,
      ],
    });
    const session = await open();
    expect(names(await post(request('tools/list'), session))).toEqual(['a__echo', 'a__echo__b', 'b__echo']);
    expect(await env.logged('mcp.entries_left_out')).toMatchObject({ upstream: 'one/a', rpc: 'tools/list' });
    // The first two underscores are the seam: there is one reading.
    expect((await post(call('a__echo__b'), session)).json.result.content[0].text).toBe('a ran "echo__b"');
  });

  it('goes on where servers have more, by a cursor that is good for this list and this caller only', async ({
    a,
    post,
    open,
  }) => {
    const page = (params: Record<string, unknown>) =>
      params.cursor === undefined ? 'echo1' : params.cursor === 'a-2' ? 'echo2' : 'wrong';
    a.results['tools/list'] = (params) => ({
      tools: [{ name: page(params), inputSchema: {} }],
      ...(params.cursor === undefined && { nextCursor: 'a-2' }),
    });
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
    expect(code(await post(request('tools/list', { cursor }), await open({ as: 'agent-2' }), { as: 'agent-2' }))).toBe(
      'bad_rpc',
    );
    expect(a.arrived.slice(before).filter(({ message }) => message.method === 'tools/list')).toEqual([]);
  });

  it('is what rules say of the mount: a hold rule that matches it refuses it, since nobody could tell what would be approved', async ({
    post,
  }) => {
    expect(code(await post(request('initialize', INITIALIZE), undefined, { mount: 'strict' }))).toBe('denied');
  });

  it('does not wait for a server that is silent, and says which one is missing to the agent, in the log and on record', async ({
    env,
    b,
    post,
    open,
  }) => {
    const session = await open();
    b.silent.add('tools/list');
    const list = await post(request('tools/list'), session);
    expect(names(list)).toEqual(['a__echo']);
    expect(list.json.result._meta).toEqual({ 'countersign/missing': { b: 'no_answer' } });
    const missing = { event: 'mcp.server_missing', upstream: 'one/b', rpc: 'tools/list', error: 'no_answer' };
    await expect.poll(() => env.log).toContainEqual(expect.objectContaining(missing));
    await expect.poll(() => writtenBy(env)).toContain('"missingServers":[{"server":"b","error":"no_answer"}]');
  });

  it('is without a server whose part a rule denies', async ({ a, b, post, open }) => {
    a.results['resources/templates/list'] = () => ({
      resourceTemplates: [{ name: 't', uriTemplate: 'docs://public/{page}' }],
    });
    b.results['resources/templates/list'] = a.results['resources/templates/list'];
    const { json } = await post(request('resources/templates/list'), await open());
    expect(json.result).toEqual({
      resourceTemplates: [{ name: 't', uriTemplate: 'a+docs://public/{page}' }],
      _meta: { 'countersign/missing': { b: 'denied' } },
    });
  });
});

it('has no address besides the mount’s: no server can be called around it', async ({ env, open }) => {
  const session = await open();
  for (const path of ['/one/a', '/one%2Fa', '/a', '/one/a/', '/.well-known/oauth-protected-resource/one/a']) {
    const response = await env.call(
      path,
      path.startsWith('/.') ? {} : { method: 'POST', body: call('echo'), headers: { 'mcp-session-id': session } },
    );
    expect([path, response.status >= 400 && response.status < 500]).toEqual([path, true]);
    await response.body?.cancel();
  }
});

describe('an approval', () => {
  const pay = (server: string, amount: number) => call(`${server}__pay`, { amount });

  it('is for one tool of one server, also across a restart, and is used once', async ({
    env,
    a,
    b,
    alice,
    post,
    open,
  }) => {
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
    expect(
      [a, b].map((server) => server.messages('tools/call').filter(({ params }) => params?.name === 'pay').length),
    ).toEqual([1, 0]);
  });

  it.for([
    ['address', (_a: StrictServer, b: StrictServer) => ({ url: b.url, credential: 'key' })],
    ['credential', (a: StrictServer) => ({ url: a.url, credential: 'second' })],
  ] as const)('is void when the server’s %s changed', async ([what, change], { env, a, b, alice, post, open }) => {
    const session = await open();
    const amount = what.length;
    const hold = heldId(await post(pay('a', amount), session));
    await alice.approve(hold);
    const before = [a, b].map((server) => server.messages('tools/call').length);
    const undo = env.config;
    expect(
      await env.edit(({ upstreams }) => {
        Object.assign(upstreams.one?.servers ?? {}, { a: change(a, b) });
      }),
    ).toBe('config.reloaded');
    const again = await post(pay('a', amount), session);
    expect(code(again)).toMatch(/approval_(pending|invalidated)/);
    expect([a, b].map((server) => server.messages('tools/call').length)).toEqual(before);
    await env.edit(undo);
  });

  it('is taken back by the cancellation of the call, also when its server is away', async ({
    b,
    alice,
    post,
    open,
  }) => {
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

  it('stays when the session ends that was told to come back for it', async ({ env, alice, post, open }) => {
    const session = await open();
    const hold = heldId(await post(pay('a', 50), session));
    await env.call('/one', { method: 'DELETE', headers: { 'mcp-session-id': session } });
    expect((await alice.show(hold)).state).toBe('PENDING');
  });
});

describe('a changed tool', () => {
  it('is refused for the server that changed it, and for no other', async ({ a, b, post, open }) => {
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
  it('reaches it in its own words: resources, prompts, completions', async ({ a, b, post, open }) => {
    const session = await open();
    for (const server of [a, b]) {
      server.results['resources/list'] = () => ({ resources: [{ name: 'r', uri: 'docs://public/r' }] });
      server.results['resources/read'] = ({ uri }) => ({ contents: [{ uri, text: 'text' }] });
      server.results['prompts/get'] = ({ name }) => ({
        messages: [{ role: 'user', content: { type: 'resource_link', name: String(name), uri: 'docs://public/p' } }],
      });
      server.results['completion/complete'] = () => ({ completion: { values: ['x'] } });
    }
    expect(
      (await post(request('resources/list'), session)).json.result.resources.map(({ uri }: { uri: string }) => uri),
    ).toEqual(['a+docs://public/r', 'b+docs://public/r']);
    const read = await post(request('resources/read', { uri: 'a+docs://public/r' }), session, {
      headers: { 'mcp-name': 'a+docs://public/r' },
    });
    expect(read.json.result.contents).toEqual([{ uri: 'a+docs://public/r', text: 'text' }]);
    expect(a.arrived.at(-1)).toMatchObject({
      message: { params: { uri: 'docs://public/r' } },
      headers: { 'mcp-name': 'docs://public/r' },
    });
    const prompt = await post(request('prompts/get', { name: 'a__hello' }), session);
    expect(prompt.json.result.messages[0].content).toMatchObject({ name: 'hello', uri: 'a+docs://public/p' });
    await post(
      request('completion/complete', {
        ref: { type: 'ref/prompt', name: 'b__hello' },
        argument: { name: 'n', value: '' },
      }),
      session,
    );
    expect(b.arrived.at(-1)?.message.params).toMatchObject({ ref: { name: 'hello' } });
    await post(
      request('completion/complete', {
        ref: { type: 'ref/resource', uri: 'b+docs://{x}' },
        argument: { name: 'x', value: '' },
      }),
      session,
    );
    expect(b.arrived.at(-1)?.message.params).toMatchObject({ ref: { uri: 'docs://{x}' } });
  });

  it.for([
    [
      'a resource of a server that no rule names',
      request('resources/read', { uri: 'b+docs://public/r' }),
      'no_matching_rule',
    ],
    ['a resource under no server', request('resources/read', { uri: 'docs://public/r' }), 'no_matching_rule'],
    [
      'a resource that leads elsewhere',
      request('resources/read', { uri: 'a+docs://public/../private' }),
      'no_matching_rule',
    ],
    ['a prompt of another server', request('prompts/get', { name: 'b__hello' }), 'no_matching_rule'],
    ['a tool under no server', call('echo'), 'no_matching_rule'],
    [
      'a call that is to become a task',
      request('tools/call', { name: 'a__echo', arguments: {}, task: {} }),
      INVALID_PARAMS,
    ],
    ['a tool of a server that there is not', call('c__echo'), INVALID_PARAMS],
    ['a tool without a name', call('a__'), 'no_matching_rule'],
    ['a task, though a rule lets it through', request('tasks/get', { taskId: '1' }), NO_SUCH_METHOD],
    ['a subscription to everything, though a rule lets it through', request('subscriptions/listen'), NO_SUCH_METHOD],
  ] as const)('goes nowhere: %s', async ([_what, message, refused], { a, b, post, open }) => {
    const session = await open();
    const before = [a.arrived.length, b.arrived.length];
    const said = await post(message, session);
    expect(said.status).toBe(200);
    expect(said.json.result?.isError ?? true).toBe(true);
    expect(code(said) ?? said.json.error.code).toBe(refused);
    expect([a.arrived.length, b.arrived.length]).toEqual(before);
  });

  it.for([
    ['a server’s own name in Mcp-Name', call('a__echo'), { 'mcp-name': 'echo' }],
    ['another server’s name in Mcp-Name', call('a__echo'), { 'mcp-name': 'b__echo' }],
    ['a batch', [call('a__echo')], {}],
  ] as const)('is refused before it goes anywhere: %s', async ([_what, message, headers], { a, post, open }) => {
    const session = await open();
    const before = a.arrived.length;
    expect(code(await post(message, session, { headers }))).toBe('bad_rpc');
    expect(a.arrived.length).toBe(before);
  });
});

it('never let one of the servers see what no client of it may do', ({ a, b }) => {
  expect([...a.faults, ...b.faults]).toEqual([]);
});
