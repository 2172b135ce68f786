// The provider over the client that the gateway has, and a Workload API that is a real gRPC server.

import { generateKeyPair, SignJWT } from 'jose';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createGatewaySvids, type GatewaySvids } from '../../src/assembly/gateway-svids.ts';
import type { BrokerProvider } from '../../src/credentials/broker-provider.ts';
import { systemClock } from '../../src/domain/clock.ts';
import { silentLog } from '../../src/domain/log.ts';
import { GatewayError } from '../../src/errors.ts';
import { providerOf } from '../support/providers.ts';
import { grantOf } from '../support/signing.ts';
import { startWorkloadApiServer, type WorkloadApiServer, type WorkloadState } from '../support/workload-api-server.ts';

const GATEWAY = 'spiffe://prod.test/gateway';
const LEDGER = 'https://ledger.example.org';
const BILLING = 'https://billing.example.org';
const LIFETIME_S = 300;

const { privateKey } = await generateKeyPair('ES256');
const seconds = (): number => Math.floor(Date.now() / 1000);
const svidOf = (claims: Readonly<Record<string, unknown>>): Promise<string> =>
  new SignJWT({ sub: GATEWAY, exp: seconds() + LIFETIME_S, ...claims })
    .setProtectedHeader({ alg: 'ES256' })
    .sign(privateKey);

let server: WorkloadApiServer;
let svids: GatewaySvids;

beforeEach(async () => {
  server = await startWorkloadApiServer();
  svids = createGatewaySvids({ clock: systemClock, log: silentLog });
  give((audience) => svidOf({ aud: audience }));
});
afterEach(async () => {
  svids.close();
  await server.close();
});

const give = (makeJwt: NonNullable<WorkloadState['makeJwt']>) =>
  server.publish({ svids: [{ id: GATEWAY, chain: [] }], makeJwt });
const provider = (more: { readonly header?: string } = {}): BrokerProvider =>
  providerOf(
    { type: 'spiffe-jwt', workloadApi: server.address, audience: `${LEDGER} ${BILLING}`, ...more },
    { fetchJwtSvid: svids.jwt },
  );

async function refusalOf(scope = {}): Promise<GatewayError> {
  const thrown = await Promise.resolve(provider().mint(grantOf(scope))).then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(thrown instanceof GatewayError)) throw new Error('the mint was not refused');
  return thrown;
}

describe('spiffe-jwt', () => {
  it('hands out the SVID of the Workload API until the moment it names', async () => {
    const text = await svidOf({ aud: [LEDGER, BILLING] });
    give(async () => text);
    const now = Date.now();
    const made = await provider().mint(grantOf());
    expect(made.injection).toMatchObject({ in: 'header', name: 'authorization' });
    expect(made.injection.in === 'header' && made.injection.value.reveal()).toBe(`Bearer ${text}`);
    expect(made.secrets.map((secret) => secret.reveal())).toEqual([text]);
    expect(made).toMatchObject({ revocability: 'none', granted: { audience: [LEDGER, BILLING], spiffeId: GATEWAY } });
    expect(made.handle).toBeUndefined();
    const { expiresAt = 0 } = made;
    expect(expiresAt % 1000).toBe(0);
    expect(Math.abs(expiresAt - now - LIFETIME_S * 1000)).toBeLessThan(60_000);
    expect(JSON.stringify(made)).not.toContain(text);
  });

  it('puts the bare SVID in a field of another name', async () => {
    const text = await svidOf({ aud: LEDGER });
    give(async () => text);
    const { injection } = await provider({ header: 'x-svid' }).mint(grantOf());
    expect(injection).toMatchObject({ in: 'header', name: 'x-svid' });
    expect(injection.in === 'header' && injection.value.reveal()).toBe(text);
  });

  it('asks for the audience that the rule chooses', async () => {
    expect((await provider().mint(grantOf({ audience: [BILLING] }))).granted).toEqual({
      audience: [BILLING],
      spiffeId: GATEWAY,
    });
    await provider().mint(grantOf());
    expect(server.audiences).toEqual([[BILLING], [LEDGER, BILLING]]);
  });

  it.each([
    { audience: ['https://other.example.org'] },
    { scope: ['read'] },
    { resource: [LEDGER] },
    { permissions: 'all' },
  ])('asks for nothing when the rule says %j', async (scope) => {
    expect((await refusalOf(scope)).code).toBe('credential_unavailable');
    expect(server.audiences).toEqual([]);
  });

  it('refuses an SVID for further audiences', async () => {
    give(() => svidOf({ aud: [LEDGER, BILLING] }));
    expect((await refusalOf({ audience: [LEDGER] })).code).toBe('credential_too_broad');
  });

  it.each([
    ['that has expired', () => svidOf({ aud: LEDGER, exp: seconds() - 1 })],
    ['without exp', () => svidOf({ aud: LEDGER, exp: undefined })],
    ['without an audience', () => svidOf({})],
    ['of no SPIFFE ID', () => svidOf({ aud: LEDGER, sub: 'gateway-subject-literal' })],
    ['that is no JWT', async () => 'not-a-jwt-literal'],
    ['that would end the header line', async () => `${await svidOf({ aud: LEDGER })}\r\nx-admin: literal`],
    ['whose claims are no JSON', async () => 'aGVhZA.bm90LWpzb24.c2ln'],
    ['that is empty', async () => ''],
  ])('refuses an SVID %s, and shows nothing of it', async (_what, makeJwt) => {
    let given = '';
    give(async () => {
      given = await makeJwt();
      return given;
    });
    const refusal = await refusalOf();
    expect(refusal.code).toBe('credential_unavailable');
    expect(server.calls('FetchJWTSVID')).toBe(1);
    for (const part of given.split('.').filter((text) => text !== '')) {
      expect(`${refusal.message} ${refusal.stack} ${JSON.stringify(refusal.details)}`).not.toContain(part);
    }
  });

  it('refuses the call when the gateway has no identity there', async () => {
    server.publish({});
    expect((await refusalOf()).code).toBe('credential_unavailable');
    server.refuse('PERMISSION_DENIED');
    expect((await refusalOf()).code).toBe('credential_unavailable');
  });

  it('refuses the call while the Workload API is down, and works again when it is back', async () => {
    await provider().mint(grantOf());
    await server.stop();
    expect((await refusalOf()).code).toBe('credential_unavailable');
    await server.start();
    const minted = (): Promise<string> =>
      Promise.resolve(provider().mint(grantOf())).then(
        ({ revocability }) => revocability,
        () => 'refused',
      );
    await expect.poll(minted, { timeout: 20_000 }).toBe('none');
  }, 30_000);

  it('leaves the X.509-SVID alone until something else asks for it', async () => {
    await provider().mint(grantOf());
    await svids.ready();
    expect(server.calls('FetchX509SVID')).toBe(0);
    svids.at(server.address);
    await server.called('FetchX509SVID', 1);
  });
});
