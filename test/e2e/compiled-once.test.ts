// A configuration is compiled once: at boot, and at each reload. Pins the kind "made twice and thrown away", which a
// module of the operator's notices.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { rule, ruleOf } from '../support/config.ts';
import type { Environment } from '../support/environment.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';

const MODULE = `
import { appendFileSync } from 'node:fs';
export default ({ count }, { Secret }) => {
  appendFileSync(count, 'x');
  const secret = new Secret('module-secret-literal');
  return { type: 'counted', shareable: true, mint: async () => ({ injection: { in: 'header', name: 'x-key', value: secret }, secrets: [secret], revocability: 'none', granted: {} }) };
};`;

const made = (env: Environment): number => readFileSync(join(env.folder, 'count'), 'utf8').length;

const it = gatewayTest.extend('env', file, ({ environment }) =>
  environment(({ origin, folder }) => {
    writeFileSync(join(folder, 'own.mjs'), MODULE);
    return {
      upstreams: { own: { url: origin, credential: 'own' } },
      credentials: { own: { type: 'module', path: 'own.mjs', options: { count: join(folder, 'count') } } },
      rules: [rule.allow('all')],
    };
  }),
);

it('makes a module’s provider once at boot, and once more for a reload', async ({ env }) => {
  expect(made(env)).toBe(1);
  expect((await env.call('/own/x')).status).toBe(200);
  expect((await env.upstream.arrived(0)).headers['x-key']).toBe('module-secret-literal');
  expect(
    await env.edit((config) => {
      ruleOf(config, 'all').id = 'everything';
    }),
  ).toBe('config.reloaded');
  expect(made(env)).toBe(2);
});
