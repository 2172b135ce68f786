// A real SPIRE for a test: servers, and an agent that has joined one of them by a token, all in one folder and on this
// host's loopback. Workloads are told apart by the program that they run, so that no second user is needed: the gateway
// is `node`, its callers are SPIRE's own command line, which fetches SVIDs and writes them down. Nothing of SPIRE is
// configured beyond its documented keys.

import { type ChildProcess, execFile, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, openSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { vi } from 'vitest';

const run = promisify(execFile);
const PATIENCE = { timeout: 120_000, interval: 200 };

/** SPIRE's programs, or undefined when they are not on PATH. */
export interface SpirePrograms {
  readonly server: string;
  readonly agent: string;
  readonly version: string;
}

export function findSpire(): SpirePrograms | undefined {
  const find = (name: string): string =>
    realpathSync(execFileSync('/bin/sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim());
  try {
    const server = find('spire-server');
    return {
      server,
      agent: find('spire-agent'),
      version: spawnSync(server, ['--version'], { encoding: 'utf8' }).stderr.trim(),
    };
  } catch {
    return undefined;
  }
}

/** An X.509-SVID on its owner's side, PEM. */
export interface X509Svid {
  readonly cert: string;
  readonly key: string;
}

/** How a server offers its bundle to other trust domains. */
export type BundleEndpoint =
  | { readonly profile: 'https_spiffe' }
  | { readonly profile: 'https_web'; readonly cert: string; readonly key: string };

interface ServerOptions {
  readonly endpoint?: BundleEndpoint;
  /** An authority that signs the server's own, which then are intermediates. */
  readonly above?: X509Svid;
}

interface Entry {
  readonly path: string;
  /** The program that the workload runs. */
  readonly program: string;
  readonly dns?: string;
  readonly federatesWith?: string;
}

export type AuthorityKind = 'x509' | 'jwt';

export interface SpireServer {
  readonly trustDomain: string;
  readonly port: number;
  /** Where its bundle endpoint listens, if it has one. */
  readonly endpointPort: number;
  /** Runs one of the server's own commands. */
  command(...args: readonly string[]): Promise<string>;
  bundle(format: 'pem' | 'spiffe'): Promise<string>;
  /** Registers a workload of the one agent; gives the entry's id. */
  register(entry: Entry): Promise<string>;
  /** SVIDs as its operator can mint them for any of its workloads. */
  mintX509(path: string): Promise<X509Svid>;
  mintJwt(path: string, audience: string): Promise<string>;
  /** Puts a new authority into the bundle, of which nothing signs yet. */
  prepare(kind: AuthorityKind): Promise<void>;
  /** Lets the prepared one sign; the one before stays in the bundle. */
  activate(kind: AuthorityKind): Promise<void>;
  /** Asks everybody to do without the one before; resolves when the agents themselves do. */
  taint(kind: AuthorityKind): Promise<void>;
  /** Takes it out of the bundle. */
  revoke(kind: AuthorityKind): Promise<void>;
}

export async function startSpireServer(
  programs: SpirePrograms,
  trustDomain: string,
  parent: string,
  { endpoint, above }: ServerOptions = {},
): Promise<SpireServer> {
  const folder = join(parent, `server-${trustDomain}`);
  mkdirSync(folder);
  const [port, endpointPort] = await Promise.all([freePort(), freePort()]);
  const socket = join(folder, 'api.sock');
  const config = join(folder, 'server.conf');
  writeFileSync(
    config,
    `
server {
  bind_address = "127.0.0.1"
  bind_port = ${port}
  socket_path = "${socket}"
  trust_domain = "${trustDomain}"
  data_dir = "${folder}"
  log_level = "INFO"
  ca_ttl = "15m"
  default_x509_svid_ttl = "2m"
  default_jwt_svid_ttl = "2m"
  ${endpoint === undefined ? '' : federation(endpoint, endpointPort, folder)}
}
plugins {
  DataStore "sql" { plugin_data { database_type = "sqlite3", connection_string = "${join(folder, 'store.sqlite3')}" } }
  KeyManager "memory" { plugin_data {} }
  NodeAttestor "join_token" { plugin_data {} }
  ${above === undefined ? '' : upstreamAuthority(above, folder)}
}
`,
  );
  const child = launch(programs.server, ['run', '-config', config], folder);
  const command: SpireServer['command'] = async (...args) =>
    (await run(programs.server, [...args, '-socketPath', socket])).stdout;
  await untilHealthy(child, folder, command);

  const json = async (...args: readonly string[]): Promise<unknown> =>
    JSON.parse(await command(...args, '-output', 'json'));
  const authorities = async (kind: AuthorityKind) =>
    (await json('localauthority', kind, 'show')) as Partial<Record<string, { readonly authority_id: string }>>;
  const agentSerials = async (): Promise<readonly string[]> =>
    (
      (await json('agent', 'list')) as { readonly agents: readonly { readonly x509svid_serial_number: string }[] }
    ).agents.map(({ x509svid_serial_number: serial }) => serial);
  return {
    trustDomain,
    port,
    endpointPort,
    command,
    bundle: (format) => command('bundle', 'show', '-format', format),
    async register({ path, program, dns, federatesWith }) {
      const { results } = (await json(
        ...[
          'entry',
          'create',
          '-spiffeID',
          `spiffe://${trustDomain}${path}`,
          '-parentID',
          `spiffe://${trustDomain}${AGENT_PATH}`,
        ],
        ...['-selector', `unix:uid:${process.getuid?.() ?? 0}`, '-selector', `unix:path:${program}`],
        // Renewed by the agent when half of it and of ten seconds before it are over: every few seconds.
        ...['-x509SVIDTTL', '20', '-jwtSVIDTTL', '60'],
        ...(dns === undefined ? [] : ['-dns', dns]),
        ...(federatesWith === undefined ? [] : ['-federatesWith', federatesWith]),
      )) as { readonly results: readonly { readonly entry: { readonly id: string } }[] };
      return results[0]?.entry.id ?? '';
    },
    async mintX509(path) {
      await command('x509', 'mint', '-spiffeID', `spiffe://${trustDomain}${path}`, '-write', folder);
      return {
        cert: readFileSync(join(folder, 'svid.pem'), 'utf8'),
        key: readFileSync(join(folder, 'key.pem'), 'utf8'),
      };
    },
    mintJwt: async (path, audience) =>
      (await command('jwt', 'mint', '-spiffeID', `spiffe://${trustDomain}${path}`, '-audience', audience)).trim(),
    async prepare(kind) {
      await command('localauthority', kind, 'prepare');
    },
    async activate(kind) {
      const { prepared } = await authorities(kind);
      await command('localauthority', kind, 'activate', '-authorityID', prepared?.authority_id ?? '');
    },
    async taint(kind) {
      const { old } = await authorities(kind);
      const before = await agentSerials();
      await command('localauthority', kind, 'taint', '-authorityID', old?.authority_id ?? '');
      if (kind === 'jwt') return;
      const renewed = async (): Promise<void> => {
        if ((await agentSerials()).some((serial) => before.includes(serial)))
          throw new Error('the agent has its old SVID');
      };
      await vi.waitFor(renewed, PATIENCE);
    },
    async revoke(kind) {
      const { old } = await authorities(kind);
      await command('localauthority', kind, 'revoke', '-authorityID', old?.authority_id ?? '');
    },
  };
}

/** The SPIFFE ID's path of whatever agent joins with one of our tokens. */
const AGENT_PATH = '/host';

function upstreamAuthority(above: X509Svid, folder: string): string {
  const { cert, key } = writePair(above, folder, 'above');
  return `UpstreamAuthority "disk" { plugin_data { cert_file_path = "${cert}", key_file_path = "${key}" } }`;
}

function writePair(pair: X509Svid, folder: string, name: string): X509Svid {
  const [cert, key] = [join(folder, `${name}.pem`), join(folder, `${name}.key`)];
  writeFileSync(cert, pair.cert);
  writeFileSync(key, pair.key, { mode: 0o600 });
  return { cert, key };
}

function federation(endpoint: BundleEndpoint, port: number, folder: string): string {
  let profile = 'profile "https_spiffe" {}';
  if (endpoint.profile === 'https_web') {
    const { cert, key } = writePair(endpoint, folder, 'endpoint');
    profile = `profile "https_web" { serving_cert_file { cert_file_path = "${cert}", key_file_path = "${key}", file_sync_interval = "1m" } }`;
  }
  return `federation { bundle_endpoint { address = "127.0.0.1", port = ${port}, refresh_hint = "5s", ${profile} } }`;
}

export interface SpireAgent {
  /** The Workload API's address. */
  readonly address: string;
  /** As the workload that runs SPIRE's command line. */
  fetchX509(): Promise<X509Svid>;
  fetchJwt(audience: string): Promise<string>;
  /** The SPIFFE ID that the agent reads from a JWT-SVID; rejects when it does not accept it. */
  validateJwt(token: string, audience: string): Promise<string>;
  kill(): Promise<void>;
  /** Starts it again on the same data. */
  start(): Promise<void>;
}

export async function startSpireAgent(
  programs: SpirePrograms,
  server: SpireServer,
  parent: string,
): Promise<SpireAgent> {
  const folder = join(parent, 'agent');
  mkdirSync(folder);
  const socket = join(folder, 'api.sock');
  const config = join(folder, 'agent.conf');
  const trust = join(folder, 'bootstrap.pem');
  writeFileSync(trust, await server.bundle('pem'));
  const { value } = JSON.parse(
    await server.command(
      'token',
      'generate',
      '-spiffeID',
      `spiffe://${server.trustDomain}${AGENT_PATH}`,
      '-output',
      'json',
    ),
  ) as {
    readonly value: string;
  };
  writeFileSync(
    config,
    `
agent {
  data_dir = "${folder}"
  log_level = "INFO"
  server_address = "127.0.0.1"
  server_port = ${server.port}
  socket_path = "${socket}"
  trust_bundle_path = "${trust}"
  trust_domain = "${server.trustDomain}"
  join_token = "${value}"
  experimental { sync_interval = "1s" }
}
plugins {
  KeyManager "disk" { plugin_data { directory = "${folder}" } }
  NodeAttestor "join_token" { plugin_data {} }
  WorkloadAttestor "unix" { plugin_data { discover_workload_path = true, workload_size_limit = -1 } }
}
`,
  );
  const command = async (...args: readonly string[]): Promise<string> =>
    (await run(programs.agent, [...args, '-socketPath', socket])).stdout;
  let child: ChildProcess;

  async function start(): Promise<void> {
    child = launch(programs.agent, ['run', '-config', config], folder);
    await untilHealthy(child, folder, command);
  }

  await start();
  return {
    address: `unix://${socket}`,
    async fetchX509() {
      await command('api', 'fetch', 'x509', '-silent', '-write', folder);
      return {
        cert: readFileSync(join(folder, 'svid.0.pem'), 'utf8'),
        key: readFileSync(join(folder, 'svid.0.key'), 'utf8'),
      };
    },
    async fetchJwt(audience) {
      const [answer] = JSON.parse(
        await command('api', 'fetch', 'jwt', '-audience', audience, '-output', 'json'),
      ) as JwtSvids[];
      return answer?.svids[0]?.svid ?? '';
    },
    async validateJwt(token, audience) {
      const answer = JSON.parse(
        await command('api', 'validate', 'jwt', '-audience', audience, '-svid', token, '-output', 'json'),
      ) as {
        readonly spiffe_id: string;
      };
      return answer.spiffe_id;
    },
    kill: () => end(child, 'SIGKILL'),
    start,
  };
}

interface JwtSvids {
  readonly svids: readonly { readonly svid: string }[];
}

const running = new Set<ChildProcess>();

function launch(program: string, args: readonly string[], folder: string): ChildProcess {
  const log = openSync(join(folder, 'log'), 'a');
  const child = spawn(program, args, { stdio: ['ignore', log, log] });
  running.add(child);
  child.once('exit', () => running.delete(child));
  return child;
}

/** Ends every server and agent, those too whose start failed or was given up. */
export async function stopSpire(): Promise<void> {
  await Promise.all([...running].map((child) => end(child, 'SIGTERM')));
}

async function untilHealthy(child: ChildProcess, folder: string, command: SpireServer['command']): Promise<void> {
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(
      `ended with ${code}: ${readFileSync(join(folder, 'log'), 'utf8').split('\n').slice(-8).join('\n')}`,
    );
  });
  // Nobody hears of its end later on.
  ended.catch(() => {});
  await Promise.race([ended, vi.waitFor(() => command('healthcheck'), PATIENCE)]);
}

async function end(child: ChildProcess, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill(signal);
  await exited;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}
