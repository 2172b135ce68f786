// `countersign novelty seed`: what the audit log tells is known afterwards, and nothing else. Kind: a first day on which
// everything is new, and a log that teaches what was denied.

import { rmSync } from 'node:fs';
import { expect, vi } from 'vitest';
import { run } from '../../src/cli/novelty.ts';
import { rule } from '../support/config.ts';
import { gatewayTest } from '../support/gateway-test.ts';
import { newAgent, post } from '../support/reads-and-sends.ts';

const it = gatewayTest.extend('env', ({ environment }) =>
  environment({
    rules: [
      rule.allow('things', { upstream: 'api', path: '/things/*' }),
      rule.deny('never', { upstream: 'api', path: '/things/never' }),
      rule.deny('first', { upstream: 'api', path: '/things/*' }, { when: 'novel.operation && has(args.careful)' }),
    ],
  }),
);

it('makes answered calls known and denied ones not', async ({ env }) => {
  const [agent, other] = [newAgent(), newAgent()];
  expect(await post(env, '/api/things/1', agent, {})).toBe('sent');
  expect(await post(env, '/api/things/never', other, {})).toBe('denied');
  await env.kill();
  for (const end of ['', '-wal', '-shm']) rmSync(`${env.folder}/data/store.db${end}`, { force: true });
  vi.stubEnv('E2E_SECRET', 'of-the-gateway');
  let text = '';
  const io = { ...process, stdout: { write: (line: string) => (text += line) } } as unknown as Parameters<
    typeof run
  >[1];
  expect(await run(['seed', '--config', env.configPath, '--audit', `${env.folder}/data/audit`], io)).toBe(0);
  expect(text).toContain('1 answered calls');
  await env.start();
  expect(await post(env, '/api/things/2', agent, { careful: true })).toBe('sent');
  expect(await post(env, '/api/things/2', other, { careful: true })).toBe('denied');
});
