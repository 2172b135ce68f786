// The official server scenarios (@modelcontextprotocol/conformance), run against a server directly and through the gateway: every check has
// to come out the same. The client of the scenarios sends no token, so a small relay in front of the gateway adds one.

import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startConformanceServer } from '../support/conformance-server.ts';
import { type Environment, startEnvironment } from '../support/environment.ts';

const CLI = 'node_modules/@modelcontextprotocol/conformance/dist/index.js';

/** Checks that come out otherwise through the gateway, and why. */
const DIFFERENCES: Readonly<Record<string, string>> = {};

let env: Environment;
let upstream: Awaited<ReturnType<typeof startConformanceServer>>;
let relay: Server;

beforeAll(async () => {
  upstream = await startConformanceServer();
  relay = createServer(async (incoming, response) => {
    const headers = { ...incoming.headers, authorization: `Bearer ${await env.token('agent-1')}` };
    const forward = request({ port: env.ports.agents, path: '/tools', method: incoming.method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    forward.on('error', () => response.destroy());
    response.on('close', () => forward.destroy());
    incoming.pipe(forward);
  });
  relay.listen(0, '127.0.0.1');
  await once(relay, 'listening');
  const origin = (host: string) => `"http://${host}:${port(relay)}"`;
  env = await startEnvironment({
    upstreams: `
  tools: { url: "${upstream.url}", protocol: mcp, allowedOrigins: [${origin('localhost')}, ${origin('127.0.0.1')}] }`,
    rules: `
  - { id: everything, match: { upstream: tools }, decide: allow }
  - { id: server, match: { upstream: tools, mcp: [sampling/createMessage, elicitation/create] }, decide: allow }
`,
  });
}, 60_000);
afterAll(async () => {
  relay.close();
  relay.closeAllConnections();
  await env.close();
  await upstream.close();
}, 60_000);

const port = (server: Server): number => (server.address() as AddressInfo).port;

/** `scenario/check` to its status. */
async function run(url: string): Promise<Record<string, string>> {
  const folder = mkdtempSync(join(tmpdir(), 'mcp-conformance-'));
  // The exit code says whether all passed; here only sameness counts.
  await new Promise<void>((resolve) => void execFile(process.execPath, [CLI, 'server', '--url', url, '-o', folder], () => resolve()));
  const results: Record<string, string> = {};
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('checks.json'))) {
    const scenario = name.split('/')[0]?.replace(/-\d{4}-\d\d-\d\dT.*$/, '') ?? '';
    const checks = JSON.parse(readFileSync(join(folder, name), 'utf8')) as { id: string; status: string }[];
    for (const [index, { id, status }] of checks.entries()) if (status !== 'INFO') results[`${scenario}/${id}/${index}`] = status;
  }
  rmSync(folder, { recursive: true, force: true });
  return results;
}

it('gives the same results directly and through the gateway', { timeout: 240_000 }, async () => {
  const direct = await run(upstream.url);
  const through = await run(`http://localhost:${port(relay)}/tools`);
  expect(Object.keys(direct).length).toBeGreaterThan(25);
  expect(Object.values(direct).filter((status) => status === 'SUCCESS').length).toBeGreaterThan(30);
  const same = (results: Record<string, string>) => Object.fromEntries(Object.entries(results).filter(([check]) => !(check in DIFFERENCES)));
  expect(same(through)).toEqual(same(direct));
});
