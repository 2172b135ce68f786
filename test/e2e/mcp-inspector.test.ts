// The MCP Inspector in CLI mode as a client of the gateway. It is not among the dependencies, for its size: skipped
// unless `mcp-inspector` is on the PATH, or MCP_INSPECTOR names its script (npm install --ignore-scripts
// @modelcontextprotocol/inspector is enough to have it).

import { spawn } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { describe, expect } from 'vitest';
import type { Environment } from '../support/environment.ts';
import { twoBanksTest } from '../support/two-banks.ts';

const script = process.env.MCP_INSPECTOR ?? onPath('mcp-inspector');

function onPath(name: string): string | undefined {
  const found = (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, name));
  return found.find((file) => existsSync(file));
}

const it = twoBanksTest({ limits: { wait: '20s' } });

describe.skipIf(script === undefined)('the Inspector in CLI mode', { timeout: 120_000 }, () => {
  /** Its standard output as JSON, after it has ended. */
  async function run(env: Environment, mount: string, ...args: readonly string[]): Promise<Record<string, unknown>> {
    const url = `http://127.0.0.1:${env.ports.agents}/${mount}`;
    const header = `Authorization: Bearer ${await env.token('agent-1')}`;
    const child = spawn(
      process.execPath,
      [realpathSync(script ?? ''), '--cli', url, '--transport', 'http', '--header', header, ...args],
      {
        stdio: ['ignore', 'pipe', 'pipe'],
        // It keeps a catalogue of servers in the home folder.
        env: { ...process.env, HOME: env.folder },
      },
    );
    const [out, err] = await Promise.all([textOf(child.stdout), textOf(child.stderr)]);
    if (!out.trimStart().startsWith('{')) throw new Error(`${out}\n${err}`);
    return JSON.parse(out) as Record<string, unknown>;
  }

  it.for([
    ['tools', 'legacy'],
    ['modern', 'modern'],
  ] as const)(
    'lists, calls, and completes a held call when it is approved: %s, protocol era %s',
    async ([mount, era], { env, alice }) => {
      const inspect = (...args: readonly string[]) => run(env, mount, '--protocol-era', era, ...args);
      const { tools } = (await inspect('--method', 'tools/list')) as { tools: { name: string }[] };
      expect(tools.map(({ name }) => name)).toEqual(['transfer_funds', 'read_balance']);
      expect(await inspect('--method', 'tools/call', '--tool-name', 'read_balance')).toMatchObject({
        content: [{ text: 'done read_balance' }],
      });
      const { hold } = await alice.expect('PENDING');
      const answer = inspect('--method', 'tools/call', '--tool-name', 'transfer_funds', '--tool-arg', 'amount=7');
      await alice.approve(
        await Promise.race([hold, answer.then((early) => Promise.reject(new Error(JSON.stringify(early))))]),
      );
      expect(await answer).toMatchObject({ content: [{ text: 'done transfer_funds' }] });
    },
  );
});

async function textOf(stream: NodeJS.ReadableStream): Promise<string> {
  let text = '';
  for await (const chunk of stream.setEncoding('utf8')) text += chunk;
  return text;
}
