// The reviewers' console for a test: the gateway in this process, the quickstart's real issuer, a recording upstream,
// and one agent that asks.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { type QuickstartIssuer, startQuickstartIssuer, type TokenHolder } from '../../config/quickstart/issuer.ts';
import { deskUrlOf, freePort } from '../../config/quickstart/layout.ts';
import { startGateway } from '../../src/assembly/gateway.ts';
import type { ConfigInput } from '../../src/config/schema.ts';
import { type Rule, type Rules, rule, type Section } from './config.ts';
import { type Recorder, startRecorder } from './recorder.ts';

export interface TestConsole {
  /** `http://localhost:<port>`. */
  readonly url: string;
  /** Where agents call. */
  readonly agents: string;
  readonly issuer: QuickstartIssuer;
  readonly upstream: Recorder;
  readonly folder: string;
  /** Lines that the gateway logged, parsed. */
  readonly log: readonly Readonly<Record<string, unknown>>[];
  /** What /metrics says. */
  metrics(): Promise<string>;
  /** A call of the agent's that does not wait; gives the hold's id. */
  ask(path: string, body: unknown, headers?: Readonly<Record<string, string>>, as?: TokenHolder): Promise<string>;
  /** Opens a task and gives its id. */
  openTask(objective: string, plan?: readonly string[]): Promise<string>;
  /** The same call, waiting for what people decide. */
  send(path: string, body: unknown, headers?: Readonly<Record<string, string>>): Promise<Response>;
  /** The hold as the reviewers' API shows it. */
  show(id: string, as?: TokenHolder): Promise<Record<string, unknown>>;
  close(): Promise<void>;
}

export const AUDIENCE = 'https://gateway.test';

/** Members and rules that come after those that are there. */
export interface MoreConfig {
  readonly login?: Partial<NonNullable<Section<'reviewers'>['login']>>;
  readonly reviewers?: Partial<Section<'reviewers'>>;
  readonly upstreams?: Section<'upstreams'>;
  readonly tiers?: Section<'tiers'>;
  readonly rules?: Rules;
  readonly notifications?: Section<'notifications'>;
  /** Issuers of more agents. */
  readonly issuers?: Section<'identity'>['issuers'];
  readonly resources?: Section<'resources'>;
  readonly meters?: Section<'meters'>;
  readonly taints?: Section<'taints'>;
}

