import { renameSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import type { Config } from '../../src/config/schema.ts';
import { watchConfig } from '../../src/config/watch.ts';
import type { ConfigError } from '../../src/settings/faults.ts';
import { MINIMAL, makeFolder, writeConfig } from './files.ts';

type Report = { readonly config: Config } | { readonly error: ConfigError };

const withWait = (wait: string) => `${MINIMAL}limits: { wait: ${wait} }\n`;

/** Follows a file; `next` resolves with each report in turn. */
function follow(path: string, pollMs?: number, since?: Config) {
  const reports: Report[] = [];
  const waiting: ((report: Report) => void)[] = [];
  const report = (item: Report) => {
    const resolve = waiting.shift();
    if (resolve === undefined) reports.push(item);
    else resolve(item);
  };
  const watcher = watchConfig(path, {
    onChange: (config) => report({ config }),
    onRefused: (error) => report({ error }),
    ...(pollMs !== undefined && { pollMs }),
    ...(since && { since }),
  });
  onTestFinished(() => watcher.close());
  return {
    reports,
    watcher,
    next: () => {
      const item = reports.shift();
      return item === undefined ? new Promise<Report>((resolve) => waiting.push(resolve)) : Promise.resolve(item);
    },
  };
}

describe('a changed file', () => {
  test('that is valid is handed over; one that is not is refused, and mending it is noticed', async () => {
    const path = writeConfig(withWait('1s'));
    const { next, reports } = follow(path);
    writeFileSync(path, withWait('2s'));
    expect(await next()).toMatchObject({ config: { limits: { waitMs: 2000 } } });
    writeFileSync(path, withWait('soon'));
    expect(await next()).toMatchObject({ error: { faults: [{ path: ['limits', 'wait'] }] } });
    writeFileSync(path, withWait('3s'));
    expect(await next()).toMatchObject({ config: { limits: { waitMs: 3000 } } });
    expect(reports).toEqual([]);
  });

  test('that was replaced by renaming is noticed', async () => {
    const path = writeConfig(withWait('1s'));
    const { next } = follow(path);
    writeFileSync(`${path}.new`, withWait('4s'));
    renameSync(`${path}.new`, path);
    expect(await next()).toMatchObject({ config: { limits: { waitMs: 4000 } } });
  });

  test('behind swapped symlinks, as Kubernetes mounts it, is noticed', async () => {
    const folder = makeFolder();
    for (const [name, wait] of [
      ['v1', '1s'],
      ['v2', '5s'],
    ] as const) {
      await mkdir(join(folder, name));
      writeFileSync(join(folder, name, 'c.yaml'), withWait(wait));
    }
    symlinkSync('v1', join(folder, '..data'));
    symlinkSync('..data/c.yaml', join(folder, 'c.yaml'));
    const { next } = follow(join(folder, 'c.yaml'));
    symlinkSync('v2', join(folder, '..tmp'));
    renameSync(join(folder, '..tmp'), join(folder, '..data'));
    expect(await next()).toMatchObject({ config: { limits: { waitMs: 5000 } } });
  });

  test('in another folder than the link to it is found by polling', async () => {
    const target = writeConfig(withWait('1s'));
    const link = join(makeFolder(), 'c.yaml');
    symlinkSync(target, link);
    const { next } = follow(link, 20);
    writeFileSync(target, withWait('6s'));
    expect(await next()).toMatchObject({ config: { limits: { waitMs: 6000 } } });
  });

  test('between loading and watching is found', async () => {
    const path = writeConfig(withWait('1s'));
    const since = await loadConfig(path);
    writeFileSync(path, withWait('7s'));
    expect(await follow(path, 20, since).next()).toMatchObject({ config: { limits: { waitMs: 7000 } } });
  });
});

test('a file that was touched, removed and put back is no change', async () => {
  const path = writeConfig(withWait('1s'));
  const { next, reports } = follow(path, 20);
  writeFileSync(path, withWait('1s'));
  unlinkSync(path);
  writeFileSync(path, withWait('1s'));
  // The next real change is the first that is told.
  writeFileSync(path, withWait('8s'));
  expect(await next()).toMatchObject({ config: { limits: { waitMs: 8000 } } });
  expect(reports).toEqual([]);
});
