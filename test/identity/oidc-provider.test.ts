// A certified issuer (panva's oidc-provider) over HTTP: its discovery document, keys and JWT access tokens are those of real life.

import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import Provider from 'oidc-provider';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createIdentity } from '../../src/identity/identity.ts';
import { createReviewerAuthenticator } from '../../src/identity/reviewer.ts';
import { bearer, createClock, createRecorder, refusalOf } from './calls.ts';
import { createSigningKey } from './issuer.ts';

const GATEWAY = 'https://gateway.example.org';
const REVIEW = 'https://review.example.org';
const key = createSigningKey('provider');
const parts = { clock: createClock(), ...createRecorder() };
let server: Server;
let url: string;
let provider: Provider;

beforeAll(async () => {
  server = createServer((request, response) => void provider.callback()(request, response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  provider = new Provider(url, {
    jwks: { keys: [{ ...key.privateKey.export({ format: 'jwk' }), kid: 'provider', use: 'sig', alg: 'ES256' }] },
    clients: [
      {
        client_id: 'agent',
        client_secret: 'agent-secret',
        grant_types: ['client_credentials'],
        redirect_uris: [],
        response_types: [],
        id_token_signed_response_alg: 'ES256',
      },
    ],
    clientAuthMethods: ['client_secret_basic'],
    cookies: { keys: ['test'] },
    findAccount: (_context: unknown, id: string) => ({ accountId: id, claims: async () => ({ sub: id }) }),
    extraTokenClaims: (_context: unknown, token: { readonly kind: string }) => (token.kind === 'AccessToken' ? { groups: ['finance'] } : {}),
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_context: unknown, resource: string) => ({
          scope: 'call',
          audience: resource,
          accessTokenFormat: 'jwt',
          accessTokenTTL: 300,
          jwt: { sign: { alg: 'ES256' } },
        }),
      },
    },
  });
});
afterAll(async () => {
  server.closeAllConnections();
  await new Promise((done) => server.close(done));
});

async function clientToken(resource: string): Promise<string> {
  const response = await fetch(`${url}/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${btoa('agent:agent-secret')}` },
    body: new URLSearchParams({ grant_type: 'client_credentials', scope: 'call', resource }),
  });
  return ((await response.json()) as { access_token: string }).access_token;
}

async function personToken(accountId: string, resource: string): Promise<string> {
  const client = await provider.Client.find('agent');
  if (client === undefined) throw new Error('the client is not registered');
  const token = new provider.AccessToken({ accountId, client, scope: 'call', gty: 'authorization_code' } as never);
  token.resourceServer = new provider.ResourceServer(resource, {
    scope: 'call',
    audience: resource,
    accessTokenFormat: 'jwt',
    accessTokenTTL: 300,
    jwt: { sign: { alg: 'ES256' } },
  });
  return token.save();
}

describe('a real OIDC provider', () => {
  it('vouches for an agent by its RFC 9068 access tokens', async () => {
    const identity = createIdentity(
      { audience: [GATEWAY], issuers: [{ name: 'idp', type: 'oidc', issuer: url, algorithms: ['ES256'], requireAccessTokenType: true }] },
      parts,
    );
    await identity.start();
    const { principal } = await identity.identify(bearer(await clientToken(GATEWAY)));
    expect(principal).toMatchObject({ id: `${url}#agent`, issuerName: 'idp', proof: 'jwt', claims: { client_id: 'agent', scope: 'call' } });
    expect(await refusalOf(async () => identity.identify(bearer(await clientToken(REVIEW))))).toBe('token_audience/aud');
    identity.close();
  });

  it('vouches for a reviewer, and a client is no reviewer even with the reviewers’ audience', async () => {
    const reviewers = createReviewerAuthenticator({ issuer: url, audience: REVIEW, agentAudiences: [GATEWAY], groupsClaim: 'groups' }, parts);
    await reviewers.start();
    expect(await reviewers.authenticate([`Bearer ${await personToken('alice', REVIEW)}`])).toMatchObject({ id: `${url}#alice`, groups: ['finance'] });
    const refused = async (token: string) => reviewers.authenticate([`Bearer ${token}`]);
    expect(await refusalOf(async () => refused(await clientToken(REVIEW)))).toBe('reviewer_unauthenticated/client_subject');
    expect(await refusalOf(async () => refused(await clientToken(GATEWAY)))).toBe('reviewer_unauthenticated/aud');
    expect(await refusalOf(async () => refused(await personToken('alice', GATEWAY)))).toBe('reviewer_unauthenticated/aud');
    reviewers.close();
  });
});
