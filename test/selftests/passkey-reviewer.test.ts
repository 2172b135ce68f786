// The software passkey of support/passkey-reviewer.ts against the real console: it registers, and it signs one decision.

import { expect } from 'vitest';
import { freePort } from '../../config/quickstart/layout.ts';
import { holdTransfer } from '../e2e/held.ts';
import { startClaimsIssuer } from '../support/claims-issuer.ts';
import { writtenBy } from '../support/environment.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';
import { openPasskeyReviewer } from '../support/passkey-reviewer.ts';

const it = gatewayTest
  .extend('port', file, () => freePort())
  .extend('login', file, ({ closes }) => closes(startClaimsIssuer('console')))
  .extend('env', file, ({ port, login, environment }) =>
    environment({
      listeners: { reviewers: { address: `127.0.0.1:${port}`, url: `http://localhost:${port}` } },
      reviewers: { login: { issuer: login.url, clientId: 'console' } },
      tiers: { payment: { reviewers: ['group:finance'], stepUp: true } },
    }),
  );

it('a decision is signed with it, over the hold and the person', async ({ env, port, login }) => {
  login.claims = { sub: 'alice', groups: ['finance'] };
  const alice = await openPasskeyReviewer(`http://localhost:${port}`, 'alice');
  const hold = await holdTransfer(env, { amount: 1 });
  expect(await alice.page(hold)).toContain('amount');
  await alice.decide(hold, 'approve');
  const api = await env.reviewer('bob');
  expect(await api.show(hold)).toMatchObject({ state: 'APPROVED', votes: [{ decision: 'approve' }] });
  // The evidence stands in the record of the vote.
  expect(writtenBy(env)).toMatch(/"passkey":\{[^}]*"signature"/);
});
