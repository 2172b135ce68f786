// Held tool calls as the MCP Python SDK lives through them, with its default configuration. Skipped where that SDK is
// not installed (`pip install mcp`; PYTHON names the interpreter, default python3).

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { rule } from '../support/config.ts';
import { type Environment, startEnvironment } from '../support/environment.ts';
import { type McpUpstream, startMcpUpstream, startStatelessUpstream } from '../support/mcp-upstream.ts';

const PYTHON = process.env.PYTHON ?? 'python3';
const installed = spawnSync(PYTHON, ['-c', 'from mcp import Client']).status === 0;

describe.skipIf(!installed)('a Python client', { timeout: 60_000 }, () => {
  let env: Environment;
  let bank: McpUpstream;
  let modernBank: McpUpstream;
  let running: ChildProcess | undefined;

  beforeAll(async () => {
    [bank, modernBank] = await Promise.all([startMcpUpstream(), startStatelessUpstream()]);
    env = await startEnvironment({
      upstreams: {
        tools: { url: bank.url, protocol: 'mcp' },
        modern: { url: modernBank.url, protocol: 'mcp' },
      },
      rules: [rule.hold('pay', { tool: 'transfer_funds' })],
      limits: { wait: '1s', pendingPerAgent: 100 },
    });
  }, 60_000);
  afterAll(async () => {
    running?.kill();
    await env.close();
    await Promise.all([bank.close(), modernBank.close()]);
  }, 60_000);

  async function start(mount: string, mode: string) {
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

  it('of a 2025 revision is told that its call is pending, and completes it by the retry', async () => {
    const call = await start('tools', 'legacy');
    const alice = await env.reviewer('alice');
    const pending = await call(1);
    expect(pending).toMatchObject({ isError: true, _meta: { 'countersign/code': 'approval_pending' } });
    await alice.approve(pending._meta['countersign/hold']);
    expect(await call(1)).toMatchObject({ isError: false, content: [{ text: 'done transfer_funds' }] });
    running?.kill();
  });

  it('of protocol 2026-07-28 comes back by itself', async () => {
    const call = await start('modern', 'auto');
    const alice = await env.reviewer('alice');
    const { hold } = await alice.expect('PENDING');
    const answer = call(2);
    const id = await hold;
    await expect
      .poll(() => env.log.some((line) => line.error === 'approval_pending' && line.hold === id), { timeout: 10_000 })
      .toBe(true);
    await alice.approve(id);
    expect(await answer).toMatchObject({ content: [{ text: 'done transfer_funds' }] });
    expect(modernBank.ran).toEqual([{ name: 'transfer_funds', args: { amount: 2 } }]);
    running?.kill();
  });
});
