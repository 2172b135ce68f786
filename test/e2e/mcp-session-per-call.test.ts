// Clients that open a session for each call and delete it behind the answer (LangChain's adapter does). Kind: an
// approval that nobody can use, because it is bound to something that says how a call arrives and nothing of what it
// does.

import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { describe, expect } from 'vitest';
import { formerActionDigest } from '../../src/actions/digest.ts';
import { heldMessageBody } from '../../src/actions/mcp-message.ts';
import { bindingDigest, formerRequestDigest } from '../../src/approvals/binding.ts';
import type { Action } from '../../src/domain/action.ts';
import type { Hold } from '../../src/domain/hold.ts';
import { heldCall } from '../../src/mcp/tasks/questions.ts';
import { rule } from '../support/config.ts';
import { countFrom } from '../support/count.ts';
import type { Environment } from '../support/environment.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';
import { type StrictServer, startStrictServer } from '../support/strict-mcp-server.ts';

interface Result {
  readonly content: readonly { readonly text: string }[];
  readonly isError?: boolean;
  readonly _meta?: Readonly<Record<string, unknown>>;
}

/** Who calls, and under which headers. */
interface Calling {
  readonly as?: string;
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** The session outlives the call: what comes next is in another session beside it. */
  readonly keep?: boolean;
}

const MOUNTS = [
  ['a single mount', 'solo', 'pay'],
  ['a shared mount', 'both', 'a__pay'],
] as const;

const amount = countFrom(1);
const kept: Client[] = [];

const it = gatewayTest
  .extend('server', file, async ({ closes }) => {
    const server = await closes(startStrictServer('a'), (server) => server.kill());
    await closes({ close: () => expect(server.faults).toEqual([]) });
    return server;
  })
  .extend('env', file, ({ server, environment }) =>
    environment({
      upstreams: {
        solo: { url: server.url, protocol: 'mcp' },
        both: { protocol: 'mcp', servers: { a: { url: server.url } } },
      },
      rules: [
        rule.hold('solo', { upstream: 'solo', tool: 'pay' }),
        rule.hold('both', { upstream: 'both', tool: 'a__pay' }),
      ],
      limits: { wait: '0s', pendingPerAgent: 100 },
    }),
  )
  .extend('alice', file, async ({ env, closes }) => {
    const alice = await env.reviewer('alice');
    await closes({
      close: async () => {
        for (const client of kept) await client.close();
      },
    });
    return alice;
  });

const address = (env: Environment, mount: string) => new URL(`http://127.0.0.1:${env.ports.agents}/${mount}`);
/** Arguments of its own per test, so that no test meets another's hold. */
const fresh = () => ({ amount: amount() });
const sentWith = (server: StrictServer, args: object) =>
  server.arrived.filter(
    ({ message }) =>
      message.method === 'tools/call' && JSON.stringify(message.params?.arguments) === JSON.stringify(args),
  );
const holdOf = ({ _meta }: Result): unknown => _meta?.['countersign/hold'];
const codeOf = ({ _meta }: Result): unknown => _meta?.['countersign/code'];

/** Opens a session, makes one call in it, and ends it. */
async function once(
  env: Environment,
  mount: string,
  name: string,
  args: object,
  { as = 'agent-1', claims, headers, keep = false }: Calling = {},
): Promise<Result> {
  const client = new Client({ name: 'per-call', version: '1' });
  const authorization = `Bearer ${await env.token(as, claims)}`;
  const transport = new StreamableHTTPClientTransport(address(env, mount), {
    requestInit: { headers: { authorization, ...headers } },
  });
  await client.connect(transport as never);
  const result = (await client.callTool({ name, arguments: { ...args } })) as unknown as Result;
  if (keep) kept.push(client);
  else {
    await transport.terminateSession();
    await client.close();
  }
  return result;
}

