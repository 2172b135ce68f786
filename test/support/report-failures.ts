// Runs in every test file (vitest's setupFiles). A test that fails prints the environments it used: who built them, where
// they listen, what the gateway logged. With COUNTERSIGN_TEST_PAUSE=1 the failed test then waits, with everything still
// running, until Enter is pressed in the terminal or the process gets SIGUSR2.

import { openSync } from 'node:fs';
import { ReadStream } from 'node:tty';
import { afterEach, beforeEach } from 'vitest';
import { describeEnvironments, forgetClosed } from './open-environments.ts';

beforeEach(forgetClosed);

afterEach(async ({ task }) => {
  if (task.result?.state !== 'fail') return;
  const told = describeEnvironments();
  if (told === '') return;
  console.error(told);
  if (process.env.COUNTERSIGN_TEST_PAUSE === '1') await continued();
}, 0);

async function continued(): Promise<void> {
  const terminal = openTerminal();
  console.error(`Paused. ${terminal ? 'Press Enter, or run' : 'Run'}: kill -USR2 ${process.pid}`);
  await new Promise<void>((resolve) => {
    process.once('SIGUSR2', resolve);
    terminal?.once('data', () => resolve());
  });
  terminal?.destroy();
}

/** The terminal itself: vitest's workers have another standard input. */
function openTerminal(): ReadStream | undefined {
  try {
    return new ReadStream(openSync('/dev/tty', 'r'));
  } catch {
    return undefined;
  }
}
