// The whole product for a test: a real OIDC issuer, a recording upstream behind a real listener, and the gateway over a
// configuration file, in a process of its own that can be killed. Nothing is mocked; what the upstream received is what
// counts.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type IssuerOptions, startIssuer, type TestIssuer } from './oidc-issuer.ts';
import { createReviewerClient, type ReviewerClient } from './reviewer-client.ts';

export const GATEWAY_AUDIENCE = 'https://gateway.test';
export const REVIEW_AUDIENCE = 'countersign-review';
/** What the gateway injects upstream: search answers, logs, spans and records for it. */
export const INJECTED_SECRET = 'upstream-secret-7f3d9a2c51e8';

export interface RecordedRequest {
  readonly method: string;
  readonly url: string;
  readonly rawHeaders: readonly string[];
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

export type Respond = (request: RecordedRequest, response: ServerResponse) => void;

export interface Recorder {
  readonly origin: string;
  readonly requests: readonly RecordedRequest[];
  /** Resolves with the nth request (from 0) once it has arrived. */
  arrived(n: number): Promise<RecordedRequest>;
  /** Answers from now on; default `{"ok":true}`. */
  respond(how: Respond): void;
  close(): Promise<void>;
}

/** A text, or one that names what the environment has started. */
type Text = string | ((at: { readonly issuer: string; readonly origin: string; readonly folder: string }) => string);

export interface EnvironmentOptions {
  /** YAML of the `rules` list. Default: GET is allowed, POST /transfers is held for one of group:finance. */
  readonly rules?: string;
  /** YAML of the `tiers` map. */
  readonly tiers?: string;
  /** YAML of further members of `upstreams`. */
  readonly upstreams?: Text;
  /** YAML of further members of `credentials`. */
  readonly credentials?: Text;
  /** YAML of further sections. */
  readonly sections?: Text;
  /** What the issuer has besides its defaults. */
  readonly issuer?: Partial<IssuerOptions>;
  /** Where `api` leads; default: the recording upstream. */
  readonly apiOrigin?: string;
  /** YAML of the members of `upstreams.api` besides url and credential. */
  readonly api?: string;
  /** YAML of the `limits` map. */
  readonly limits?: string;
  /** YAML of further members of the agents' issuer entry, and of `reviewers.api`, with a comma before each. */
  readonly issuerEntry?: string;
  readonly reviewApi?: string;
  /** Whose tokens are reviewers'; default the environment's own issuer. */
  readonly reviewIssuer?: string;
  /** YAML of further members of `identity`. */
  readonly identity?: string;
  /** YAML of further members of `reviewers`. */
  readonly reviewers?: string;
  /** YAML of further members of `listeners.agents`. `call` speaks plain HTTP only. */
  readonly agents?: string;
  /** YAML of `listeners.reviewers`. Default: an address of 127.0.0.1. */
  readonly reviewersListener?: string;
  /** YAML of further members of `listeners.ops`. */
  readonly ops?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** How many files and sockets the gateway's process may have open; default: as many as this one. */
  readonly openFiles?: number;
}

export interface CallOptions {
  readonly method?: string;
  /** The subject of the token; default `agent-1`. */
  readonly as?: string;
  /** Claims besides the usual ones. */
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON unless it is a text. */
  readonly body?: unknown;
  readonly signal?: AbortSignal;
}

export interface Environment {
  readonly issuer: TestIssuer;
  readonly upstream: Recorder;
  readonly folder: string;
  readonly ports: { readonly agents: number; readonly reviewers: number; readonly ops: number };
  /** Of the gateway's process. */
  readonly pid: number;
  /** Lines that the gateway logged since it was started last, parsed. */
  readonly log: readonly Readonly<Record<string, unknown>>[];
  token(subject: string, claims?: Readonly<Record<string, unknown>>): Promise<string>;
  /** A call to the agents' listener. */
  call(path: string, options?: CallOptions): Promise<Response>;
  /** POST /api/transfers with this body. */
  transfer(body: unknown, options?: CallOptions): Promise<Response>;
  reviewer(
    subject: string,
    groups?: readonly string[],
    claims?: Readonly<Record<string, unknown>>,
  ): Promise<ReviewerClient>;
  /** Changes the configuration file and waits until the gateway has put it in force, or has refused it. */
  edit(change: (yaml: string) => string): Promise<'config.reloaded' | 'config.refused'>;
  /** Resolves with the first log line of this event that comes after the call, or is there already. */
  logged(event: string): Promise<Readonly<Record<string, unknown>>>;
  /** SIGKILL: nothing is flushed. */
  kill(): Promise<void>;
  /** SIGTERM, and resolves when the process has ended. */
  terminate(): Promise<number | null>;
  /** Starts the gateway again on the same files. */
  start(): Promise<void>;
  close(): Promise<void>;
}

const DEFAULT_RULES = `
  - { id: reads, match: { upstream: api, methods: [GET] }, decide: allow }
  - { id: transfers, match: { upstream: api, methods: [POST], path: /transfers }, decide: hold, tier: payment }
`;
const DEFAULT_TIERS = '{ payment: { reviewers: ["group:finance"], count: 1, decideWithin: 5m, useWithin: 2m } }';

export async function startEnvironment(options: EnvironmentOptions = {}): Promise<Environment> {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-e2e-'));
  const issuer = await startIssuer({ clients: [{ id: 'unused', secret: 'unused-secret' }], ...options.issuer });
  const upstream = await startRecorder();
  const configPath = join(folder, 'countersign.yaml');
  writeFileSync(configPath, configText(options, issuer.issuer, options.apiOrigin ?? upstream.origin, folder));
  const tokens = new Map<string, Promise<string>>();
  let gateway = await launch(configPath, options);

  const sign = (claims: Readonly<Record<string, unknown>>): Promise<string> => {
    const key = JSON.stringify(claims);
    const known = tokens.get(key) ?? issuer.sign(claims);
    tokens.set(key, known);
    return known;
  };

  const environment: Environment = {
    issuer,
    upstream,
    folder,
    get ports() {
      return gateway.ports;
    },
    get pid() {
      return gateway.pid;
    },
    get log() {
      return gateway.lines;
    },
    token: (subject, claims = {}) => sign({ sub: subject, aud: GATEWAY_AUDIENCE, ...claims }),
    async call(path, { method = 'GET', as = 'agent-1', claims, headers = {}, body, signal } = {}) {
      const json = body === undefined || typeof body === 'string' ? body : JSON.stringify(body);
      return fetch(`http://127.0.0.1:${gateway.ports.agents}${path}`, {
        method,
        redirect: 'manual',
        headers: {
          authorization: `Bearer ${await environment.token(as, claims)}`,
          ...(json !== undefined && { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(json !== undefined && { body: json }),
        ...(signal && { signal }),
      });
    },
    transfer: (body, more) => environment.call('/api/transfers', { method: 'POST', body, ...more }),
    async reviewer(subject, groups = ['finance'], claims = {}) {
      const token = await sign({
        sub: subject,
        aud: REVIEW_AUDIENCE,
        client_id: 'countersign-cli',
        groups,
        auth_time: Math.floor(Date.now() / 1000),
        ...claims,
      });
      return createReviewerClient(() => `http://127.0.0.1:${gateway.ports.reviewers}`, token);
    },
    async edit(change) {
      const from = gateway.lines.length;
      writeFileSync(configPath, change(readFileSync(configPath, 'utf8')));
      const line = await gateway.line(({ event }) => event === 'config.reloaded' || event === 'config.refused', from);
      return line.event as 'config.reloaded' | 'config.refused';
    },
    logged: (event) => gateway.line((line) => line.event === event, 0),
    kill: () => gateway.end('SIGKILL').then(() => {}),
    terminate: () => gateway.end('SIGTERM'),
    async start() {
      gateway = await launch(configPath, options);
    },
    async close() {
      await gateway.end('SIGTERM');
      await Promise.all([issuer.close(), upstream.close()]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
  return environment;
}

/**
 * All that the gateway has written so far: its log since it was started last, and every file below its data folder, as
 * latin1 text.
 */
export function writtenBy({ folder, log }: Pick<Environment, 'folder' | 'log'>): string {
  const files = readdirSync(join(folder, 'data'), { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  return [
    JSON.stringify(log),
    ...files.map(({ parentPath, name }) => readFileSync(join(parentPath, name), 'latin1')),
  ].join('\n');
}

function configText(
  {
    rules,
    tiers,
    upstreams = '',
    credentials = '',
    api = '',
    limits,
    issuerEntry = '',
    reviewApi = '',
    reviewIssuer,
    identity = '',
    reviewers = '',
    sections = '',
    agents = '',
    reviewersListener,
    ops = '',
  }: EnvironmentOptions,
  issuer: string,
  origin: string,
  folder: string,
): string {
  const write = (text: Text): string => (typeof text === 'string' ? text : text({ issuer, origin, folder }));
  return `
listeners:
  agents: { address: 127.0.0.1:0${agents} }
  reviewers: ${reviewersListener ?? '{ address: 127.0.0.1:0 }'}
  ops: { address: 127.0.0.1:0${ops} }
store: { type: sqlite, path: ./data/store.db }
audit: { path: ./data/audit }
identity:
  audience: [${GATEWAY_AUDIENCE}]
  issuers:
    - { name: test, type: oidc, issuer: ${issuer}, algorithms: [ES256]${issuerEntry} }
${identity}
upstreams:
  api: { url: "${origin}", credential: key${api} }
${write(upstreams)}
credentials:
  key: { type: static, in: header, name: authorization, format: "Bearer {secret}", secret: { env: E2E_SECRET } }
${write(credentials)}
tiers: ${tiers ?? DEFAULT_TIERS}
rules:
${rules ?? DEFAULT_RULES}
reviewers:
  api: { issuer: "${reviewIssuer ?? issuer}", audience: ${REVIEW_AUDIENCE}, clients: [countersign-cli]${reviewApi} }
${reviewers}
limits: ${limits ?? '{ wait: 20s }'}
${write(sections)}
`;
}

interface Launched {
  readonly pid: number;
  readonly ports: Environment['ports'];
  readonly lines: readonly Readonly<Record<string, unknown>>[];
  line(
    match: (line: Readonly<Record<string, unknown>>) => boolean,
    from: number,
  ): Promise<Readonly<Record<string, unknown>>>;
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null>;
}

async function launch(
  configPath: string,
  { env, openFiles }: Pick<EnvironmentOptions, 'env' | 'openFiles'>,
): Promise<Launched> {
  const command = [process.execPath, 'src/main.ts', 'serve', '--config', configPath];
  // `exec` keeps the process that is signalled.
  const [file = '', ...args] =
    openFiles === undefined ? command : ['sh', '-c', `ulimit -n ${openFiles} && exec "$0" "$@"`, ...command];
  const child: ChildProcess = spawn(file, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, E2E_SECRET: INJECTED_SECRET, ...env },
  });
  const exited = once(child, 'exit') as Promise<[number | null]>;
  const lines: Readonly<Record<string, unknown>>[] = [];
  const stderr: string[] = [];
  const waiting = new Set<() => void>();
  if (child.stdout === null || child.stderr === null) throw new Error('no pipes');
  createInterface({ input: child.stdout }).on('line', (text) => {
    lines.push(JSON.parse(text));
    for (const look of waiting) look();
  });
  createInterface({ input: child.stderr }).on('line', (text) => stderr.push(text));

  const line: Launched['line'] = (match, from) =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const found = lines.slice(from).find(match);
        if (found === undefined) return;
        waiting.delete(look);
        resolve(found);
      };
      waiting.add(look);
      look();
      void exited.then(([code]) => {
        if (waiting.delete(look)) reject(new Error(`the gateway ended with ${code}: ${stderr.join('\n')}`));
      });
    });
  const ready = await line(({ event }) => event === 'ready', 0);
  return {
    pid: child.pid ?? 0,
    ports: ready.ports as Environment['ports'],
    lines,
    line,
    async end(signal) {
      if (child.exitCode === null && child.signalCode === null) child.kill(signal);
      return (await exited)[0];
    },
  };
}

export async function startRecorder(): Promise<Recorder> {
  const requests: RecordedRequest[] = [];
  const waiting = new Set<() => void>();
  let respond: Respond = (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end('{"ok":true}');
  };
  const server = createServer(async (incoming, response) => {
    let body = '';
    incoming.setEncoding('utf8');
    try {
      for await (const chunk of incoming) body += chunk;
    } catch {
      return;
    }
    const request = {
      method: incoming.method ?? '',
      url: incoming.url ?? '',
      rawHeaders: incoming.rawHeaders,
      headers: incoming.headers,
      body,
    };
    requests.push(request);
    for (const look of waiting) look();
    respond(request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    arrived: (n) =>
      new Promise((resolve) => {
        const look = (): void => {
          const request = requests[n];
          if (request === undefined) return;
          waiting.delete(look);
          resolve(request);
        };
        waiting.add(look);
        look();
      }),
    respond(how) {
      respond = how;
    },
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}