describe.each(MOUNTS)('a client with a session for each call, on %s', (_what, mount, tool) => {
  it('comes back to its hold from another session, and its approved call is executed once, in the session that it is made in', async ({
    server,
    env,
    alice,
  }) => {
    const args = fresh();
    const first = await once(env, mount, tool, args);
    expect(codeOf(first)).toBe('approval_pending');
    const second = await once(env, mount, tool, args);
    expect(holdOf(second)).toBe(holdOf(first));
    expect((await alice.show(String(holdOf(first)))).state).toBe('PENDING');
    await alice.approve(String(holdOf(first)));
    // The server knows the earlier sessions no more: it answers 404 to whatever names one.
    expect(await once(env, mount, tool, args)).toMatchObject({ content: [{ text: 'a ran "pay"' }] });
    expect(sentWith(server, args)).toHaveLength(1);
    const sent = server.arrived.indexOf(sentWith(server, args)[0] as (typeof server.arrived)[number]);
    const opened = server.arrived.slice(0, sent).findLastIndex(({ message }) => message.method === 'initialize');
    expect(server.arrived[opened + 1]?.headers['mcp-session-id']).toBe(server.arrived[sent]?.headers['mcp-session-id']);
    expect((await alice.show(String(holdOf(first)))).state).toBe('EXECUTED');
    // What comes then is a new call.
    const again = await once(env, mount, tool, args);
    expect([codeOf(again), holdOf(again) === holdOf(first)]).toEqual(['approval_pending', false]);
    expect(sentWith(server, args)).toHaveLength(1);
  });

  it.for<[string, Calling]>([
    ['with sessions that stay open beside each other', { keep: true }],
    ['with an Idempotency-Key', { headers: { 'idempotency-key': `k-${mount}` } }],
    ['with fields of its own', { headers: { 'user-agent': 'langchain', 'accept-language': 'de' } }],
    ['as another agent', { as: 'agent-2' }],
  ] as const)('%s', async ([_how, calling], { server, env, alice }) => {
    const args = fresh();
    const hold = holdOf(await once(env, mount, tool, args, calling));
    expect(holdOf(await once(env, mount, tool, args, calling))).toBe(hold);
    await alice.approve(String(hold));
    expect(await once(env, mount, tool, args, calling)).toMatchObject({ content: [{ text: 'a ran "pay"' }] });
    expect(sentWith(server, args)).toHaveLength(1);
  });

  it('with two sessions that come for one approval at the same time: it is used once', async ({
    server,
    env,
    alice,
  }) => {
    const args = fresh();
    const hold = holdOf(await once(env, mount, tool, args));
    await alice.approve(String(hold));
    const results = await Promise.all([once(env, mount, tool, args), once(env, mount, tool, args)]);
    expect(results.filter(({ isError }) => !isError)).toHaveLength(1);
    expect(sentWith(server, args)).toHaveLength(1);
  });

  it('is told of a denial in every session', async ({ server, env, alice }) => {
    const args = fresh();
    await alice.deny(String(holdOf(await once(env, mount, tool, args))));
    for (const _ of [1, 2]) expect(codeOf(await once(env, mount, tool, args))).toBe('approval_denied');
    expect(sentWith(server, args)).toEqual([]);
  });

  it.for<[string, Calling]>([
    ['another agent', { as: 'agent-2' }],
    ['another Idempotency-Key', { headers: { 'idempotency-key': `other-${mount}` } }],
  ] as const)('has nothing of an approval of %s', async ([_what, calling], { server, env, alice }) => {
    const args = fresh();
    const hold = holdOf(await once(env, mount, tool, args));
    await alice.approve(String(hold));
    const other = await once(env, mount, tool, args, calling);
    expect([codeOf(other), holdOf(other) === hold]).toEqual(['approval_pending', false]);
    expect(sentWith(server, args)).toEqual([]);
  });

  it('has nothing of an approval of another task', async ({ server, env, alice }) => {
    const args = fresh();
    const tasks = await Promise.all(
      ['one', 'two'].map(async (objective) => {
        const response = await env.call('/countersign/v1/tasks', { method: 'POST', body: { objective } });
        return { headers: { 'countersign-task': ((await response.json()) as { id: string }).id } };
      }),
    );
    const hold = holdOf(await once(env, mount, tool, args, tasks[0]));
    await alice.approve(String(hold));
    expect(holdOf(await once(env, mount, tool, args, tasks[1]))).not.toBe(hold);
    expect(sentWith(server, args)).toEqual([]);
    expect(await once(env, mount, tool, args, tasks[0])).toMatchObject({ content: [{ text: 'a ran "pay"' }] });
  });
});

