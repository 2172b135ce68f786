// What the surroundings do to the process. Kind: something that an operator's tools do every day (a reload, a rotated
// or full log) ends the gateway, and with it calls that are under way.

import { spawn } from 'node:child_process';
import { existsSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Environment, INJECTED_SECRET, startEnvironment } from '../support/environment.ts';

let env: Environment;
let file: string;
let original: string;
beforeAll(async () => {
  env = await startEnvironment();
  file = join(env.folder, 'countersign.yaml');
  original = readFileSync(file, 'utf8');
}, 60_000);
afterAll(() => env.close());

/** Sends SIGHUP and gives the events that the gateway logs about it, up to the first that says what became of it. */
async function hangUp(): Promise<string> {
  const from = env.log.length;
  process.kill(env.pid, 'SIGHUP');
  const said = () => env.log.slice(from).find(({ event }) => event === 'config.reloaded' || event === 'config.refused');
  while (said() === undefined) await fetch(`http://127.0.0.1:${env.ports.ops}/livez`);
  return String(said()?.event);
}

describe('SIGHUP', () => {
  it('has the configuration read again, also when it says the same, and no call is dropped', async () => {
    const answer = Promise.withResolvers<void>();
    env.upstream.respond((_request, response) => void answer.promise.then(() => response.end('{"ok":true}')));
    const call = env.call('/api/a');
    await env.upstream.arrived(0);
    expect(await hangUp()).toBe('config.reloaded');
    expect(await hangUp()).toBe('config.reloaded');
    answer.resolve();
    expect((await call).status).toBe(200);
  });

  it('puts a change in force', async () => {
    writeFileSync(file, original.replace('methods: [GET] }, decide: allow', 'methods: [HEAD] }, decide: allow'));
    expect(await hangUp()).toBe('config.reloaded');
    expect((await env.call('/api/a')).status).toBe(403);
    writeFileSync(file, original);
    expect(await hangUp()).toBe('config.reloaded');
    expect((await env.call('/api/a')).status).toBe(200);
  });

  it('keeps what is in force when the file is invalid', async () => {
    writeFileSync(file, original.replace('rules:', 'rulez:'));
    expect(await hangUp()).toBe('config.refused');
    expect((await env.call('/api/a')).status).toBe(200);
    writeFileSync(file, original);
    expect(await hangUp()).toBe('config.reloaded');
  });

  it('may come often', async () => {
    for (let i = 0; i < 50; i++) process.kill(env.pid, 'SIGHUP');
    expect(await hangUp()).toBe('config.reloaded');
    expect((await env.call('/api/a')).status).toBe(200);
  });
});

describe('a log that cannot be written', () => {
  it.skipIf(!existsSync('/dev/full'))('costs lines and no call (skipped where there is no /dev/full)', async () => {
    const ports = { agents: await freePort(), reviewers: await freePort(), ops: await freePort() };
    const path = join(env.folder, 'full.yaml');
    const listeners = Object.entries(ports).map(
      ([name, port]) => [`${name}: { address: 127.0.0.1:0`, `${name}: { address: 127.0.0.1:${port}`] as const,
    );
    writeFileSync(
      path,
      listeners.reduce((text, [from, to]) => text.replace(from, to), original.replaceAll('./data/', './full/')),
    );
    const full = openSync('/dev/full', 'w');
    const child = spawn(process.execPath, ['src/main.ts', 'serve', '--config', path], {
      stdio: ['ignore', full, full],
      env: { ...process.env, E2E_SECRET: INJECTED_SECRET },
    });
    const exited = new Promise((resolve) => void child.once('exit', resolve));
    try {
      await expect
        .poll(
          () =>
            fetch(`http://127.0.0.1:${ports.ops}/readyz`).then(
              ({ status }) => status,
              () => 0,
            ),
          { timeout: 25_000 },
        )
        .toBe(200);
      const headers = { authorization: `Bearer ${await env.token('agent-1')}` };
      for (let i = 0; i < 20; i++)
        expect((await fetch(`http://127.0.0.1:${ports.agents}/api/a`, { headers })).status).toBe(200);
      expect((await fetch(`http://127.0.0.1:${ports.ops}/readyz`)).status).toBe(200);
    } finally {
      child.kill('SIGTERM');
    }
    expect(await exited).toBe(0);
  });
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => void server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => void server.close(resolve));
  return port;
}
