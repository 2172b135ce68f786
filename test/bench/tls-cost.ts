// What TLS and client certificates cost the gateway: CPU time of a process that has the agents' listener and identity
// and nothing behind them, for new connections and for calls on one that stands. The caller is this process, so its own
// share is not counted. `node test/bench/tls-cost.ts`

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { type Agent, Agent as HttpAgent, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';

const ROUNDS = 5;
const CONNECTIONS = 200;
const CALLS = 2_000;

interface Started {
  readonly ports: { readonly plain: number; readonly tls: number; readonly mtls: number };
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  readonly token: string;
}

const child = fork(new URL('contenders/tls-listeners.ts', import.meta.url));
const [started] = (await once(child, 'message')) as [Started];

async function cpuMicros(): Promise<number> {
  child.send('cpu');
  const [{ user, system }] = (await once(child, 'message')) as [NodeJS.CpuUsage];
  return user + system;
}

interface Kind {
  readonly name: string;
  readonly port: number;
  /** Without a certificate a token that was verified before says who calls. */
  readonly headers: Readonly<Record<string, string>>;
  connections(keepAlive: boolean): Agent | HttpsAgent;
}

const { ports, ca, cert, key, token } = started;
const bearer = { authorization: `Bearer ${token}` };
// No session is resumed, as for a caller that was never there before.
const secure = { ca, servername: 'localhost', maxCachedSessions: 0 };
const kinds: readonly Kind[] = [
  {
    name: 'plain HTTP, token verified before',
    port: ports.plain,
    headers: bearer,
    connections: (keepAlive) => new HttpAgent({ keepAlive, maxSockets: 1 }),
  },
  {
    name: 'TLS, token verified before',
    port: ports.tls,
    headers: bearer,
    connections: (keepAlive) => new HttpsAgent({ ...secure, keepAlive, maxSockets: 1 }),
  },
  {
    name: 'mTLS, X.509-SVID',
    port: ports.mtls,
    headers: {},
    connections: (keepAlive) => new HttpsAgent({ ...secure, cert, key, keepAlive, maxSockets: 1 }),
  },
];

async function call({ port, headers }: Kind, agent: Agent | HttpsAgent): Promise<void> {
  const options = { host: '127.0.0.1', port, path: '/tools/', headers, agent };
  const request = (agent instanceof HttpsAgent ? httpsRequest(options) : httpRequest(options)).end();
  const [response] = await once(request, 'response');
  response.resume();
  await once(response, 'end');
  if (response.statusCode !== 200) throw new Error(`answered ${response.statusCode}`);
}

/** µs of CPU per call. */
async function measure(kind: Kind, keepAlive: boolean): Promise<number> {
  const count = keepAlive ? CALLS : CONNECTIONS;
  const agent = kind.connections(keepAlive);
  if (keepAlive) await call(kind, agent);
  const before = await cpuMicros();
  for (let i = 0; i < count; i++) await call(kind, agent);
  const spent = (await cpuMicros()) - before;
  agent.destroy();
  return spent / count;
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
const rows = [false, true].flatMap((keepAlive) => kinds.map((kind) => ({ kind, keepAlive, micros: [] as number[] })));
// The first round is for the compiler.
for (let round = 0; round <= ROUNDS; round++) {
  for (const { kind, keepAlive, micros } of rows) {
    const spent = await measure(kind, keepAlive);
    if (round > 0) micros.push(spent);
  }
}
child.disconnect();

for (const keepAlive of [false, true]) {
  console.log(keepAlive ? 'a call on a connection that stands' : 'a new connection and its first call');
  const own = rows
    .filter((row) => row.keepAlive === keepAlive)
    .map(({ kind, micros }) => ({ name: kind.name, micros: median(micros) }));
  const base = own[0]?.micros ?? Number.NaN;
  for (const { name, micros } of own)
    console.log(`  ${name.padEnd(40)} ${(micros / base).toFixed(2).padStart(8)} × ${micros.toFixed(1).padStart(8)} µs`);
}
