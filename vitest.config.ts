import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // An unhandled rejection or error fails the run: nothing is swallowed.
    dangerouslyIgnoreUnhandledErrors: false,
  },
});
