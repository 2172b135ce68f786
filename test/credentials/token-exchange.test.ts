// Token exchange (RFC 8693) at a real issuer: the agent's token becomes one that is good at the upstream.

import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import type { UnwantedGrant } from '../../src/credentials/broker-provider.ts';
import type { Grant } from '../../src/domain/credential.ts';
import type { JsonObject } from '../../src/domain/json.ts';
import { Secret } from '../../src/domain/secret.ts';
import { principalNamed } from '../support/clearances.ts';
import { failureOf } from '../support/failures.ts';
import { grantOf, secretOf } from '../support/signing.ts';
import { LEDGER, tokenOf, useIssuer } from './oauth-issuer.ts';

const oauth = useIssuer();

describe('token exchange', () => {
  const withToken = async (scope: JsonObject = {}) =>
    grantOf(scope, { subjectToken: new Secret(await oauth.now.token('agent')) });

  it('exchanges the agent’s token for one that is good at the upstream, and takes it back', async () => {
    const provider = oauth.exchange({ scope: 'transfers:read transfers:write' });
    const minted = await provider.mint(await withToken({ scope: 'transfers:write' }));
    expect(await oauth.now.introspect(tokenOf(minted))).toMatchObject({
      active: true,
      sub: 'agent',
      aud: LEDGER,
      scope: 'transfers:write',
    });
    await provider.revoke?.(minted.handle as Secret);
    expect(await oauth.now.isActive(tokenOf(minted))).toBe(false);
  });

  it('presents an OIDC caller’s token as an access token and a JWT-SVID as a JWT', async () => {
    const asked = await withToken();
    await oauth.exchange().mint(asked);
    expect(oauth.now.tokenRequests.at(-1)).toMatchObject({
      subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    });
    await oauth.exchange().mint({ ...asked, principal: principalNamed('agent', { kind: 'spiffe' }) });
    expect(oauth.now.tokenRequests.at(-1)).toMatchObject({
      subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    });
  });

  it('sends the gateway’s own token as the actor where it is told to', async () => {
    const actor = await oauth.now.sign({ sub: 'gateway' });
    await oauth.exchange({ actorToken: secretOf(actor) }).mint(await withToken());
    expect(oauth.now.tokenRequests.at(-1)).toMatchObject({
      actor_token: actor,
      actor_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    });
  });

  it('asks nobody for a caller without a token', async () => {
    expect(await failureOf(oauth.exchange().mint(grantOf()))).toMatchObject({ code: 'credential_unavailable' });
    expect(oauth.now.requests('/token')).toBe(0);
  });

  it('says that the issuer refused the agent’s token, without the token', async () => {
    const thrown = await failureOf(
      oauth.exchange().mint(grantOf({}, { subjectToken: new Secret('forged-token-literal') })),
    );
    expect(thrown).toMatchObject({ code: 'credential_unavailable', detail: expect.stringContaining('invalid_grant') });
    expect(inspect(thrown, { depth: 20, showHidden: true })).not.toContain('forged-token-literal');
  });

  it.each([
    { issued_token_type: 'urn:ietf:params:oauth:token-type:refresh_token' },
    { issued_token_type: undefined },
    { token_type: 'N_A' },
  ])('refuses an answer with %j and names what is to be taken back', async (changes) => {
    await oauth.restart({
      alter: (answer) => (answer.issued_token_type === undefined ? answer : { ...answer, ...changes }),
    });
    const thrown = await failureOf(oauth.exchange().mint(await withToken()));
    expect(thrown).toMatchObject({ code: 'credential_unavailable' });
    expect(await oauth.now.isActive((thrown as UnwantedGrant).unwanted.handle?.reveal() ?? '')).toBe(true);
  });

  it('shares between calls of one token only', async () => {
    const provider = oauth.exchange();
    const [one, two] = [await withToken(), await withToken()];
    const keyOf = ({ subjectToken }: Grant) =>
      provider.shareKey?.(grantOf({}, subjectToken === undefined ? {} : { subjectToken }));
    expect(keyOf(one)).not.toBe(keyOf(two));
    expect(keyOf(one)).toBe(keyOf({ ...one, subjectToken: new Secret(one.subjectToken?.reveal() ?? '') }));
    expect(keyOf(one)).not.toContain(one.subjectToken?.reveal());
  });
});
