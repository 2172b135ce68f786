import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { decodeProtectedHeader } from 'jose';
import { afterEach, describe, expect, it } from 'vitest';
import { createJwtSigner } from '../../src/credentials/jwt-signer.ts';
import { importSigningKey, signingKeyFrom } from '../../src/credentials/signing-key.ts';
import { systemClock } from '../../src/domain/clock.ts';
import { Secret } from '../../src/domain/secret.ts';
import { principalNamed } from '../support/clearances.ts';
import { startIssuer, type TestIssuer } from '../support/oidc-issuer.ts';
import { providerOf, type WrittenCredential } from '../support/providers.ts';
import { grantOf, privateKey, secretOf } from '../support/signing.ts';

const LEDGER = 'https://ledger.example.org';
const GATEWAY = 'https://gateway.example.org/countersign';
const clientPem = privateKey('P-256');
const gatewayPem = privateKey('P-384');
const signer = createJwtSigner(GATEWAY, signingKeyFrom(secretOf(gatewayPem)), systemClock);

let issuer: TestIssuer;
afterEach(() => issuer?.close());

async function start(): Promise<void> {
  const { publicJwk } = await importSigningKey(clientPem);
  const { publicJwk: gatewayKey } = await importSigningKey(gatewayPem);
  issuer = await startIssuer({
    clients: [
      { id: 'countersign', secret: 'client-secret-literal' },
      { id: 'keyed', authentication: 'private_key_jwt', keys: [publicJwk] },
    ],
    resources: { [LEDGER]: { scope: 'transfers:read transfers:write' } },
    trusts: { [GATEWAY]: { keys: [gatewayKey] }, 'service-account': { keys: [publicJwk] } },
  });
}

const keyed = (more: object = {}) =>
  ({
    issuer: issuer.issuer,
    clientId: 'keyed',
    clientAuth: 'private_key_jwt',
    clientKey: secretOf(clientPem),
    resource: LEDGER,
    ...more,
  }) as const;
const withSecret = () => ({
  issuer: issuer.issuer,
  clientId: 'countersign',
  clientSecret: secretOf('client-secret-literal'),
  resource: LEDGER,
});
const made = (written: WrittenCredential) => providerOf(written, { signer });
const tokenOf = (minted: { secrets: readonly Secret[] }) => minted.secrets[0]?.reveal() ?? '';

