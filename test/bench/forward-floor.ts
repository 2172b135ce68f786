// What the forwarder alone costs: the forwarder behind a trivial node:http server against a bare undici-dispatch
// pass-through, in one run, interleaved. Each server is a process of its own; CPU time per request is the figure to
// read on a noisy machine. Run: node test/bench/forward-floor.ts [seconds per measurement, default 1] [rounds, default
// 4] [credential]

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import autocannon from 'autocannon';
import { type Dispatcher, Pool } from 'undici';
import type { Action } from '../../src/domain/action.ts';
import type { Credential } from '../../src/domain/credential.ts';
import { noMetrics } from '../../src/domain/metrics.ts';
import { Secret } from '../../src/domain/secret.ts';
import { createForwarder } from '../../src/upstream/forward.ts';
import { createTargets } from '../../src/upstream/targets.ts';

type Role = 'upstream' | 'floor' | 'forwarder' | 'forwarder+credential';

const HOP = new Set(['host', 'connection', 'keep-alive', 'transfer-encoding']);

function upstream(): RequestListener {
  const body = JSON.stringify({ items: 'x'.repeat(1024) });
  return (_request, response) => {
    response.writeHead(200, {
      'content-type': 'application/json',
      'content-length': body.length,
      'x-request-id': 'abc',
    });
    response.end(body);
  };
}

/** The least that any proxy on undici does. */
function floor(origin: string): RequestListener {
  const pool = new Pool(origin, { pipelining: 1, allowH2: false });
  return (request, response) => {
    const headers: string[] = [];
    const raw = request.rawHeaders;
    for (let i = 0; i < raw.length; i += 2)
      if (!HOP.has((raw[i] ?? '').toLowerCase())) headers.push(raw[i] ?? '', raw[i + 1] ?? '');
    let status = 0;
    let fields: string[] = [];
    const chunks: Buffer[] = [];
    const handler: Dispatcher.DispatchHandler = {
      onRequestStart() {},
      onResponseStart(_controller, code, answer) {
        status = code;
        fields = [];
        for (const name in answer) if (!HOP.has(name)) fields.push(name, String(answer[name]));
      },
      onResponseData: (_controller, chunk) => void chunks.push(chunk),
      onResponseEnd() {
        response.writeHead(status, fields);
        response.end(Buffer.concat(chunks).toString('latin1'), 'latin1');
      },
      onResponseError: () => void response.destroy(),
    };
    pool.dispatch({ path: request.url ?? '/', method: request.method ?? 'GET', headers }, handler);
  };
}

function forwarder(origin: string, credential?: Credential): RequestListener {
  const options = {
    name: 'api',
    url: origin,
    allowPlaintext: false,
    connectTimeoutMs: 5000,
    headersTimeoutMs: 5000,
    bodyTimeoutMs: 5000,
    websocket: false,
  };
  const targets = createTargets(new Map([['api', options]]));
  const { send } = createForwarder({ targets, metrics: noMetrics });
  const authority = new URL(origin).host;
  return (incoming, response) => {
    const headers = incoming.rawHeaders.map((text, i) => (i % 2 === 0 ? text.toLowerCase() : text));
    const target = incoming.url ?? '/';
    const action: Action = {
      protocol: 'http',
      upstream: 'api',
      authority,
      method: 'GET',
      target,
      path: target,
      boundHeaders: [],
      streamed: false,
    };
    const request = {
      ...{ id: 'x', receivedAt: 0, method: 'GET', target, mount: 'api', path: target, headers, peer: { address: '' } },
      body: { empty: true, buffer: () => Promise.resolve(new Uint8Array()), stream: async function* () {} },
      onClosed: (callback: () => void) => onceClosed(incoming, callback),
    };
    const sink = {
      head: (status: number, fields: readonly string[]) => void response.writeHead(status, fields as string[]),
      write: (chunk: Uint8Array | string) => response.write(chunk),
      onDrain: (callback: () => void) => void response.once('drain', callback),
      whole(status: number, fields: readonly string[], body: Uint8Array | string) {
        response.writeHead(status, fields as string[]);
        response.end(body);
      },
      end: () => void response.end(),
      abort: () => void response.destroy(),
      started: false,
    };
    send(
      {
        request,
        action,
        ...(credential && { credential }),
        boundHeadersOnly: false,
        requestHeaders: [],
        responseHeaders: [],
      },
      sink,
    ).catch(() => response.destroy());
  };
}

