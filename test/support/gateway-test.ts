// The test function of end-to-end tests. What the tests of a file share is a file fixture: made when the first test asks
// for it, closed after the last one, the newest first.
//
//   const it = gatewayTest
//     .extend('env', file, ({ environment }) => environment({ limits: { wait: '0s' } }))
//     .extend('alice', file, ({ env }) => env.reviewer('alice'));
//   it('is held', async ({ env, alice }) => { … });

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'vitest';
import { type Environment, type EnvironmentOptions, type Given, startEnvironment } from './environment.ts';

/** A fixture that the tests of a file share. */
export const file = { scope: 'file' } as const;

/** Gives back what it is given, and closes it when the fixture ends. */
interface Closing {
  <Opened extends { close(): unknown }>(opened: Opened | Promise<Opened>): Promise<Opened>;
  <Opened>(opened: Opened | Promise<Opened>, how: (opened: Opened) => unknown): Promise<Opened>;
}

type Opening = (given?: Given, options?: EnvironmentOptions) => Promise<Environment>;

const openingWith =
  (closes: Closing): Opening =>
  (given, options) =>
    closes(startEnvironment(given, options));

/** Everything is closed, the newest first, also when a closing fails; the first failure is told. */
function closingBy(onCleanup: (cleanup: () => Promise<void>) => void): Closing {
  const closings: (() => unknown)[] = [];
  onCleanup(async () => {
    const faults: unknown[] = [];
    for (const close of closings.reverse()) {
      try {
        await close();
      } catch (fault) {
        faults.push(fault);
      }
    }
    if (faults.length > 0) throw faults[0];
  });
  return async <Opened>(opening: Opened | Promise<Opened>, how?: (opened: Opened) => unknown) => {
    const opened = await opening;
    closings.push(() => (how === undefined ? (opened as { close(): unknown }).close() : how(opened)));
    return opened;
  };
}

async function folderWith(closes: Closing): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-test-'));
  await closes({ close: () => rmSync(folder, { recursive: true, force: true }) });
  return folder;
}

// The empty patterns below: vitest reads from the pattern what a fixture needs.

export const gatewayTest = test
  // biome-ignore lint/correctness/noEmptyPattern: see above
  .extend('closes', file, ({}, { onCleanup }) => closingBy(onCleanup))
  .extend('folder', file, ({ closes }) => folderWith(closes))
  .extend('environment', file, ({ closes }) => openingWith(closes));

/** The same for tests that each need everything anew. */
export const freshGatewayTest = test
  // biome-ignore lint/correctness/noEmptyPattern: see above
  .extend('closes', ({}, { onCleanup }) => closingBy(onCleanup))
  .extend('folder', ({ closes }) => folderWith(closes))
  .extend('environment', ({ closes }) => openingWith(closes));
