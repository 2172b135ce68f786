import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { choosePorts, ROOT } from '../../config/quickstart/layout.ts';

const PARTS = ['AGENTS', 'REVIEWERS', 'OPS', 'ISSUER', 'LEDGER', 'TOOLS', 'TRACES'];
let env: NodeJS.ProcessEnv;
let dataDir: string;
let started: ChildProcess | undefined;

/**
 * Everything on ports and in a folder of its own; the ports stay the same over a restart, and so do the names of its
 * principals.
 */
beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'countersign-start-'));
  const ports = await choosePorts(Object.fromEntries(PARTS.map((part) => [`QUICKSTART_${part}_PORT`, '0'])));
  env = { ...process.env, QUICKSTART_DATA: dataDir };
  for (const part of PARTS) env[`QUICKSTART_${part}_PORT`] = String(ports[part.toLowerCase() as keyof typeof ports]);
  for (const name of Object.keys(env)) if (name.startsWith('OTEL_')) delete env[name];
});
afterAll(async () => {
  if (started?.exitCode === null) await stop();
  rmSync(dataDir, { recursive: true, force: true });
});

async function start(): Promise<string> {
  const child = spawn(process.execPath, [join(ROOT, 'config/quickstart/start.ts')], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  started = child;
  let printed = '';
  child.stderr.on('data', (chunk) => (printed += chunk));
  for await (const line of createInterface({ input: child.stdout })) {
    printed += `${line}\n`;
    if (line.includes('npm run tour')) return printed;
  }
  throw new Error(`it did not start:\n${printed}`);
}

async function stop(): Promise<number | null> {
  const exit = once(started as ChildProcess, 'exit');
  started?.stdout?.resume();
  started?.kill('SIGINT');
  const [code] = (await exit) as [number | null];
  return code;
}

const node = async (script: string, ...args: string[]) =>
  (await promisify(execFile)(process.execPath, [join(ROOT, script), ...args], { env })).stdout;
const url = (part: string, path: string) => `http://127.0.0.1:${env[`QUICKSTART_${part}_PORT`]}${path}`;
const transfer = async (amount: number, extra: Record<string, string> = {}) =>
  fetch(url('AGENTS', '/ledger/transfers'), {
    method: 'POST',
    headers: {
      authorization: `Bearer ${(await node('config/quickstart/token.ts', 'agent')).trim()}`,
      'content-type': 'application/json',
      ...extra,
    },
    body: JSON.stringify({ from: 'operations', to: 'suppliers', amount, currency: 'EUR' }),
  });

describe('the quickstart', () => {
  it('starts everything and prints commands to copy', { timeout: 60_000 }, async () => {
    const printed = await start();
    expect(printed).toContain(
      `curl -s ${url('AGENTS', '/ledger/accounts')} -H "Authorization: Bearer $(npm run -s token -- agent)"`,
    );
    expect((await fetch(url('OPS', '/readyz'))).status).toBe(200);
  });

  it('prints one token, and nothing else', async () => {
    for (const holder of ['agent', 'alice', 'bob'])
      expect(await node('config/quickstart/token.ts', holder)).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+\n$/);
    await expect(node('config/quickstart/token.ts', 'root')).rejects.toMatchObject({ code: 2, stdout: '' });
  });

  it('plays the whole tour: allowed, held, approved, executed, recorded, traced', { timeout: 60_000 }, async () => {
    const said = await node('config/quickstart/tour.ts', '--approve');
    expect(said).toMatch(/1\. A read.*\n {3}200\n {3}\{"accounts":/);
    expect(said).toMatch(/409 Countersign-Hold: hold_/);
    expect(said).toMatch(/Approved: hold_\S+ is now APPROVED/);
    expect(said).toMatch(/4\. The answer:\n {3}201 Countersign-Hold: hold_/);
    expect(said).toMatch(/ vote phase=counted state=APPROVED reviewer=\S+#alice/);
    expect(said).toMatch(/ hold state=EXECUTED/);
    const traces = new Set([...said.matchAll(/ trace=(\w{32}) /g)].map(([, id]) => id));
    expect(traces.size).toBeGreaterThanOrEqual(2);
    expect(said).toMatch(/"countersign\.release" .* link=/);
    expect(await node('src/main.ts', 'audit', 'verify', join(dataDir, 'audit'))).toMatch(/^OK: /);
  });

  it('leaves no token and no secret in logs, traces and the record', async () => {
    const secret = readFileSync(join(dataDir, 'quickstart/countersign-client-secret'), 'utf8');
    const token = (await node('config/quickstart/token.ts', 'agent')).trim();
    const signature = token.slice(token.lastIndexOf('.') + 1);
    const files = [
      ...['gateway.log', 'traces.log', 'tools.log'].map((name) => `quickstart/${name}`),
      ...readdirSync(join(dataDir, 'audit')).map((name) => `audit/${name}`),
    ];
    const written = files.map((name) => readFileSync(join(dataDir, name), 'utf8')).join('\n');
    expect(written).toContain('EXECUTED');
    for (const text of [secret, signature, 'Bearer ', 'eyJ']) expect(written).not.toContain(text);
  });

  it('denies what a rule denies', async () => {
    expect(await (await transfer(7000)).json()).toMatchObject({
      status: 403,
      code: 'denied',
      reasons: ['rule:large-transfers'],
    });
  });

  it('keeps the MCP reference server on this machine, and behind the gateway', async () => {
    const response = await fetch(url('AGENTS', '/tools'), {
      method: 'POST',
      headers: {
        authorization: `Bearer ${(await node('config/quickstart/token.ts', 'agent')).trim()}`,
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
      },
      body: JSON.stringify({
        jsonrpc: '2.0',
        id: 1,
        method: 'initialize',
        params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'test', version: '1' } },
      }),
    });
    expect(response.status).toBe(200);
    expect(await response.text()).toContain('"protocolVersion"');
  });

  it('stops cleanly on Ctrl-C and finds a pending hold again after the next start', { timeout: 60_000 }, async () => {
    const pending = await transfer(3, { prefer: 'wait=0' });
    const hold = pending.headers.get('countersign-hold') ?? '';
    expect(pending.status).toBe(409);
    expect(await stop()).toBe(0);
    for (const part of PARTS) await expect(fetch(url(part, '/'))).rejects.toThrow();
    await expect(node('config/quickstart/token.ts', 'agent')).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining('npm start'),
    });

    await start();
    env.COUNTERSIGN_TOKEN = (await node('config/quickstart/token.ts', 'bob')).trim();
    env.COUNTERSIGN_URL = url('REVIEWERS', '');
    expect(await node('src/main.ts', 'holds', 'list')).toContain(`${hold}  PENDING`);
    await node('src/main.ts', 'holds', 'approve', hold, '--yes');
    const answer = await transfer(3);
    expect(answer.status).toBe(201);
    expect(answer.headers.get('countersign-hold')).toBe(hold);
    expect(await stop()).toBe(0);
  });
});
