// Held tool calls as the MCP Python SDK lives through them, with its default configuration. Skipped where that SDK is
// not installed (`pip install mcp`; PYTHON names the interpreter, default python3).

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createInterface } from 'node:readline';
import { afterEach, describe, expect } from 'vitest';
import type { Environment } from '../support/environment.ts';
import { twoBanksTest } from '../support/two-banks.ts';

const PYTHON = process.env.PYTHON ?? 'python3';
const installed = spawnSync(PYTHON, ['-c', 'from mcp import Client']).status === 0;

const it = twoBanksTest({ limits: { wait: '1s', pendingPerAgent: 100 } });

describe.skipIf(!installed)('a Python client', { timeout: 60_000 }, () => {
  let running: ChildProcess | undefined;
  afterEach(() => running?.kill());

  async function start(env: Environment, mount: string, mode: string) {
    const url = `http://127.0.0.1:${env.ports.agents}/${mount}`;
    const child = spawn(PYTHON, ['test/support/mcp-client.py', url, await env.token('agent-1'), mode], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    running = child;
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const read = async () => JSON.parse(String((await lines.next()).value));
    expect(await read()).toEqual({ ready: true });
    return (amount: number) => {
      child.stdin.write(`${amount}\n`);
      return read();
    };
  }

  it('of a 2025 revision is told that its call is pending, and completes it by the retry', async ({ env, alice }) => {
    const call = await start(env, 'tools', 'legacy');
    const pending = await call(1);
    expect(pending).toMatchObject({ isError: true, _meta: { 'countersign/code': 'approval_pending' } });
    await alice.approve(pending._meta['countersign/hold']);
    expect(await call(1)).toMatchObject({ isError: false, content: [{ text: 'done transfer_funds' }] });
  });

  it('of protocol 2026-07-28 comes back by itself', async ({ env, alice, modernBank }) => {
    const call = await start(env, 'modern', 'auto');
    const { hold } = await alice.expect('PENDING');
    const answer = call(2);
    const id = await hold;
    await expect
      .poll(() => env.log.some((line) => line.error === 'approval_pending' && line.hold === id), { timeout: 10_000 })
      .toBe(true);
    await alice.approve(id);
    expect(await answer).toMatchObject({ content: [{ text: 'done transfer_funds' }] });
    expect(modernBank.ran).toEqual([{ name: 'transfer_funds', args: { amount: 2 } }]);
  });
});