describe('a hold that was recorded when approvals bound the session', () => {
  let session = '';
  const post = async (
    env: Environment,
    message: object,
    fields: Readonly<Record<string, string>> = {},
  ): Promise<Response> =>
    env.call('/solo', {
      method: 'POST',
      body: { jsonrpc: '2.0', ...message },
      headers: { accept: 'application/json, text/event-stream', ...fields },
    });
  const open = async (env: Environment): Promise<string> => {
    const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'raw', version: '1' } };
    const response = await post(env, { id: 0, method: 'initialize', params });
    await response.text();
    return response.headers.get('mcp-session-id') ?? '';
  };
  let id = 0;
  const pay = async (env: Environment, args: object, as = session): Promise<Result> => {
    const fields = { 'mcp-session-id': as, 'mcp-protocol-version': '2025-11-25' };
    const response = await post(
      env,
      { id: ++id, method: 'tools/call', params: { name: 'pay', arguments: args } },
      fields,
    );
    return ((await response.json()) as { result: Result }).result;
  };

  /**
   * Makes of a hold what an earlier version recorded: the session stands among its fields, and its digests are made
   * over it.
   */
  function bindToSession(env: Environment, holdId: string): void {
    const db = new DatabaseSync(join(env.folder, 'data', 'store.db'));
    const read = (sql: string) => JSON.parse(String(db.prepare(sql).get(holdId)?.record));
    const { action, ...hold } = read('SELECT record FROM hold WHERE id = ?') as Hold;
    const names = action.boundHeaders.filter((_, i) => i % 2 === 0);
    const at = 2 * names.filter((name) => name < 'mcp-session-id').length;
    const before = {
      ...hold,
      action: { ...action, boundHeaders: action.boundHeaders.toSpliced(at, 0, 'mcp-session-id', session) },
    };
    const call = heldCall(
      before,
      read('SELECT record FROM held_content WHERE hold_id = ?'),
      { ...before.action, streamed: false } as Action,
      heldMessageBody,
    );
    const requestDigest = formerRequestDigest(hold.principal, hold.task?.id, call) ?? '';
    const { ruleIds, credential } = action;
    const actionDigest = formerActionDigest(call, { ruleIds, ...(credential && { credential }) }) ?? '';
    const record = {
      ...before,
      requestDigest,
      actionDigest,
      bindingDigest: bindingDigest({ ...before, actionDigest }),
    };
    db.prepare('UPDATE hold SET request_digest = ?, record = ? WHERE id = ?').run(
      requestDigest,
      JSON.stringify(record),
      holdId,
    );
    db.close();
  }

  async function heldBefore(env: Environment): Promise<{ readonly args: object; readonly hold: string }> {
    const args = fresh();
    session = await open(env);
    const hold = String(holdOf(await pay(env, args)));
    await env.kill();
    bindToSession(env, hold);
    await env.start();
    return { args, hold };
  }

  it('is found and used in its session, once', async ({ server, env, alice }) => {
    const { args, hold } = await heldBefore(env);
    expect(holdOf(await pay(env, args))).toBe(hold);
    await alice.approve(hold);
    expect(await pay(env, args)).toMatchObject({ content: [{ text: 'a ran "pay"' }] });
    expect(sentWith(server, args).map(({ headers }) => headers['mcp-session-id'])).toEqual([session]);
    expect((await alice.show(hold)).state).toBe('EXECUTED');
  });

  it('is not used in another session, which gets a hold of its own', async ({ server, env, alice }) => {
    const { args, hold } = await heldBefore(env);
    await alice.approve(hold);
    const other = await pay(env, args, await open(env));
    expect([codeOf(other), holdOf(other) === hold]).toEqual(['approval_pending', false]);
    expect((await alice.show(hold)).state).toBe('APPROVED');
    expect(sentWith(server, args)).toEqual([]);
    // Both are there: the one that is bound to this session is approved, and stays what it is.
    expect((await alice.show(String(holdOf(other)))).state).toBe('PENDING');
  });

  it('that was denied refuses the same call in its session', async ({ server, env, alice }) => {
    const { args, hold } = await heldBefore(env);
    await alice.deny(hold);
    for (const _ of [1, 2]) expect(codeOf(await pay(env, args))).toBe('approval_denied');
    expect(sentWith(server, args)).toEqual([]);
  });
});
