import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // CI shares its machine: a test that fails there is run once more, and the report shows both.
    retry: process.env.CI === undefined ? 0 : 1,
    // An unhandled rejection or error fails the run: nothing is swallowed.
    dangerouslyIgnoreUnhandledErrors: false,
  },
});
