// What the gateway costs an MCP team: tools/call through it against direct, in turns in one run, as a ratio; and the
// memory of each open event stream with a thousand open. The gateway is a process of its own; load and upstream share
// this one, so absolute numbers mean little. `node test/bench/mcp-cost.ts`

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Pool } from 'undici';
import { rule } from '../support/config.ts';
import { startEnvironment } from '../support/environment.ts';

const ROUNDS = 5;
const CALLS = 3_000;
const CONCURRENCY = 32;
const STREAMS = 1_000;

const upstream = createServer((request, response) => {
  if (request.method === 'GET') {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
    return;
  }
  let text = '';
  request.setEncoding('utf8').on('data', (chunk) => {
    text += chunk;
  });
  request.on('end', () => {
    const { id } = JSON.parse(text) as { id: number };
    response.setHeader('content-type', 'application/json');
    const opened = { protocolVersion: '2025-11-25', capabilities: {}, serverInfo: { name: 'bench', version: '1' } };
    response.end(
      JSON.stringify({ jsonrpc: '2.0', id, result: { ...opened, content: [{ type: 'text', text: 'x'.repeat(500) }] } }),
    );
  });
});
upstream.listen(0, '127.0.0.1');
await once(upstream, 'listening');
const direct = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`;
const env = await startEnvironment({
  upstreams: {
    tools: { url: `${direct}/mcp`, protocol: 'mcp' },
    shared: { protocol: 'mcp', servers: { one: { url: `${direct}/mcp` }, two: { url: `${direct}/mcp` } } },
  },
  rules: [
    rule.allow('pay', { upstream: 'tools', tool: 'pay' }, { when: 'args.amount <= 1000' }),
    rule.allow('shared', { upstream: 'shared', tool: 'one__pay' }, { when: 'args.amount <= 1000' }),
  ],
});
const gateway = `http://127.0.0.1:${env.ports.agents}`;
const authorization = `Bearer ${await env.token('agent-1')}`;

async function measure(
  pool: Pool,
  path: string,
  name = 'pay',
  session: Readonly<Record<string, string>> = {},
): Promise<number> {
  let next = 0;
  const start = performance.now();
  await Promise.all(
    Array.from({ length: CONCURRENCY }, async () => {
      while (next < CALLS) {
        const id = next++;
        const { statusCode, body } = await pool.request({
          path,
          method: 'POST',
          headers: {
            authorization,
            'content-type': 'application/json',
            accept: 'application/json, text/event-stream',
            ...session,
          },
          body: JSON.stringify({
            jsonrpc: '2.0',
            id,
            method: 'tools/call',
            params: { name, arguments: { amount: 5, to: 'ACME' } },
          }),
        });
        const answer = (await body.json()) as { id: number; result?: { isError?: boolean } };
        if (statusCode !== 200 || answer.id !== id || answer.result?.isError)
          throw new Error('the benchmark calls wrongly');
      }
    }),
  );
  return (CALLS * 1000) / (performance.now() - start);
}

/** Resident bytes of the gateway's process, which is this one's only child. */
function residentBytes(): number {
  const child = readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').trim().split(' ')[0];
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child}/status`, 'utf8'))?.[1]) * 1024;
}

const pools = {
  direct: new Pool(direct, { connections: CONCURRENCY }),
  gateway: new Pool(gateway, { connections: CONCURRENCY }),
};
const rates = { direct: [] as number[], gateway: [] as number[], shared: [] as number[] };
const initialize = {
  jsonrpc: '2.0',
  id: 0,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: {} },
};
const opened = await env.call('/shared', { method: 'POST', body: initialize });
await opened.body?.cancel();
const session = { 'mcp-session-id': opened.headers.get('mcp-session-id') ?? '' };
await measure(pools.gateway, '/tools');
for (let round = 0; round < ROUNDS; round++) {
  rates.direct.push(await measure(pools.direct, '/mcp'));
  rates.gateway.push(await measure(pools.gateway, '/tools'));
  rates.shared.push(await measure(pools.gateway, '/shared', 'one__pay', session));
}
const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1] ?? 0;
const [d, g, s] = [median(rates.direct), median(rates.gateway), median(rates.shared)];
console.log(
  `tools/call: direct ${d.toFixed(0)}/s, through the gateway ${g.toFixed(0)}/s, ratio ${(g / d).toFixed(2)}; at a shared mount ${s.toFixed(0)}/s, ratio ${(s / d).toFixed(2)}`,
);

const before = residentBytes();
const streams = new Pool(gateway, { connections: STREAMS });
const open = await Promise.all(
  Array.from({ length: STREAMS }, () =>
    streams.request({
      path: '/tools',
      method: 'GET',
      headers: { authorization, accept: 'text/event-stream' },
      bodyTimeout: 0,
    }),
  ),
);
if (open.some(({ statusCode }) => statusCode !== 200)) throw new Error('a stream was refused');
console.log(
  `${STREAMS} event streams open: ${((residentBytes() - before) / STREAMS / 1024).toFixed(1)} KiB resident each`,
);

await Promise.all([streams.destroy(), pools.direct.destroy(), pools.gateway.destroy()]);
await env.close();
upstream.closeAllConnections();
upstream.close();
