// The whole product for a test: a real OIDC issuer, a recording upstream behind a real listener, and the gateway over a
// configuration file, in a process of its own that can be killed. Nothing is mocked; what the upstream received is what
// counts.

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import {
  GATEWAY_AUDIENCE,
  type GivenConfig,
  REVIEW_AUDIENCE,
  type Started,
  type WholeConfig,
  wholeConfig,
} from './config.ts';
import { type LogLine, type Ports, type ProcessOptions, startGatewayProcess } from './gateway-process.ts';
import { type IssuerOptions, startIssuer, type TestIssuer } from './oidc-issuer.ts';
import { callerPlace, showOnFailure } from './open-environments.ts';
import { type Recorder, startRecorder } from './recorder.ts';
import { createReviewerClient, type ReviewerClient } from './reviewer-client.ts';

/** What the gateway injects upstream: search answers, logs, spans and records for it. */
export const INJECTED_SECRET = 'upstream-secret-7f3d9a2c51e8';

/** The configuration, or what makes it from what the environment has started. */
export type Given = GivenConfig | ((started: Started) => GivenConfig);

export interface EnvironmentOptions extends ProcessOptions {
  /** What the issuer has besides its defaults. */
  readonly issuer?: Partial<IssuerOptions>;
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

type Edited = 'config.reloaded' | 'config.refused';

export interface Environment {
  readonly issuer: TestIssuer;
  readonly upstream: Recorder;
  readonly folder: string;
  readonly configPath: string;
  readonly ports: Ports;
  /** Of the gateway's process. */
  readonly pid: number;
  /** What the gateway has logged since it was started last. */
  readonly log: readonly LogLine[];
  /** What stands in the configuration file now. */
  readonly config: WholeConfig;
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
  /**
   * Changes the configuration in place, or puts another one there, and waits until the gateway has put it in force or has
   * refused it. An edit that changes nothing is a fault of the test: the gateway would say nothing about it.
   */
  edit(change: ((config: WholeConfig) => void) | WholeConfig): Promise<Edited>;
  /** The same for the file's text, for tests that are about the file itself. */
  editText(change: (yaml: string) => string): Promise<Edited>;
  /** Writes the configuration, changed, beside the one that is in force, with data of its own, and gives its path. */
  variant(name: string, change?: (config: WholeConfig) => void): string;
  /** Resolves with the first log line of this event that comes after the call, or is there already. */
  logged(event: string): Promise<LogLine>;
  /** SIGKILL: nothing is flushed. */
  kill(): Promise<void>;
  /** SIGTERM, and resolves when the process has ended. */
  terminate(): Promise<number | null>;
  /** Starts the gateway again on the same files. */
  start(): Promise<void>;
  close(): Promise<void>;
}

export async function startEnvironment(
  given: Given = {},
  { issuer: issuerOptions, ...options }: EnvironmentOptions = {},
): Promise<Environment> {
  const builtAt = callerPlace();
  const folder = mkdtempSync(join(tmpdir(), 'countersign-e2e-'));
  const issuer = await startIssuer({ clients: [{ id: 'unused', secret: 'unused-secret' }], ...issuerOptions });
  const upstream = await startRecorder();
  const configPath = join(folder, 'countersign.yaml');
  const started = { issuer: issuer.issuer, origin: upstream.origin, folder };
  writeFileSync(configPath, textOf(wholeConfig(typeof given === 'function' ? given(started) : given, started)));
  const launch = () =>
    startGatewayProcess(configPath, { ...options, env: { E2E_SECRET: INJECTED_SECRET, ...options.env } });
  const tokens = new Map<string, Promise<string>>();
  let gateway = await launch().catch(async (fault) => {
    await Promise.all([issuer.close(), upstream.close()]);
    rmSync(folder, { recursive: true, force: true });
    throw fault;
  });

  const sign = (claims: Readonly<Record<string, unknown>>): Promise<string> => {
    const key = JSON.stringify(claims);
    const known = tokens.get(key) ?? issuer.sign(claims);
    tokens.set(key, known);
    return known;
  };
  const urlOf = (plane: keyof Ports) => `http://127.0.0.1:${gateway.ports[plane]}`;
  const shown = showOnFailure(() => ({
    builtAt,
    urls: { agents: urlOf('agents'), reviewers: urlOf('reviewers'), ops: urlOf('ops'), upstream: upstream.origin },
    log: gateway.lines,
  }));

  const environment: Environment = {
    issuer,
    upstream,
    folder,
    configPath,
    get ports() {
      return gateway.ports;
    },
    get pid() {
      return gateway.pid;
    },
    get log() {
      return gateway.lines;
    },
    get config() {
      return parse(readFileSync(configPath, 'utf8')) as WholeConfig;
    },
    token: (subject, claims = {}) => sign({ sub: subject, aud: GATEWAY_AUDIENCE, ...claims }),
    async call(path, { method = 'GET', as = 'agent-1', claims, headers = {}, body, signal } = {}) {
      const json = body === undefined || typeof body === 'string' ? body : JSON.stringify(body);
      return fetch(`${urlOf('agents')}${path}`, {
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
      return createReviewerClient(() => urlOf('reviewers'), token);
    },
    async edit(change) {
      const config = environment.config;
      if (typeof change === 'function') change(config);
      return environment.editText(() => textOf(typeof change === 'function' ? config : change));
    },
    async editText(change) {
      const from = gateway.lines.length;
      const before = readFileSync(configPath, 'utf8');
      const after = change(before);
      if (after === before) throw new Error('the edit changes nothing');
      writeFileSync(configPath, after);
      const line = await gateway.line(({ event }) => event === 'config.reloaded' || event === 'config.refused', from);
      return line.event as Edited;
    },
    variant(name, change = () => {}) {
      const config = environment.config;
      config.store.path = `./${name}/store.db`;
      config.audit.path = `./${name}/audit`;
      change(config);
      const path = join(folder, `${name}.yaml`);
      writeFileSync(path, textOf(config));
      return path;
    },
    logged: (event) => gateway.line((line) => line.event === event, 0),
    kill: () => gateway.end('SIGKILL').then(() => {}),
    terminate: () => gateway.end('SIGTERM'),
    async start() {
      gateway = await launch();
    },
    async close() {
      shown.close();
      await gateway.end('SIGTERM');
      await Promise.all([issuer.close(), upstream.close()]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
  return environment;
}

const textOf = (config: WholeConfig): string => stringify(config, { lineWidth: 0 });

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
