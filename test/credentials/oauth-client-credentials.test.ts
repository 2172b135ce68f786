import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { UnwantedGrant } from '../../src/credentials/broker-provider.ts';
import { Secret } from '../../src/domain/secret.ts';
import { failureOf } from '../support/failures.ts';
import { providerOf } from '../support/providers.ts';
import { grantOf, secretOf } from '../support/signing.ts';
import { LEDGER, SIGNED, tokenOf, useIssuer } from './oauth-issuer.ts';

const oauth = useIssuer();

describe('client credentials', () => {
  it('asks for the narrowed scope and resource, and reports what was granted', async () => {
    const minted = await oauth
      .clientCredentials({ scope: 'transfers:read transfers:write' })
      .mint(grantOf({ scope: ['transfers:read'] }));
    expect(oauth.now.tokenRequests.at(-1)).toMatchObject({
      grant_type: 'client_credentials',
      scope: 'transfers:read',
      resource: LEDGER,
    });
    expect(minted).toMatchObject({
      revocability: 'token',
      granted: {
        scope: 'transfers:read',
        asked: { scope: 'transfers:read', resource: [LEDGER] },
        unconfirmed: ['resource'],
      },
    });
    expect(minted.injection.value.reveal()).toBe(`Bearer ${tokenOf(minted)}`);
    expect(await oauth.now.introspect(tokenOf(minted))).toMatchObject({
      active: true,
      scope: 'transfers:read',
      aud: LEDGER,
      client_id: 'countersign',
    });
  });

  it('counts the lifetime from before the request', async () => {
    const now = Date.now() - 1_000;
    expect((await oauth.clientCredentials().mint(grantOf({}, { now }))).expiresAt).toBe(now + 300_000);
  });

  it('asks nobody when the rule wants more than is configured', async () => {
    const provider = oauth.clientCredentials({ scope: 'transfers:read' });
    expect(await failureOf(provider.mint(grantOf({ scope: ['transfers:read', 'transfers:write'] })))).toMatchObject({
      code: 'credential_unavailable',
    });
    expect(await failureOf(provider.mint(grantOf({ resource: SIGNED })))).toMatchObject({
      code: 'credential_unavailable',
    });
    expect(oauth.now.requests('/token')).toBe(0);
  });

  it('authenticates by client_secret_post too', async () => {
    const provider = oauth.clientCredentials({
      clientId: 'poster',
      clientSecret: secretOf('post-secret-literal'),
      clientAuth: 'post',
    });
    expect(await oauth.now.isActive(tokenOf(await provider.mint(grantOf())))).toBe(true);
  });

  it('reads its own secret at each request', async () => {
    let text = 'not-yet';
    const provider = oauth.clientCredentials({ clientSecret: { origin: 'test', read: () => new Secret(text) } });
    expect(await failureOf(provider.mint(grantOf()))).toMatchObject({
      detail: expect.stringContaining('invalid_client'),
    });
    text = 'basic/secret literal';
    expect(await oauth.now.isActive(tokenOf(await provider.mint(grantOf())))).toBe(true);
  });

  it('names the issuer’s error code', async () => {
    const provider = oauth.clientCredentials({ resource: undefined, scope: 'own:read own:write' });
    expect(await failureOf(provider.mint(grantOf({ scope: 'own:write' })))).toMatchObject({
      code: 'credential_unavailable',
      detail: expect.stringContaining('invalid_scope'),
    });
  });

  it('discovers the issuer once for all who ask, and again after a failure', async () => {
    const provider = oauth.clientCredentials();
    await oauth.now.stop();
    expect(await failureOf(provider.mint(grantOf()))).toMatchObject({
      detail: expect.stringContaining('ECONNREFUSED'),
    });
    await oauth.now.resume();
    await Promise.all([1, 2, 3].map(() => provider.mint(grantOf())));
    expect(oauth.now.requests('/.well-known/openid-configuration')).toBe(1);
  });

  it('needs no discovery when the endpoints are given', async () => {
    const { issuer: url, ...client } = oauth.client;
    const provider = providerOf({
      type: 'oauth-client-credentials',
      ...client,
      resource: LEDGER,
      tokenEndpoint: `${url}/token`,
      revocationEndpoint: `${url}/token/revocation`,
    });
    const minted = await provider.mint(grantOf());
    await provider.revoke?.(minted.handle as Secret);
    expect(await oauth.now.isActive(tokenOf(minted))).toBe(false);
    expect(oauth.now.requests('/.well-known/openid-configuration')).toBe(0);
  });

  it('promises no revocation where the issuer offers none', async () => {
    await oauth.restart({ revocation: false });
    const minted = await oauth.clientCredentials().mint(grantOf());
    expect([minted.revocability, minted.handle]).toEqual(['none', undefined]);
  });

  it('promises no revocation where the configuration leaves tokens to expire', async () => {
    const minted = await oauth.clientCredentials({ revoke: false }).mint(grantOf());
    expect([minted.revocability, minted.handle]).toEqual(['none', undefined]);
  });

  it('learns that signed tokens cannot be revoked at this issuer, and promises it no more', async () => {
    const provider = oauth.clientCredentials({ resource: SIGNED });
    const first = await provider.mint(grantOf());
    expect(first.revocability).toBe('token');
    expect(await failureOf(provider.revoke?.(first.handle as Secret) as Promise<void>)).toMatchObject({
      detail: expect.stringContaining('unsupported_token_type'),
    });
    expect((await provider.mint(grantOf())).revocability).toBe('none');
  });

  it('takes an answer without a lifetime for one of unknown expiry', async () => {
    await oauth.restart({ alter: ({ expires_in: _, ...answer }) => answer });
    const provider = oauth.clientCredentials();
    expect((await provider.mint(grantOf())).expiresAt).toBeUndefined();
    expect(provider.reuseMs).toBe(300_000);
  });

  it.each([
    ['a broader scope', { scope: 'transfers:read transfers:write' }, 'credential_too_broad'],
    ['a DPoP token', { token_type: 'DPoP' }, 'credential_unavailable'],
    ['an unknown type of token', { token_type: 'mac' }, 'credential_unavailable'],
    ['a lifetime that is no number', { expires_in: 'soon' }, 'credential_unavailable'],
  ])('refuses %s and names what is to be taken back', async (_, changes, code) => {
    let made = '';
    await oauth.restart({
      alter: (answer) => {
        made = String(answer.access_token);
        return { ...answer, ...changes };
      },
    });
    const thrown = await failureOf(oauth.clientCredentials({ scope: 'transfers:read' }).mint(grantOf()));
    expect(thrown).toBeInstanceOf(UnwantedGrant);
    expect(thrown).toMatchObject({ code });
    expect((thrown as UnwantedGrant).unwanted.handle?.reveal()).toBe(made);
    expect(inspect(thrown, { depth: 20, showHidden: true })).not.toContain(made);
  });

  it('refuses a token that could end a header line', async () => {
    await oauth.restart({ alter: (answer) => ({ ...answer, access_token: 'a\r\nx: y' }) });
    expect(await failureOf(oauth.clientCredentials().mint(grantOf()))).toMatchObject({
      code: 'credential_unavailable',
    });
  });

  it('takes a refresh token back too', async () => {
    const spare = { token: '' };
    await oauth.restart({ alter: (answer) => ({ ...answer, refresh_token: spare.token }) });
    spare.token = await oauth.now.token('countersign', { resource: LEDGER });
    const provider = oauth.clientCredentials();
    const minted = await provider.mint(grantOf());
    expect(minted.secrets.map((one) => one.reveal())).toContain(spare.token);
    await provider.revoke?.(minted.handle as Secret);
    expect([await oauth.now.isActive(tokenOf(minted)), await oauth.now.isActive(spare.token)]).toEqual([false, false]);
  });
});
