// Azure and Google cannot run here: strict local servers made from their public descriptions stand in. They verify
// assertions against published keys and refuse fields that the descriptions do not have; what the real services do
// beyond that is not shown by these tests.

import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose';
import { afterEach, describe, expect, it } from 'vitest';
import { createFileKeyRing, createGatewayIssuer } from '../../src/credentials/gateway-issuer.ts';
import { AZURE_AUDIENCE } from '../../src/credentials/types/azure-federated.ts';
import { systemClock } from '../../src/domain/clock.ts';
import { type JsonPeer, type PeerAnswer, type PeerRequest, startJsonPeer } from '../support/json-peer.ts';
import { providerOf } from '../support/providers.ts';
import { grantOf, privateKey, secretOf } from '../support/signing.ts';

const ISSUER = 'https://gateway.example.org/countersign';
const issuer = createGatewayIssuer(ISSUER, createFileKeyRing([secretOf(privateKey('rsa'))]), systemClock);
const peers: JsonPeer[] = [];
afterEach(() => {
  for (const peer of peers.splice(0)) peer.close();
});

async function peerOf(answer: (request: PeerRequest) => PeerAnswer | Promise<PeerAnswer>): Promise<JsonPeer> {
  const peer = await startJsonPeer(answer);
  peers.push(peer);
  return peer;
}

const verify = async (token: string, audience: string, subject: string): Promise<boolean> => {
  const keys = createLocalJWKSet((await issuer.document('/jwks.json')) as unknown as JSONWebKeySet);
  return jwtVerify(token, keys, { issuer: ISSUER, audience, subject }).then(
    () => true,
    () => false,
  );
};

describe('azure-federated', () => {
  const SUBJECT = 'countersign';
  const FIELDS = ['client_assertion', 'client_assertion_type', 'client_id', 'grant_type', 'scope'];
  const entra = () =>
    peerOf(async ({ path, form, headers }) => {
      const isGood =
        path === '/tenant-1/oauth2/v2.0/token' &&
        headers.authorization === undefined &&
        Object.keys(form).sort().join() === FIELDS.join() &&
        form.grant_type === 'client_credentials' &&
        form.client_assertion_type === 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer' &&
        (await verify(form.client_assertion ?? '', AZURE_AUDIENCE, SUBJECT));
      if (!isGood) return { status: 401, body: { error: 'invalid_client', error_description: 'AADSTS700213' } };
      return {
        body: { token_type: 'Bearer', expires_in: 3599, ext_expires_in: 3599, access_token: 'azure-token-literal' },
      };
    });
  const SCOPE = 'https://management.azure.com/.default https://vault.azure.net/.default';
  const provider = (peer: JsonPeer, more: object = {}) =>
    providerOf(
      {
        type: 'azure-federated',
        tenant: 'tenant-1',
        clientId: 'app-1',
        scope: SCOPE,
        authority: peer.url,
        assertion: { gateway: { subject: SUBJECT } },
        ...more,
      },
      { signer: issuer },
    );

  it('proves itself by an assertion of the gateway and asks for one resource', async () => {
    const peer = await entra();
    const minted = await provider(peer).mint(grantOf({ scope: 'https://vault.azure.net/.default' }));
    expect(peer.requests[0]?.form.scope).toBe('https://vault.azure.net/.default');
    expect(minted.injection.value.reveal()).toBe('Bearer azure-token-literal');
    expect(minted).toMatchObject({ revocability: 'none', granted: { scope: 'https://vault.azure.net/.default' } });
    expect(minted.handle).toBeUndefined();
  });

  it('refuses rules that widen it, and scopes that Entra does not have', async () => {
    const peer = await entra();
    await expect(provider(peer).mint(grantOf({ scope: 'https://graph.microsoft.com/.default' }))).rejects.toMatchObject(
      { code: 'credential_unavailable' },
    );
    expect(() => provider(peer, { scope: 'https://graph.microsoft.com/User.Read' })).toThrow(
      'Write <resource>/.default.',
    );
    expect(peer.requests).toEqual([]);
  });

  it('says that an assertion was refused, by its code alone', async () => {
    const assertion = { gateway: { subject: 'somebody' } };
    await expect(provider(await entra(), { assertion }).mint(grantOf())).rejects.toMatchObject({
      detail: 'The issuer refused: invalid_client.',
    });
  });

  it('refuses tokens that live longer than the configured bound', async () => {
    await expect(provider(await entra(), { maxLifetime: '10m' }).mint(grantOf())).rejects.toMatchObject({
      code: 'credential_too_broad',
    });
  });
});

