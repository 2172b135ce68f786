import { describe, expect, it } from 'vitest';
import type { BrokerProvider } from '../../src/credentials/broker-provider.ts';
import type { Secret } from '../../src/domain/secret.ts';
import { failureOf } from '../support/failures.ts';
import { providerOf } from '../support/providers.ts';
import { grantOf, secretOf } from '../support/signing.ts';
import { useServers } from './oauth-issuer.ts';

const serve = useServers();

// Issuers ignore what they do not know: what is on record as granted is what the answer or the token says, apart from
// what was asked.
describe('what is on record of a grant', () => {
  const answering = async (claims: object | undefined, scope?: string): Promise<BrokerProvider> => {
    const encode = (part: object): string => Buffer.from(JSON.stringify(part)).toString('base64url');
    const token = claims === undefined ? 'opaque-token-literal' : `${encode({ alg: 'none' })}.${encode(claims)}.c2ln`;
    const url = await serve((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(
        JSON.stringify({
          access_token: token,
          token_type: 'Bearer',
          expires_in: 60,
          ...(scope !== undefined && { scope }),
        }),
      );
    });
    return providerOf({
      ...{
        type: 'oauth-client-credentials',
        tokenEndpoint: `${url}/token`,
        clientId: 'c',
        clientSecret: secretOf('s-literal'),
        revoke: false,
      },
      ...{ scope: 'read', audience: 'ledger', tolerateScopes: ['profile', 'email'] },
    });
  };
  const asked = { scope: 'read', audience: ['ledger'] };

  it.each([
    ['an opaque token', undefined, 'read', { scope: 'read', asked, unconfirmed: ['audience'] }],
    ['a token for the audience', { aud: 'ledger' }, 'read', { scope: 'read', audience: ['ledger'], asked }],
    [
      'a token for more than the audience',
      { aud: ['other', 'ledger'] },
      'read',
      { scope: 'read', audience: ['other', 'ledger'], asked },
    ],
    [
      'a token for another audience',
      { aud: 'account' },
      'read',
      { scope: 'read', audience: ['account'], asked, unconfirmed: ['audience'] },
    ],
    [
      'tolerated scopes beside the asked one',
      { aud: 'ledger' },
      'read profile email',
      { scope: 'read profile email', audience: ['ledger'], asked },
    ],
    [
      'a token that says its scope where the answer does not',
      { aud: 'ledger', scp: ['read'] },
      undefined,
      { scope: 'read', audience: ['ledger'], asked },
    ],
  ])('%s', async (_, claims, scope, granted) => {
    expect((await (await answering(claims, scope)).mint(grantOf())).granted).toEqual(granted);
  });

  it.each([
    ['in the answer', { aud: 'ledger' }, 'read profile write openid', 'write, openid'],
    ['in the token alone', { aud: 'ledger', scope: 'read admin' }, 'read', 'admin'],
    ['in the token, as a list', { scp: ['read', 'roles', 'web-origins'] }, undefined, 'roles, web-origins'],
    ['with names that are none', undefined, 'read \u0001\u0002', '1 more'],
  ])('a scope that is neither asked for nor tolerated is refused by its name: %s', async (_, claims, scope, names) => {
    expect(await failureOf((await answering(claims, scope)).mint(grantOf()))).toMatchObject({
      code: 'credential_too_broad',
      detail: `The issuer granted a broader scope than the one asked for: ${names}.`,
    });
  });
});

describe('what an issuer no longer knows', () => {
  it.each(['invalid_token', 'token_expired', 'token_not_found'])(
    'counts as revoked (%s), and the other token is still told of',
    async (error) => {
      const told: string[] = [];
      const url = await serve(async (request, response) => {
        const form = new URLSearchParams(Buffer.concat(await request.toArray()).toString());
        const isRevocation = form.has('token');
        if (isRevocation) told.push(form.get('token') ?? '');
        response.writeHead(isRevocation && told.length === 1 ? 400 : 200, { 'content-type': 'application/json' });
        response.end(
          JSON.stringify(
            isRevocation
              ? { error }
              : { access_token: 'access-literal', refresh_token: 'refresh-literal', token_type: 'Bearer' },
          ),
        );
      });
      const endpoints = { tokenEndpoint: `${url}/token`, revocationEndpoint: `${url}/revoke` };
      const provider = providerOf({
        type: 'oauth-client-credentials',
        ...endpoints,
        clientId: 'c',
        clientSecret: secretOf('s-literal'),
      });
      const { handle } = await provider.mint(grantOf());
      await provider.revoke?.(handle as Secret);
      expect(told.sort()).toEqual(['access-literal', 'refresh-literal']);
    },
  );
});
