// The gateway's own JWT-SVID as the credential: what the upstream receives is verified with the trust domain's key, as
// an upstream would.

import { generateKeyPair, jwtVerify, SignJWT } from 'jose';
import { expect } from 'vitest';
import { type Rules, rule } from '../support/config.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';
import type { RecordedRequest } from '../support/recorder.ts';
import { startWorkloadApiServer } from '../support/workload-api-server.ts';

const GATEWAY = 'spiffe://prod.test/gateway';
const LEDGER = 'https://ledger.example.org';
const BILLING = 'https://billing.example.org';
const RULES: Rules = [
  rule.allow('reads', { upstream: 'ledger', methods: ['GET'] }, { credential: { audience: [LEDGER] } }),
  rule.hold('pay', { upstream: 'ledger', methods: ['POST'] }, { credential: { audience: [BILLING] } }),
  rule.deny('never', { upstream: 'ledger', methods: ['DELETE'] }),
];

const { publicKey, privateKey } = await generateKeyPair('ES256');

const it = gatewayTest
  .extend('workloadApi', file, ({ closes }) =>
    closes(
      startWorkloadApiServer({
        svids: [{ id: GATEWAY, chain: [] }],
        makeJwt: (audience) =>
          new SignJWT({ sub: GATEWAY, aud: [...audience] })
            .setProtectedHeader({ alg: 'ES256' })
            .setJti(crypto.randomUUID())
            .setExpirationTime('5m')
            .sign(privateKey),
      }),
    ),
  )
  .extend('env', file, ({ workloadApi, environment }) =>
    environment(({ origin }) => ({
      upstreams: { ledger: { url: origin, credential: 'own' } },
      credentials: { own: { type: 'spiffe-jwt', workloadApi: workloadApi.address, audience: `${LEDGER} ${BILLING}` } },
      rules: RULES,
    })),
  );

function tokenOf({ headers }: RecordedRequest): string {
  return String(headers.authorization).replace('Bearer ', '');
}

it('asks the Workload API for cleared calls alone, and the upstream gets a JWT-SVID for the audience of the rule', async ({
  workloadApi,
  env,
}) => {
  const alice = await env.reviewer('alice');

  expect((await env.call('/ledger/things', { method: 'DELETE' })).status).toBe(403);
  const pending = await alice.expect('PENDING');
  const answer = env.call('/ledger/transfers', { method: 'POST', body: { amount: 1 } });
  const hold = await pending.hold;
  expect(workloadApi.calls('FetchJWTSVID')).toBe(0);
  expect(env.upstream.requests).toEqual([]);

  await alice.approve(hold);
  expect((await answer).status).toBe(200);
  const paid = tokenOf(await env.upstream.arrived(0));
  const { payload } = await jwtVerify(paid, publicKey, { audience: BILLING, subject: GATEWAY });
  expect(payload.aud).toEqual([BILLING]);
  expect(workloadApi.audiences).toEqual([[BILLING]]);

  for (const path of ['/ledger/a', '/ledger/b']) expect((await env.call(path)).status).toBe(200);
  const read = env.upstream.requests.slice(1).map(tokenOf);
  for (const token of read) await jwtVerify(token, publicKey, { audience: LEDGER, subject: GATEWAY });
  expect(read).toHaveLength(2);
  expect(workloadApi.audiences).toEqual([[BILLING], [LEDGER]]);
  for (const token of [paid, ...read]) expect(JSON.stringify(env.log)).not.toContain(token.split('.')[2]);
}, 60_000);

it('refuses a call whose reviewers said no without asking for an SVID', async ({ workloadApi, env }) => {
  const alice = await env.reviewer('alice');
  const [asked, sent] = [workloadApi.calls('FetchJWTSVID'), env.upstream.requests.length];
  const pending = await alice.expect('PENDING');
  const answer = env.call('/ledger/transfers', { method: 'POST', body: { amount: 2 } });
  await alice.deny(await pending.hold);
  expect((await answer).status).toBe(403);
  expect([workloadApi.calls('FetchJWTSVID'), env.upstream.requests.length]).toEqual([asked, sent]);
}, 60_000);
