// A configuration is compiled once: at boot, and at each reload. Pins the kind "made twice and thrown away", which a
// module of the operator's notices.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Environment, startEnvironment } from '../support/environment.ts';

const MODULE = `
import { appendFileSync } from 'node:fs';
export default ({ count }, { Secret }) => {
  appendFileSync(count, 'x');
  const secret = new Secret('module-secret-literal');
  return { type: 'counted', shareable: true, mint: async () => ({ injection: { in: 'header', name: 'x-key', value: secret }, secrets: [secret], revocability: 'none', granted: {} }) };
};`;

let env: Environment;
const made = (): number => readFileSync(join(env.folder, 'count'), 'utf8').length;

beforeAll(async () => {
  env = await startEnvironment({
    upstreams: ({ origin }) => `  own: { url: "${origin}", credential: own }`,
    credentials: ({ folder }) => {
      writeFileSync(join(folder, 'own.mjs'), MODULE);
      return `  own: { type: module, path: own.mjs, options: { count: "${join(folder, 'count')}" } }`;
    },
    rules: '  - { id: all, match: {}, decide: allow }',
  });
});
afterAll(() => env.close());

it('makes a module’s provider once at boot, and once more for a reload', async () => {
  expect(made()).toBe(1);
  expect((await env.call('/own/x')).status).toBe(200);
  expect((await env.upstream.arrived(0)).headers['x-key']).toBe('module-secret-literal');
  expect(await env.edit((yaml) => yaml.replace('id: all', 'id: everything'))).toBe('config.reloaded');
  expect(made()).toBe(2);
});
