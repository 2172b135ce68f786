// What the surroundings do to the process. Kind: something that an operator's tools do every day (a reload, a rotated
// or full log) ends the gateway, and with it calls that are under way.

import { spawn } from 'node:child_process';
import { existsSync, openSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { describe, expect } from 'vitest';
import { stringify } from 'yaml';
import { ruleOf } from '../support/config.ts';
import { type Environment, INJECTED_SECRET } from '../support/environment.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';

const it = gatewayTest
  .extend('env', file, ({ environment }) => environment())
  .extend('original', file, ({ env }) => env.config);

/** No word to the gateway: that is what the signal is for. */
const write = (env: Environment, config: object): void => writeFileSync(env.configPath, stringify(config));

/** Sends SIGHUP and gives the events that the gateway logs about it, up to the first that says what became of it. */
async function hangUp(env: Environment): Promise<string> {
  const from = env.log.length;
  process.kill(env.pid, 'SIGHUP');
  const said = () => env.log.slice(from).find(({ event }) => event === 'config.reloaded' || event === 'config.refused');
  while (said() === undefined) await fetch(`http://127.0.0.1:${env.ports.ops}/livez`);
  return String(said()?.event);
}

describe('SIGHUP', () => {
  it('has the configuration read again, also when it says the same, and no call is dropped', async ({ env }) => {
    const answer = Promise.withResolvers<void>();
    env.upstream.respond((_request, response) => void answer.promise.then(() => response.end('{"ok":true}')));
    const call = env.call('/api/a');
    await env.upstream.arrived(0);
    expect(await hangUp(env)).toBe('config.reloaded');
    expect(await hangUp(env)).toBe('config.reloaded');
    answer.resolve();
    expect((await call).status).toBe(200);
  });

  it('puts a change in force', async ({ env, original }) => {
    const changed = structuredClone(original);
    ruleOf(changed, 'reads').match.methods = ['HEAD'];
    write(env, changed);
    expect(await hangUp(env)).toBe('config.reloaded');
    expect((await env.call('/api/a')).status).toBe(403);
    write(env, original);
    expect(await hangUp(env)).toBe('config.reloaded');
    expect((await env.call('/api/a')).status).toBe(200);
  });

  it('keeps what is in force when the file is invalid', async ({ env, original }) => {
    const { rules, ...others } = original;
    write(env, { ...others, rulez: rules });
    expect(await hangUp(env)).toBe('config.refused');
    expect((await env.call('/api/a')).status).toBe(200);
    write(env, original);
    expect(await hangUp(env)).toBe('config.reloaded');
  });

  it('may come often', async ({ env }) => {
    for (let i = 0; i < 50; i++) process.kill(env.pid, 'SIGHUP');
    expect(await hangUp(env)).toBe('config.reloaded');
    expect((await env.call('/api/a')).status).toBe(200);
  });
});

describe('a log that cannot be written', () => {
  it.skipIf(!existsSync('/dev/full'))(
    'costs lines and no call (skipped where there is no /dev/full)',
    async ({ env }) => {
      const ports = { agents: await freePort(), reviewers: await freePort(), ops: await freePort() };
      const path = env.variant('full', ({ listeners }) => {
        listeners.agents.address = `127.0.0.1:${ports.agents}`;
        listeners.reviewers = { address: `127.0.0.1:${ports.reviewers}` };
        listeners.ops = { address: `127.0.0.1:${ports.ops}` };
      });
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
    },
  );
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => void server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => void server.close(resolve));
  return port;
}