function onceClosed(incoming: IncomingMessage, callback: () => void): () => void {
  incoming.socket.once('close', callback);
  return () => incoming.socket.removeListener('close', callback);
}

async function serve(role: Role, origin: string): Promise<void> {
  const secret = new Secret('bench-secret-of-32-characters-ok');
  const credential: Credential = {
    ...{ id: 'cred_x', name: 'x', provider: 'static', revocability: 'none', granted: {}, exclusive: false },
    injection: { in: 'header', name: 'authorization', value: secret },
    secrets: [secret],
  };
  const listeners: Record<Role, () => RequestListener> = {
    upstream: () => upstream(),
    floor: () => floor(origin),
    forwarder: () => forwarder(origin),
    'forwarder+credential': () => forwarder(origin, credential),
  };
  const server = createServer({ optimizeEmptyRequests: true }, listeners[role]());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  process.on('message', () => process.send?.({ cpu: process.cpuUsage() }));
  process.on('disconnect', () => process.exit());
  process.send?.({ port: (server.address() as AddressInfo).port });
}

async function start(role: Role, origin = '') {
  const child = fork(fileURLToPath(import.meta.url), ['--role', role, origin]);
  const [{ port }] = (await once(child, 'message')) as [{ port: number }];
  const cpu = async (): Promise<number> => {
    child.send('cpu');
    const [{ cpu: used }] = (await once(child, 'message')) as [{ cpu: NodeJS.CpuUsage }];
    return used.user + used.system;
  };
  return {
    role,
    origin: `http://127.0.0.1:${port}`,
    cpu,
    stop: () => child.disconnect(),
    microseconds: [] as number[],
    rate: [] as number[],
  };
}

async function main(seconds: number, rounds: number, withCredential: boolean): Promise<void> {
  const backend = await start('upstream');
  const floorServer = await start('floor', backend.origin);
  const tested = await start(withCredential ? 'forwarder+credential' : 'forwarder', backend.origin);
  for (let round = -1; round < rounds; round++) {
    for (const server of round % 2 === 0 ? [floorServer, tested] : [tested, floorServer]) {
      const before = await server.cpu();
      const headers = { authorization: `Bearer ${'t'.repeat(600)}`, accept: 'application/json', 'user-agent': 'bench' };
      const result = await autocannon({
        url: `${server.origin}/v1/items?limit=10`,
        connections: 32,
        duration: seconds,
        headers,
      });
      if (result.non2xx > 0 || result.errors > 0) throw new Error(`${server.role} answered with errors`);
      // The first round warms up.
      if (round < 0) continue;
      server.microseconds.push(((await server.cpu()) - before) / result.requests.total);
      server.rate.push(result.requests.average);
    }
  }
  const median = (values: number[]): number =>
    values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
  for (const { role, microseconds, rate } of [floorServer, tested]) {
    console.log(
      `${role.padEnd(22)} ${median(microseconds).toFixed(1).padStart(7)} µs CPU per request ${median(rate).toFixed(0).padStart(8)} req/s`,
    );
  }
  console.log(
    `ratio to the floor: ${(median(floorServer.microseconds) / median(tested.microseconds)).toFixed(2)} by CPU, ${(median(tested.rate) / median(floorServer.rate)).toFixed(2)} by rate`,
  );
  for (const server of [tested, floorServer, backend]) server.stop();
}

const [first, second, third] = process.argv.slice(2);
if (first === '--role') await serve(second as Role, third ?? '');
else await main(Number(first ?? 1), Number(second ?? 4), process.argv.includes('credential'));