describe('gcp-wif', () => {
  const AUDIENCE =
    '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/agents/providers/countersign';
  const ACCOUNT = 'robot@project.iam.gserviceaccount.com';
  const READ = 'https://www.googleapis.com/auth/devstorage.read_only';
  const SCOPE = `${READ} https://www.googleapis.com/auth/devstorage.read_write`;
  const STS_FIELDS = ['audience', 'grant_type', 'requested_token_type', 'scope', 'subject_token', 'subject_token_type'];

  const google = (more: { subject?: string; lives?: number } = {}) =>
    peerOf(async ({ path, form, headers, body }) => {
      if (path === '/v1/token') {
        const isGood =
          headers.authorization === undefined &&
          Object.keys(form).sort().join() === STS_FIELDS.join() &&
          form.audience === AUDIENCE &&
          (await verify(
            form.subject_token ?? '',
            `https:${AUDIENCE}`,
            more.subject ?? 'https://idp.example.org#agent',
          ));
        if (!isGood)
          return { status: 400, body: { error: 'invalid_grant', error_description: 'quoted-token-literal' } };
        const issued = 'urn:ietf:params:oauth:token-type:access_token';
        return {
          body: {
            access_token: 'federated-token-literal',
            issued_token_type: issued,
            token_type: 'Bearer',
            expires_in: 3600,
          },
        };
      }
      const { scope, lifetime, ...others } = JSON.parse(body) as { scope: string[]; lifetime: string };
      const isGood =
        decodeURIComponent(path) === `/v1/projects/-/serviceAccounts/${ACCOUNT}:generateAccessToken` &&
        headers.authorization === 'Bearer federated-token-literal' &&
        Array.isArray(scope) &&
        /^\d+s$/.test(lifetime) &&
        Object.keys(others).length === 0;
      if (!isGood)
        return {
          status: 403,
          body: { error: { code: 403, status: 'PERMISSION_DENIED', message: 'quoted-token-literal' } },
        };
      return {
        body: {
          accessToken: 'google-token-literal',
          expireTime: new Date(Date.now() + (more.lives ?? Number.parseInt(lifetime, 10) * 1000)).toISOString(),
        },
      };
    });
  const provider = (peer: JsonPeer, more: object = {}) =>
    providerOf(
      {
        type: 'gcp-wif',
        audience: AUDIENCE,
        serviceAccount: ACCOUNT,
        scope: SCOPE,
        subjectToken: { gateway: {} },
        stsEndpoint: `${peer.url}/v1/token`,
        iamEndpoint: peer.url,
        ...more,
      },
      { signer: issuer },
    );

  it('exchanges the gateway’s word for the agent, then becomes the service account for minutes with narrowed scope', async () => {
    const peer = await google();
    const minted = await provider(peer, { lifetime: '2m' }).mint(grantOf({ scope: [READ] }));
    expect(peer.requests.map(({ path }) => path.split(':').at(-1))).toEqual(['/v1/token', 'generateAccessToken']);
    expect(JSON.parse(peer.requests[1]?.body ?? '')).toEqual({ scope: [READ], lifetime: '120s' });
    expect(minted.injection.value.reveal()).toBe('Bearer google-token-literal');
    expect(minted).toMatchObject({ revocability: 'none', granted: { scope: READ, serviceAccount: ACCOUNT } });
    expect((minted.expiresAt ?? 0) - Date.now()).toBeLessThanOrEqual(120_000);
  });

  it('uses the federated token itself where no service account is named', async () => {
    const peer = await google();
    const options = { audience: AUDIENCE, scope: SCOPE, stsEndpoint: `${peer.url}/v1/token` };
    const direct = providerOf({ type: 'gcp-wif', ...options, subjectToken: { gateway: {} } }, { signer: issuer });
    expect((await direct.mint(grantOf({ scope: [READ] }))).injection.value.reveal()).toBe(
      'Bearer federated-token-literal',
    );
    expect(peer.requests[0]?.form.scope).toBe(READ);
  });

  it('refuses a token that lives longer than asked for', async () => {
    await expect(provider(await google({ lives: 3_600_000 })).mint(grantOf())).rejects.toMatchObject({
      code: 'credential_too_broad',
    });
  });

  it('says who refused and with which code, and quotes nothing', async () => {
    const refused = await provider(await google({ subject: 'somebody else' }))
      .mint(grantOf())
      .catch((error: Error) => error);
    expect(refused).toMatchObject({ detail: 'Google’s security token service refused: invalid_grant.' });
    const denied = await provider(await google(), { serviceAccount: 'other@project.iam.gserviceaccount.com' })
      .mint(grantOf())
      .catch((error: Error) => error);
    expect(denied).toMatchObject({ detail: 'Google’s IAM credentials API refused: PERMISSION_DENIED.' });
    for (const thrown of [refused, denied]) expect(String((thrown as Error).stack)).not.toContain('literal');
  });

  it('gives up on a service that does not answer, that redirects, or that sends too much', async () => {
    const silent = await peerOf(() => new Promise(() => {}));
    await expect(provider(silent, { timeout: '1s' }).mint(grantOf())).rejects.toMatchObject({
      detail: expect.stringContaining('in time'),
    });
    const moved = await peerOf(() => ({ status: 307, headers: { location: silent.url }, body: {} }));
    await expect(provider(moved).mint(grantOf())).rejects.toMatchObject({ code: 'credential_unavailable' });
    expect(silent.requests.length).toBe(1);
    const endless = await peerOf(() => ({ body: { access_token: 'x'.repeat(300_000) } }));
    await expect(provider(endless).mint(grantOf())).rejects.toMatchObject({
      detail: 'The issuer’s answer is too large.',
    });
  });

  it('refuses plain http away from loopback', async () => {
    expect(() => provider({ url: 'http://sts.example.org', requests: [], close() {} })).toThrow(
      'Plain http is accepted on loopback only',
    );
  });
});