export async function openConsole(more: MoreConfig = {}): Promise<TestConsole> {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-console-'));
  const port = await freePort();
  const url = deskUrlOf(port);
  const issuer = await startQuickstartIssuer({
    port: 0,
    dataDir: folder,
    gatewayAudience: AUDIENCE,
    ledgerAudience: 'https://ledger.test',
    deskUrl: url,
  });
  const upstream = await startRecorder();
  const configPath = join(folder, 'countersign.yaml');
  writeFileSync(join(folder, 'key'), 'upstream-secret-of-the-console-test');
  writeFileSync(configPath, stringify(configOf({ folder, port, url, issuer, upstream, more })));
  const lines: string[] = [];
  const gateway = await startGateway(configPath, { logTo: { write: (line) => void lines.push(line) } });
  const base = `http://127.0.0.1:${gateway.ports.agents}`;
  const call = async (
    path: string,
    body: unknown,
    headers: Readonly<Record<string, string>> = {},
    as: TokenHolder = 'agent',
  ) =>
    fetch(base + path, {
      method: 'POST',
      headers: { authorization: `Bearer ${await issuer.token(as)}`, 'content-type': 'application/json', ...headers },
      body: typeof body === 'string' ? body : JSON.stringify(body),
      // Longer than any wait of the gateway's: a call that hangs is a fault of its own, not of the browser's.
      signal: AbortSignal.timeout(60_000),
    });
  return {
    ...{ url, agents: base, issuer, upstream, folder },
    get log() {
      return lines.map((line) => JSON.parse(line));
    },
    metrics: async () => (await fetch(`http://127.0.0.1:${gateway.ports.ops}/metrics`)).text(),
    async ask(path, body, headers, as) {
      const response = await call(path, body, { prefer: 'wait=0', ...headers }, as);
      const id = response.headers.get('countersign-hold');
      if (id === null) throw new Error(`not held: ${response.status} ${await response.text()}`);
      return id;
    },
    async openTask(objective, plan = []) {
      const response = await call('/countersign/v1/tasks', { objective, plan, labels: [] });
      return ((await response.json()) as { id: string }).id;
    },
    send: (path, body, headers) => call(path, body, headers),
    async show(id, as = 'alice') {
      const response = await fetch(`http://127.0.0.1:${port}/api/v1/holds/${id}`, {
        headers: { authorization: `Bearer ${await issuer.token(as)}` },
      });
      return (await response.json()) as Record<string, unknown>;
    },
    async close() {
      await gateway.close();
      await Promise.all([issuer.close(), upstream.close()]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

interface Places {
  readonly folder: string;
  readonly port: number;
  readonly url: string;
  readonly issuer: QuickstartIssuer;
  readonly upstream: Recorder;
  readonly more: MoreConfig;
}

function configOf({ folder, port, url, issuer, upstream, more }: Places): ConfigInput {
  const secret = { file: join(folder, 'key') };
  const post = (path: string): Rule['match'] => ({ upstream: 'ledger', methods: ['POST'], path });
  return {
    listeners: {
      agents: { address: '127.0.0.1:0' },
      reviewers: { address: `127.0.0.1:${port}`, url },
      ops: { address: '127.0.0.1:0' },
    },
    store: { type: 'sqlite', path: './data/store.db' },
    audit: { path: './data/audit' },
    identity: {
      audience: [AUDIENCE],
      issuers: [{ name: 'local', type: 'oidc', issuer: issuer.issuer, algorithms: ['ES256'] }, ...(more.issuers ?? [])],
    },
    upstreams: { ledger: { url: upstream.origin, credential: 'key' }, ...more.upstreams },
    credentials: {
      key: { type: 'static', in: 'header', name: 'authorization', format: 'Bearer {secret}', secret },
    },
    tiers: {
      payment: { reviewers: ['group:finance'], count: 1 },
      'dual-control': { reviewers: ['group:finance'], count: 2 },
      quick: { reviewers: ['group:finance'], decideWithin: '2s' },
      explained: { reviewers: ['group:finance'], reasonRequired: true },
      proven: { reviewers: ['group:finance'], stepUp: true },
      escalating: {
        reviewers: ['group:finance'],
        reasonRequired: true,
        escalate: { after: '1s', to: ['user:mallory'] },
      },
      ...more.tiers,
    },
    rules: [
      rule.hold('escalating-transfers', post('/escalating'), { tier: 'escalating' }),
      rule.hold('transfers', post('/transfers'), { data: 'confidential', reversible: false }),
      rule.hold('large-transfers', post('/large'), { tier: 'dual-control', reversible: false }),
      rule.hold('rents', post('/rent')),
      rule.hold('quick-transfers', post('/quick'), { tier: 'quick' }),
      rule.hold('explained-transfers', post('/explained'), { tier: 'explained' }),
      rule.hold('proven-transfers', post('/proven'), { tier: 'proven' }),
      ...(more.rules ?? []),
    ],
    reviewers: {
      login: {
        issuer: issuer.issuer,
        clientId: 'desk',
        clientSecret: { file: issuer.clients.desk.secretFile },
        ...more.login,
      },
      api: { issuer: issuer.issuer, audience: 'countersign-review', clients: ['countersign-cli'] },
      ...more.reviewers,
    },
    limits: { wait: '20s', heldBody: '2MiB', pendingPerAgent: 100 },
    ...(more.notifications && { notifications: more.notifications }),
    ...(more.resources && { resources: more.resources }),
    ...(more.meters && { meters: more.meters }),
    ...(more.taints && { taints: more.taints }),
  };
}