describe('private_key_jwt (RFC 7523 section 2.2)', () => {
  const requests: readonly [string, () => Promise<WrittenCredential>][] = [
    ['oauth-client-credentials', async () => ({ type: 'oauth-client-credentials', ...keyed() })],
    ['token-exchange', async () => ({ type: 'token-exchange', ...keyed() })],
    ['jwt-bearer', async () => ({ type: 'jwt-bearer', ...keyed(), assertion: { gateway: {} } })],
  ];
  it.each(requests)('proves the client for %s, to a real issuer, and again when it revokes', async (_, options) => {
    await start();
    const provider = made(await options());
    const minted = await provider.mint(
      grantOf({}, { subjectToken: new Secret(await issuer.sign({ sub: 'agent-1' })) }),
    );
    expect(await issuer.isActive(tokenOf(minted))).toBe(true);
    expect(minted.revocability).toBe('token');
    await provider.revoke?.(minted.handle as Secret);
    expect(await issuer.isActive(tokenOf(minted))).toBe(false);
  });

  it('is refused by the issuer when it is made with another key', async () => {
    await start();
    const provider = made({
      type: 'oauth-client-credentials',
      ...keyed({ clientKey: secretOf(privateKey()) }),
    });
    await expect(provider.mint(grantOf())).rejects.toMatchObject({
      code: 'credential_unavailable',
      detail: 'The issuer refused: invalid_client.',
    });
  });

  it('picks up a rotated key', async () => {
    await start();
    let pem = privateKey();
    const source = { origin: 'test', read: () => new Secret(pem) };
    const provider = made({ type: 'oauth-client-credentials', ...keyed({ clientKey: source }) });
    await expect(provider.mint(grantOf())).rejects.toThrow();
    pem = clientPem;
    expect(await issuer.isActive(tokenOf(await provider.mint(grantOf())))).toBe(true);
  });

  it('addresses a token endpoint that was given, not its origin', async () => {
    await start();
    const { issuer: url, ...rest } = keyed();
    const endpoints = { tokenEndpoint: `${url}/token`, revocationEndpoint: `${url}/token/revocation` };
    const minted = await made({ type: 'oauth-client-credentials', ...rest, ...endpoints }).mint(grantOf());
    expect(await issuer.isActive(tokenOf(minted))).toBe(true);
  });

  // One signature with two names: which one an issuer takes is what its metadata lists.
  it.each([
    [['RS256', 'EdDSA'], 'EdDSA'],
    [['Ed25519', 'EdDSA'], 'EdDSA'],
    [['ES256', 'Ed25519'], 'Ed25519'],
    [['ES256'], 'EdDSA'],
    [undefined, 'EdDSA'],
  ])('signs with an Ed25519 key under the name that the issuer lists: %j', async (listed, name) => {
    const assertions: string[] = [];
    const server = createServer(async (request, response) => {
      const at = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      const form = new URLSearchParams(Buffer.concat(await request.toArray()).toString());
      if (form.has('client_assertion')) assertions.push(form.get('client_assertion') ?? '');
      const metadata = {
        issuer: at,
        token_endpoint: `${at}/token`,
        token_endpoint_auth_signing_alg_values_supported: listed,
      };
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(
        JSON.stringify(request.url === '/token' ? { access_token: 'a-literal', token_type: 'Bearer' } : metadata),
      );
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const at = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const options = {
      issuer: at,
      clientId: 'keyed',
      clientAuth: 'private_key_jwt',
      clientKey: secretOf(privateKey('ed25519')),
    } as const;
    await made({ type: 'oauth-client-credentials', ...options }).mint(grantOf());
    server.close();
    server.closeAllConnections();
    expect(assertions.map((text) => decodeProtectedHeader(text).alg)).toEqual([name]);
  });

  it.each(['rsa', 'P-256', 'P-384', 'ed25519'] as const)('reads a key of %s', async (kind) => {
    expect((await importSigningKey(privateKey(kind))).kid).toMatch(/^[\w-]{43}$/);
  });

  it.each([
    privateKey('rsa-1024'),
    '-----BEGIN PRIVATE KEY-----\nmarker-literal\n-----END PRIVATE KEY-----',
    'marker-literal',
  ])('refuses a key that it cannot use without quoting it (%#)', async (pem) => {
    const thrown = await importSigningKey(pem).catch((error: unknown) => error);
    expect(thrown).toMatchObject({ code: 'credential_unavailable' });
    expect(String((thrown as Error).stack)).not.toContain('marker-literal');
  });
});

describe('jwt-bearer (RFC 7523 section 2.1)', () => {
  it('sends an assertion that the gateway signed for the agent, and the issuer verifies it', async () => {
    await start();
    const provider = made({
      type: 'jwt-bearer',
      ...withSecret(),
      scope: 'transfers:read',
      assertion: { gateway: {} },
    });
    const minted = await provider.mint(grantOf());
    const { id } = principalNamed('agent');
    expect(await issuer.introspect(tokenOf(minted))).toMatchObject({
      active: true,
      sub: id,
      scope: 'transfers:read',
      aud: LEDGER,
    });
  });

  it('sends one signed with a key that the issuer has on file', async () => {
    await start();
    const assertion = { key: secretOf(clientPem), issuer: 'service-account', subject: 'ledger-robot' };
    const minted = await made({ type: 'jwt-bearer', ...withSecret(), assertion }).mint(grantOf());
    expect(await issuer.introspect(tokenOf(minted))).toMatchObject({ active: true, sub: 'ledger-robot' });
  });

  it('sends the agent’s own token, and shares what it got with that token’s calls alone', async () => {
    await start();
    const provider = made({ type: 'jwt-bearer', ...withSecret(), assertion: 'agent' });
    const [one, two] = await Promise.all(
      ['agent-1', 'agent-2'].map(async (sub) => new Secret(await issuer.sign({ sub, aud: issuer.issuer }))),
    );
    const minted = await provider.mint(grantOf({}, { subjectToken: one as Secret }));
    expect(await issuer.introspect(tokenOf(minted))).toMatchObject({ active: true, sub: 'agent-1' });
    expect(provider.shareKey?.(grantOf({}, { subjectToken: one as Secret }))).not.toBe(
      provider.shareKey?.(grantOf({}, { subjectToken: two as Secret })),
    );
    await expect(provider.mint(grantOf())).rejects.toMatchObject({ code: 'credential_unavailable' });
  });

  it('fails when the issuer does not accept the assertion', async () => {
    await start();
    const provider = made({
      type: 'jwt-bearer',
      ...withSecret(),
      assertion: { gateway: { audience: 'https://another.example.org' } },
    });
    await expect(provider.mint(grantOf())).rejects.toMatchObject({ detail: 'The issuer refused: invalid_grant.' });
  });
});

describe('the actor in a token exchange (RFC 8693 section 2.1)', () => {
  it('is the agent when the gateway’s word is the subject', async () => {
    await start();
    const provider = made({
      type: 'token-exchange',
      ...withSecret(),
      subjectToken: { gateway: { subject: 'payments-team' } },
      actorToken: 'agent',
    });
    const agent = new Secret(await issuer.sign({ sub: 'agent-1' }));
    const minted = await provider.mint(grantOf({}, { subjectToken: agent }));
    expect(await issuer.introspect(tokenOf(minted))).toMatchObject({
      active: true,
      sub: 'payments-team',
      act: { sub: 'agent-1' },
    });
  });

  it('is the gateway when the agent is the subject, with an assertion of its own for each call', async () => {
    await start();
    const actorToken = { gateway: { subject: GATEWAY } };
    const provider = made({ type: 'token-exchange', ...withSecret(), actorToken });
    const grant = grantOf({}, { subjectToken: new Secret(await issuer.sign({ sub: 'agent-1' })), holdId: 'hold_1' });
    const minted = await provider.mint(grant);
    expect(await issuer.introspect(tokenOf(minted))).toMatchObject({
      active: true,
      sub: 'agent-1',
      act: { sub: GATEWAY },
    });
    await provider.mint(grant);
    const [first, second] = issuer.tokenRequests.map(({ actor_token }) => actor_token);
    expect(first).not.toBe(second);
    expect(issuer.tokenRequests[0]).toMatchObject({ actor_token_type: 'urn:ietf:params:oauth:token-type:jwt' });
  });
});

describe('the bound on a lifetime', () => {
  it('refuses a token that lives longer, and says how to take it back', async () => {
    await start();
    const provider = made({ type: 'oauth-client-credentials', ...withSecret(), maxLifetime: '1m' });
    const thrown = await provider.mint(grantOf()).catch((error: unknown) => error);
    expect(thrown).toMatchObject({ code: 'credential_too_broad', unwanted: { handle: expect.any(Secret) } });
  });
});
