// The official server scenarios (@modelcontextprotocol/conformance), run against a server directly and through the
// gateway: every check has to come out the same, at a mount of its own and at one that it shares. The client of the
// scenarios sends no token, so a small relay in front of the gateway adds one; for the shared mount it also turns the
// scenarios' names into those that agents see there.

import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { rule } from '../support/config.ts';
import { startConformanceServer } from '../support/conformance-server.ts';
import type { Environment } from '../support/environment.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';

const CLI = 'node_modules/@modelcontextprotocol/conformance/dist/index.js';

/** Checks that come out otherwise through the gateway, by mount, and why. */
const DIFFERENCES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  tools: {},
  shared: {
    'server-server-sse-multiple-streams/server-sse-streams-functional/1':
      'It looks at answers to tools/list that come as streams; a list of several servers is one JSON.',
  },
};

const it = gatewayTest
  .extend('upstream', file, ({ closes }) => closes(startConformanceServer()))
  // The suite sends no token of the gateway's: this relay puts one on.
  .extend('relay', file, async ({ closes }) => {
    const relay = await closes(createServer(), (server) => {
      server.close();
      server.closeAllConnections();
    });
    relay.listen(0, '127.0.0.1');
    await once(relay, 'listening');
    return relay;
  })
  .extend('env', file, async ({ upstream, relay, environment }) => {
    const allowedOrigins = ['localhost', '127.0.0.1'].map((host) => `http://${host}:${port(relay)}`);
    const env = await environment({
      upstreams: {
        tools: { url: upstream.url, protocol: 'mcp', allowedOrigins },
        shared: {
          protocol: 'mcp',
          allowedOrigins,
          servers: { only: { url: upstream.url }, gone: { url: 'http://127.0.0.1:9/mcp' } },
        },
      },
      rules: [
        rule.allow('everything'),
        rule.allow('server', { mcp: ['sampling/createMessage', 'elicitation/create'] }),
      ],
    });
    relay.on('request', (incoming, response) => void relayTo(env, incoming, response));
    return env;
  })
  // What comes out without the gateway.
  .extend('direct', file, ({ upstream }) => run(upstream.url));

async function relayTo(env: Environment, incoming: IncomingMessage, response: ServerResponse): Promise<void> {
  const shared = incoming.url === '/shared';
  const { 'content-length': _, ...fields } = incoming.headers;
  const headers = { ...fields, authorization: `Bearer ${await env.token('agent-1')}` };
  const forward = request(
    { port: env.ports.agents, path: incoming.url, method: incoming.method, headers },
    (answer) => {
      const { 'content-length': __, ...answerFields } = answer.headers;
      response.writeHead(answer.statusCode ?? 502, answerFields);
      if (shared)
        answer
          .setEncoding('utf8')
          .on('data', (text: string) => void response.write(text.replaceAll(/"only(?:__|\+)/g, '"')));
      else answer.pipe(response);
      answer.on('end', () => response.end());
      answer.on('error', () => response.destroy());
    },
  );
  forward.on('error', () => response.destroy());
  response.on('close', () => forward.destroy());
  let text = '';
  for await (const chunk of incoming.setEncoding('utf8')) text += chunk;
  forward.end(shared ? underServer(text) : text);
}

/** The scenarios know their tools, prompts and resources by the server's own names. */
function underServer(text: string): string {
  const message = text === '' ? undefined : JSON.parse(text);
  if (message?.params === undefined) return text;
  for (const named of [message.params, message.params.ref ?? {}]) {
    if (typeof named.name === 'string' && /^(tools|prompts|completion)\//.test(message.method))
      named.name = `only__${named.name}`;
    if (typeof named.uri === 'string') named.uri = `only+${named.uri}`;
  }
  return JSON.stringify(message);
}

const port = (server: Server): number => (server.address() as AddressInfo).port;

/** `scenario/check` to its status. */
async function run(url: string): Promise<Record<string, string>> {
  const folder = mkdtempSync(join(tmpdir(), 'mcp-conformance-'));
  // The exit code says whether all passed; here only sameness counts.
  await new Promise<void>(
    (resolve) => void execFile(process.execPath, [CLI, 'server', '--url', url, '-o', folder], () => resolve()),
  );
  const results: Record<string, string> = {};
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('checks.json'),
  )) {
    const scenario = name.split('/')[0]?.replace(/-\d{4}-\d\d-\d\dT.*$/, '') ?? '';
    const checks = JSON.parse(readFileSync(join(folder, name), 'utf8')) as { id: string; status: string }[];
    for (const [index, { id, status }] of checks.entries())
      if (status !== 'INFO') results[`${scenario}/${id}/${index}`] = status;
  }
  rmSync(folder, { recursive: true, force: true });
  return results;
}

it.for(['tools', 'shared'])(
  'gives the same results directly and through the gateway at /%s',
  { timeout: 360_000 },
  async (mount, { env: _running, relay, direct }) => {
    const through = await run(`http://localhost:${port(relay)}/${mount}`);
    expect(Object.keys(direct).length).toBeGreaterThan(25);
    expect(Object.values(direct).filter((status) => status === 'SUCCESS').length).toBeGreaterThan(30);
    const same = (results: Record<string, string>) =>
      Object.fromEntries(Object.entries(results).filter(([check]) => !Object.hasOwn(DIFFERENCES[mount] ?? {}, check)));
    expect(same(through)).toEqual(same(direct));
  },
);
