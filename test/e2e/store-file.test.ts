// The database's file goes away or becomes another under a running gateway. Kind: state that is written where nobody
// will find it again.

import { copyFileSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { startGateway } from '../../src/assembly/gateway.ts';
import type { Environment } from '../support/environment.ts';
import { freshGatewayTest } from '../support/gateway-test.ts';

const it = freshGatewayTest.extend('env', ({ environment }) => environment({ limits: { wait: '0s' } }));

const data = (env: Environment, name = '') => join(env.folder, 'data', name);
const codeOf = async (response: Response) => [response.status, ((await response.json()) as { code?: string }).code];
const ready = async (env: Environment) => (await fetch(`http://127.0.0.1:${env.ports.ops}/readyz`)).status;

describe('a database that is not the one that was opened', { timeout: 60_000 }, () => {
  it.for<[string, (env: Environment) => void]>([
    ['deleted', (env) => rmSync(data(env, 'store.db'))],
    [
      'deleted with all that stands beside it',
      (env) =>
        readdirSync(data(env))
          .filter((name) => name.startsWith('store'))
          .forEach((name) => void rmSync(data(env, name))),
    ],
    ['renamed', (env) => renameSync(data(env, 'store.db'), data(env, 'old.db'))],
    [
      'replaced by a copy',
      (env) => {
        copyFileSync(data(env, 'store.db'), data(env, 'copy.db'));
        renameSync(data(env, 'copy.db'), data(env, 'store.db'));
      },
    ],
    ['cut to nothing', (env) => truncateSync(data(env, 'store.db'))],
    ['without its log', (env) => rmSync(data(env, 'store.db-wal'))],
    [
      'in a folder that was replaced',
      (env) => {
        renameSync(data(env), join(env.folder, 'moved'));
        mkdirSync(data(env));
      },
    ],
    [
      'now a folder',
      (env) => {
        rmSync(data(env, 'store.db'));
        mkdirSync(data(env, 'store.db'));
      },
    ],
  ] as const)('%s: what needs the store is refused, and the gateway is not ready', async ([_what, change], { env }) => {
    expect(await codeOf(await env.transfer({ amount: 1 }))).toEqual([409, 'approval_pending']);
    expect(await ready(env)).toBe(200);
    change(env);
    expect(await codeOf(await env.transfer({ amount: 2 }))).toEqual([503, 'store_unavailable']);
    expect(await codeOf(await env.call('/countersign/v1/tasks', { method: 'POST', body: { objective: 'x' } }))).toEqual(
      [503, 'store_unavailable'],
    );
    expect(await ready(env)).toBe(503);
    await env.logged('store.file_lost');
    expect(env.upstream.requests).toEqual([]);
  });

  it('is taken again when it is back in its place', async ({ env }) => {
    renameSync(data(env, 'store.db'), data(env, 'old.db'));
    expect((await env.transfer({ amount: 1 })).status).toBe(503);
    renameSync(data(env, 'old.db'), data(env, 'store.db'));
    expect((await env.transfer({ amount: 1 })).status).toBe(409);
    expect(await ready(env)).toBe(200);
  });
});

it('a second gateway on the same store is refused before it writes a word into the record', {
  timeout: 60_000,
}, async ({ env }) => {
  const journal = () =>
    readdirSync(data(env, 'audit')).map((name) => readFileSync(join(data(env, 'audit'), name), 'utf8'));
  const before = journal();
  const second = env.variant('second', ({ store, audit }) => {
    store.path = './data/store.db';
    audit.path = './data/audit';
  });
  process.env.E2E_SECRET ??= 'unused';
  await expect(startGateway(second, { logTo: { write() {} } })).rejects.toMatchObject({ code: 'store_unavailable' });
  expect(journal()).toEqual(before);
});
