// The tests in three projects: unit, e2e and browser (`npm run test:unit`, `npm run test:e2e`; `npm test` runs all).

import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { env } from 'node:process';
import { defineConfig } from 'vitest/config';

/** A real gateway over real sockets, and the tests of what starts it. */
const E2E = ['test/e2e/**/*.test.ts', 'test/selftests/**/*.test.ts'];
/** A real Chromium: the files that use test/support/browser.ts. They skip, saying so, where there is none. */
export const BROWSER = [
  'test/review/console.test.ts',
  'test/review/console-decisions.test.ts',
  'test/review/controls.test.ts',
  'test/review/task-page.test.ts',
];

/**
 * Half of the processors, because a test that starts a gateway also starts clients, issuers and upstreams, and some of
 * them are processes of their own. At least two, so that a slow file does not stop all others.
 */
function workers(): number {
  const wanted = Number(env.COUNTERSIGN_TEST_WORKERS);
  return Number.isInteger(wanted) && wanted > 0 ? wanted : Math.max(2, Math.floor(availableParallelism() / 2));
}

export default defineConfig({
  test: {
    // A failed test prints the gateways it used.
    setupFiles: ['test/support/report-failures.ts'],
    pool: 'forks',
    maxWorkers: workers(),
    // The first test of a file starts what the file's tests share, as its fixtures.
    testTimeout: 90_000,
    hookTimeout: 60_000,
    // Node keeps what it has compiled: a test's gateway starts in half the time. Node compares sources before it uses it.
    env: { NODE_COMPILE_CACHE: join(import.meta.dirname, 'node_modules/.cache/node-compile') },
    // An unhandled rejection or error fails the run: nothing is swallowed.
    dangerouslyIgnoreUnhandledErrors: false,
    projects: [
      { test: { name: 'unit', include: ['test/**/*.test.ts'], exclude: [...E2E, ...BROWSER] } },
      { test: { name: 'e2e', include: E2E } },
      { test: { name: 'browser', include: BROWSER } },
    ],
  },
});
