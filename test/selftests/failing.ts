// Fails on purpose: environment.test.ts runs it as a child and reads what it prints.

import { afterAll, expect, it } from 'vitest';
import { startEnvironment } from '../support/environment.ts';

const env = await startEnvironment();
afterAll(() => env.close());

it('fails', async () => {
  expect((await env.call('/api/accounts')).status).toBe(418);
});
