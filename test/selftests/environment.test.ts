// What every end-to-end test relies on, proved once: a failure says what the gateway logged and who built it, an
// environment leaves nothing behind, and an edit is in force when it resolves.

import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { expect, it } from 'vitest';
import { rule, ruleOf } from '../support/config.ts';
import { startEnvironment } from '../support/environment.ts';

/** The test that fails on purpose, in a vitest of its own. */
function runFailing(env: NodeJS.ProcessEnv = {}) {
  const args = ['node_modules/vitest/vitest.mjs', 'run', '--config', 'test/selftests/failing.config.ts'];
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NO_COLOR: '1', ...env },
  });
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  return { child, ended };
}

it('a failed test prints where its gateway listens, what the gateway logged, and who built it', async () => {
  const { child, ended } = runFailing();
  const [out, err, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  expect(code).toBe(1);
  expect(out + err).toContain('The gateway that was built at test/selftests/failing.ts:6');
  expect(out + err).toMatch(/agents: http:\/\/127\.0\.0\.1:\d+\n/);
  expect(out + err).toMatch(/\{.*"event":"ready".*\}/);
}, 60_000);

it('a failed test waits with COUNTERSIGN_TEST_PAUSE=1, its gateway still running, until it is told to go on', async () => {
  const { child, ended } = runFailing({ COUNTERSIGN_TEST_PAUSE: '1' });
  const told = Promise.withResolvers<{ url: string; pid: number }>();
  let url = '';
  for (const input of [child.stdout, child.stderr])
    createInterface({ input }).on('line', (line) => {
      url = /ops: (http:\S+)/.exec(line)?.[1] ?? url;
      const pid = /kill -USR2 (\d+)/.exec(line)?.[1];
      if (pid !== undefined) told.resolve({ url, pid: Number(pid) });
    });
  const paused = await told.promise;
  expect((await fetch(`${paused.url}/livez`)).status).toBe(200);
  process.kill(paused.pid, 'SIGUSR2');
  expect(await ended).toBe(1);
  await expect(fetch(`${paused.url}/livez`)).rejects.toThrow();
}, 60_000);

it('an environment closes everything that it opened', async () => {
  const env = await startEnvironment();
  const { pid, folder } = env;
  const urls = [env.issuer.issuer, env.upstream.origin, `http://127.0.0.1:${env.ports.ops}/livez`];
  for (const url of urls) expect((await fetch(url)).status).toBeGreaterThan(0);
  await env.close();
  for (const url of urls) await expect(fetch(url)).rejects.toThrow();
  expect(() => process.kill(pid, 0)).toThrow(expect.objectContaining({ code: 'ESRCH' }));
  expect(existsSync(folder)).toBe(false);
});

it('an edit is in force, or refused, when it resolves', async () => {
  const env = await startEnvironment({ rules: [rule.allow('reads', { methods: ['GET'] })] });
  try {
    const before = env.config;
    for (let round = 0; round < 3; round++) {
      expect(await env.edit(({ rules }) => rules.push(rule.deny('no-reads')))).toBe('config.reloaded');
      expect((await env.call('/api/x')).status).toBe(403);
      expect(await env.edit(before)).toBe('config.reloaded');
      expect((await env.call('/api/x')).status).toBe(200);
    }
    const perhaps = { decide: 'perhaps' };
    expect(await env.edit((config) => Object.assign(ruleOf(config, 'reads'), perhaps))).toBe('config.refused');
    expect((await env.call('/api/x')).status).toBe(200);
    await expect(env.edit(() => {})).rejects.toThrow('the edit changes nothing');
  } finally {
    await env.close();
  }
});
