// The database's file goes away or becomes another under a running gateway. Kind: state that is written where nobody
// will find it again.

import {
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startGateway } from '../../src/assembly/gateway.ts';
import { type Environment, startEnvironment } from '../support/environment.ts';

let env: Environment;
beforeEach(async () => {
  env = await startEnvironment({ limits: '{ wait: 0s }' });
});
afterEach(() => env.close());

const data = (name = '') => join(env.folder, 'data', name);
const codeOf = async (response: Response) => [response.status, ((await response.json()) as { code?: string }).code];
const ready = async () => (await fetch(`http://127.0.0.1:${env.ports.ops}/readyz`)).status;

describe('a database that is not the one that was opened', { timeout: 60_000 }, () => {
  it.each<[string, () => void]>([
    ['deleted', () => rmSync(data('store.db'))],
    [
      'deleted with all that stands beside it',
      () =>
        readdirSync(data())
          .filter((name) => name.startsWith('store'))
          .forEach((name) => void rmSync(data(name))),
    ],
    ['renamed', () => renameSync(data('store.db'), data('old.db'))],
    [
      'replaced by a copy',
      () => {
        copyFileSync(data('store.db'), data('copy.db'));
        renameSync(data('copy.db'), data('store.db'));
      },
    ],
    ['cut to nothing', () => truncateSync(data('store.db'))],
    ['without its log', () => rmSync(data('store.db-wal'))],
    [
      'in a folder that was replaced',
      () => {
        renameSync(data(), join(env.folder, 'moved'));
        mkdirSync(data());
      },
    ],
    [
      'now a folder',
      () => {
        rmSync(data('store.db'));
        mkdirSync(data('store.db'));
      },
    ],
  ])('%s: what needs the store is refused, and the gateway is not ready', async (_what, change) => {
    expect(await codeOf(await env.transfer({ amount: 1 }))).toEqual([409, 'approval_pending']);
    expect(await ready()).toBe(200);
    change();
    expect(await codeOf(await env.transfer({ amount: 2 }))).toEqual([503, 'store_unavailable']);
    expect(await codeOf(await env.call('/countersign/v1/tasks', { method: 'POST', body: { objective: 'x' } }))).toEqual(
      [503, 'store_unavailable'],
    );
    expect(await ready()).toBe(503);
    await env.logged('store.file_lost');
    expect(env.upstream.requests).toEqual([]);
  });

  it('is taken again when it is back in its place', async () => {
    renameSync(data('store.db'), data('old.db'));
    expect((await env.transfer({ amount: 1 })).status).toBe(503);
    renameSync(data('old.db'), data('store.db'));
    expect((await env.transfer({ amount: 1 })).status).toBe(409);
    expect(await ready()).toBe(200);
  });
});

it('a second gateway on the same store is refused before it writes a word into the record', {
  timeout: 60_000,
}, async () => {
  const journal = () => readdirSync(data('audit')).map((name) => readFileSync(join(data('audit'), name), 'utf8'));
  const before = journal();
  const second = join(env.folder, 'second.yaml');
  writeFileSync(second, readFileSync(join(env.folder, 'countersign.yaml')));
  process.env.E2E_SECRET ??= 'unused';
  await expect(startGateway(second, { logTo: { write() {} } })).rejects.toMatchObject({ code: 'store_unavailable' });
  expect(journal()).toEqual(before);
});
