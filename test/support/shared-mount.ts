// One mount (`one`) over two strict servers, a and b, in a gateway of its own, with what tests of it do again and
// again: open a session, post a message, and read what an answer says. `reset` gives both servers their first words
// back. Closing it fails when either server ever saw what no client of it may do, so that every file of tests over this
// mount proves that, too.

import { rule } from './config.ts';
import { type CallOptions, type Environment, startEnvironment } from './environment.ts';
import { file, gatewayTest } from './gateway-test.ts';
import type { ReviewerClient } from './reviewer-client.ts';
import { type StrictServer, startStrictServer } from './strict-mcp-server.ts';

export interface Said {
  readonly status: number;
  readonly session: string | null;
  // biome-ignore lint/suspicious/noExplicitAny: answers of many forms are read by their path
  readonly json: any;
}

type Options = CallOptions & { readonly mount?: string };

export interface SharedMount {
  readonly env: Environment;
  readonly a: StrictServer;
  readonly b: StrictServer;
  readonly alice: ReviewerClient;
  /** What each server answers from the start, by method. */
  readonly kept: { readonly a: StrictServer['results']; readonly b: StrictServer['results'] };
  post(message: object, session?: string, options?: Options): Promise<Said>;
  /** Opens a session and gives its id. */
  open(options?: Options): Promise<string>;
  reset(): void;
  close(): Promise<void>;
}

/** The number of the request that was made last: servers forge answers to the next one. */
export const numbers = { last: 0 };

export const request = (method: string, params?: object) => ({
  jsonrpc: '2.0',
  id: ++numbers.last,
  method,
  ...(params && { params }),
});
export const INITIALIZE = {
  protocolVersion: '2025-11-25',
  capabilities: { sampling: {} },
  clientInfo: { name: 'raw', version: '1' },
};

export const call = (name: string, args: object = {}) => request('tools/call', { name, arguments: args });
export const names = ({ json }: Said) => json.result.tools.map(({ name }: { name: string }) => name);
export const heldId = ({ json }: Said): string => json.result._meta['countersign/hold'];
export const code = ({ json }: Said): unknown =>
  json.result?._meta?.['countersign/code'] ?? json.error?.data?.code ?? json.code;

export async function openSharedMount(): Promise<SharedMount> {
  const [a, b] = await Promise.all([startStrictServer('a'), startStrictServer('b')]);
  const env = await startEnvironment({
    upstreams: {
      one: {
        protocol: 'mcp',
        serversWithin: '2s',
        servers: { a: { url: a.url, credential: 'key' }, b: { url: b.url, toolChanges: 'allow' } },
      },
      strict: { protocol: 'mcp', servers: { a: { url: a.url } } },
      other: { protocol: 'mcp', servers: { a: { url: a.url } } },
    },
    credentials: { second: { type: 'static', in: 'header', name: 'x-second', secret: { env: 'E2E_SECRET' } } },
    rules: [
      rule.allow('echo', { upstream: 'one', tool: '*__echo*' }),
      rule.hold('pay', { upstream: 'one', tool: '*__pay' }),
      rule.allow('resources', { upstream: 'one', server: 'a', resource: 'docs://public/*' }),
      rule.allow('templates', { upstream: 'one', mcp: ['completion/complete'] }),
      rule.allow('prompts', { upstream: 'one', prompt: 'a__*' }),
      rule.allow('asks', { upstream: 'one', mcp: ['sampling/createMessage', 'roots/list'] }),
      rule.allow('listen', { upstream: 'one', mcp: ['subscriptions/listen', 'tasks/*'] }),
      rule.hold('strict', { upstream: 'strict', mcp: ['initialize'] }),
      rule.deny('not-b', { upstream: 'one', server: 'b', mcp: ['resources/templates/list'] }),
    ],
    reviewers: { killSwitch: ['group:soc'] },
    limits: { wait: '20s', pendingPerAgent: 100 },
  });
  const alice = await env.reviewer('alice');
  const kept = { a: { ...a.results }, b: { ...b.results } };

  async function post(
    message: object,
    session?: string,
    { mount = 'one', headers = {}, ...more }: Options = {},
  ): Promise<Said> {
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
    return {
      status: response.status,
      session: response.headers.get('mcp-session-id'),
      json: text === '' ? undefined : JSON.parse(text),
    };
  }

  async function open(options: Options = {}): Promise<string> {
    const { session } = await post(request('initialize', INITIALIZE), undefined, options);
    if (session === null) throw new Error('no session');
    await post({ jsonrpc: '2.0', method: 'notifications/initialized' }, session, options);
    return session;
  }

  return {
    ...{ env, a, b, alice, kept, post, open },
    reset() {
      for (const [server, results] of [
        [a, kept.a],
        [b, kept.b],
      ] as const) {
        for (const method of Object.keys(server.results)) delete server.results[method];
        Object.assign(server.results, results);
        server.silent.clear();
        for (const method of Object.keys(server.events)) delete server.events[method];
      }
    },
    async close() {
      await env.close();
      await Promise.all([a.kill(), b.kill()]);
      const faults = [...a.faults, ...b.faults];
      if (faults.length > 0) throw new Error(`a server saw what no client of it may do: ${faults.join('; ')}`);
    },
  };
}

export const sharedMountTest = gatewayTest
  .extend('mount', file, ({ closes }) => closes(openSharedMount()))
  .extend('env', file, ({ mount }) => mount.env)
  .extend('a', file, ({ mount }) => mount.a)
  .extend('b', file, ({ mount }) => mount.b)
  .extend('alice', file, ({ mount }) => mount.alice)
  .extend('kept', file, ({ mount }) => mount.kept)
  .extend('post', file, ({ mount }) => mount.post)
  .extend('open', file, ({ mount }) => mount.open);
