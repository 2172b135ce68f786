// Signing in at the real local issuer, without a browser: the client's part alone.

import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type QuickstartIssuer, startQuickstartIssuer } from '../../config/quickstart/issuer.ts';
import { systemClock } from '../../src/domain/clock.ts';
import { Secret } from '../../src/domain/secret.ts';
import { createReplayMemory } from '../../src/identity/possession/replay-memory.ts';
import { type BrowserSignInOptions, createBrowserSignIn, type SignInTerms } from '../../src/review/sign-in.ts';
import { type ClaimsIssuer, startClaimsIssuer } from '../support/claims-issuer.ts';
import { createVisitor } from '../support/visitor.ts';

const DESK = 'http://localhost:1';
let folder: string;
let issuer: QuickstartIssuer;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-sign-in-'));
  issuer = await startQuickstartIssuer({
    port: 0,
    dataDir: folder,
    gatewayAudience: 'https://gateway.test',
    ledgerAudience: 'https://ledger.test',
    deskUrl: DESK,
  });
});
afterAll(async () => {
  await issuer.close();
  rmSync(folder, { recursive: true, force: true });
});

function options(extra: Partial<BrowserSignInOptions> = {}): BrowserSignInOptions {
  const { clientId, clientSecret } = issuer.clients.desk;
  return {
    issuer: issuer.issuer,
    clientId,
    clientSecret: { origin: 'test', read: () => new Secret(clientSecret) },
    clientAuth: 'basic',
    scope: 'openid profile',
    groupsClaim: 'groups',
    displayClaim: 'name',
    acrValues: [],
    stepUp: { acr: [], amr: [] },
    redirectUri: `${DESK}/sign-in/callback`,
    signedOutUri: `${DESK}/signed-out`,
    once: createReplayMemory(systemClock),
    now: Date.now,
    ...extra,
  };
}

const walk = (start: string, user: string): Promise<URL> =>
  createVisitor(user).walk(start, ({ origin }) => origin === DESK);

describe('signing in', () => {
  it('gives the person with name, groups and the time, and the way back', async () => {
    const signIn = createBrowserSignIn(options());
    const { url, transaction } = await signIn.begin('/holds/hold_1');
    expect(new URL(url).searchParams.get('code_challenge_method')).toBe('S256');
    const { reviewer, to } = await signIn.finish(await walk(url, 'alice'), transaction);
    expect(to).toBe('/holds/hold_1');
    expect(reviewer).toMatchObject({
      id: `${issuer.issuer}#alice`,
      subject: 'alice',
      name: 'Alice Archer',
      groups: ['finance'],
    });
    expect(Math.abs((reviewer.authenticatedAt ?? 0) - Date.now())).toBeLessThan(60_000);
  });

  it('is finished once, also where the issuer takes its code a second time', async () => {
    const once = createReplayMemory(systemClock);
    const signIn = createBrowserSignIn(options({ once }));
    const { url, transaction } = await signIn.begin('/');
    const { state, startedAt } = JSON.parse(transaction) as { state: string; startedAt: number };
    const back = await walk(url, 'alice');
    await once.use('sign-in', state, startedAt + 60_000);
    await expect(signIn.finish(back, transaction)).rejects.toThrow('finished before');
  });

  it('asks for a sign-in anew, with the strength that is configured', async () => {
    const { url } = await createBrowserSignIn(options({ acrValues: ['phr', 'phrh'] })).begin('/', { maxAgeMs: 0 });
    const { searchParams } = new URL(url);
    expect([searchParams.get('prompt'), searchParams.get('max_age'), searchParams.get('acr_values')]).toEqual([
      'login',
      '0',
      'phr phrh',
    ]);
  });

  it('asks for what a tier asks for, and for nothing else', async () => {
    const signIn = createBrowserSignIn(options({ acrValues: ['configured'] }));
    const asked = async (terms: SignInTerms) => {
      const { searchParams } = new URL((await signIn.begin('/', terms)).url);
      return [searchParams.get('prompt'), searchParams.get('max_age'), searchParams.get('acr_values')];
    };
    expect(await asked({ maxAgeMs: 300_000, acr: ['phr'] })).toEqual(['login', '300', 'phr']);
    expect(await asked({ acr: ['phr', 'phrh'] })).toEqual(['login', null, 'phr phrh']);
    expect(await asked({ maxAgeMs: 300_000 })).toEqual(['login', '300', 'configured']);
    expect(await asked({})).toEqual([null, null, null]);
  });

  it('refuses a sign-in that is not as strong as was asked for', async () => {
    const signIn = createBrowserSignIn(options());
    const { url, transaction } = await signIn.begin('/', { acr: ['phr'] });
    await expect(signIn.finish(await walk(url, 'bob'), transaction)).rejects.toMatchObject({
      code: 'reviewer_unauthenticated',
      details: { members: { check: 'too_weak' } },
    });
  });

  it('does not take a sign-in for step-up whose acr or amr is not the configured one', async () => {
    for (const stepUp of [
      { acr: ['phr'], amr: [] },
      { acr: [], amr: ['hwk'] },
    ]) {
      const signIn = createBrowserSignIn(options({ stepUp }));
      const { url, transaction } = await signIn.begin('/', { maxAgeMs: 0 });
      const { reviewer } = await signIn.finish(await walk(url, 'bob'), transaction);
      expect(reviewer.authenticatedAt).toBeUndefined();
    }
  });

  it('refuses an old sign-in where a fresh one was asked for', async () => {
    // For this console it is an hour later than for the issuer, so what the issuer says is an hour old.
    const signIn = createBrowserSignIn(options({ now: () => Date.now() + 3_600_000 }));
    const { url, transaction } = await signIn.begin('/', { maxAgeMs: 0 });
    await expect(signIn.finish(await walk(url, 'bob'), transaction)).rejects.toMatchObject({
      code: 'reviewer_unauthenticated',
      detail: expect.stringMatching(/anew/),
    });
  });

  it('refuses an answer of another sign-in, a used code and an altered one', async () => {
    const signIn = createBrowserSignIn(options());
    const [mine, other] = [await signIn.begin('/'), await signIn.begin('/')];
    const callback = await walk(mine.url, 'alice');
    const altered = new URL(callback);
    altered.searchParams.set('code', 'guess');
    const refused = { code: 'reviewer_unauthenticated' };
    await expect(signIn.finish(callback, other.transaction)).rejects.toMatchObject(refused);
    await expect(signIn.finish(altered, mine.transaction)).rejects.toMatchObject(refused);
    await signIn.finish(callback, mine.transaction);
    await expect(signIn.finish(callback, mine.transaction)).rejects.toMatchObject(refused);
  });

  it('says that the issuer cannot be reached, and tries again the next time', async () => {
    const dead = createBrowserSignIn(options({ issuer: 'http://127.0.0.1:9' }));
    await expect(dead.begin('/')).rejects.toMatchObject({ code: 'issuer_unavailable' });
    expect(await dead.signOutUrl()).toBeUndefined();
  });

  // Kind: an address out of somebody else's document that becomes a link of the console.
  it.each(['javascript:alert(1)//', 'data:text/html,hi', 'vbscript:x'])(
    'makes no link of an issuer’s page at %s',
    async (page) => {
      const server = createServer((_request, response) => {
        const at = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
        response.setHeader('content-type', 'application/json');
        response.end(
          JSON.stringify({
            issuer: at,
            authorization_endpoint: page,
            end_session_endpoint: page,
            token_endpoint: `${at}/token`,
          }),
        );
      });
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      const signIn = createBrowserSignIn(
        options({ issuer: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }),
      );
      await expect(signIn.begin('/')).rejects.toMatchObject({ code: 'issuer_unavailable' });
      expect(await signIn.signOutUrl()).toBeUndefined();
      server.close();
    },
  );
});

describe('what an issuer says of a person', () => {
  let theirs: ClaimsIssuer;
  beforeAll(async () => {
    theirs = await startClaimsIssuer('desk');
  });
  afterAll(() => theirs.close());

  async function signInWith(claims: Readonly<Record<string, unknown>>, extra: Partial<BrowserSignInOptions> = {}) {
    theirs.claims = claims;
    const signIn = createBrowserSignIn(options({ issuer: theirs.url, clientId: 'desk', ...extra }));
    const { url, transaction } = await signIn.begin('/');
    return signIn.finish(await walk(url, 'nobody'), transaction);
  }

  // Kind: a second person beside another one, told apart by what nobody sees.
  it.each(['alice\u200b', 'alice\u202c', 'alice\u00ad', 'alice ', 'al\u2063ice', 'alic\u0065\u0301'])(
    'is refused with the subject %j',
    async (sub) => {
      await expect(signInWith({ sub })).rejects.toMatchObject({
        code: 'reviewer_unauthenticated',
        details: { members: { check: 'sub' } },
      });
    },
  );

  // Kind: claims that are legal and written otherwise than most issuers write them.
  it('is read by path, as one text, and with fractions of a second', async () => {
    const claims = {
      realm_access: { roles: 'owners' },
      amr: 'hwk',
      profile: { full: 'Alice A.' },
      auth_time: 1_700_000_000.75,
    };
    const extra = {
      groupsClaim: 'realm_access.roles',
      displayClaim: 'profile.full',
      stepUp: { acr: [], amr: ['hwk'] },
    };
    const { reviewer } = await signInWith(claims, extra);
    expect(reviewer).toMatchObject({
      groups: ['owners'],
      amr: ['hwk'],
      name: 'Alice A.',
      authenticatedAt: 1_700_000_000_750,
    });
  });

  // Kind: a person who writes their own acr into a profile that the issuer shows at userinfo.
  it('is as strong as the ID token says, whatever userinfo says', async () => {
    const strong = { sub: 'alice', acr: 'phr', auth_time: 1_700_000_000, amr: ['hwk'] };
    expect((await signInWith(strong)).reviewer).toMatchObject({ acr: 'phr', amr: ['hwk'] });
    theirs.userinfo = strong;
    const { reviewer } = await signInWith({ sub: 'alice', auth_time: undefined });
    theirs.userinfo = undefined;
    expect(reviewer).not.toHaveProperty('acr');
    expect(reviewer).not.toHaveProperty('amr');
    expect(reviewer).not.toHaveProperty('authenticatedAt');
  });

  // Kind: somebody signs in without saying who they are, and is taken for another person than the one acted for.
  it.each<[string, object, object | undefined, string | undefined]>([
    ['in the ID token', { oid: 'oid-7' }, undefined, 'oid-7'],
    ['at the userinfo endpoint', {}, { oid: 'oid-7' }, 'oid-7'],
    ['nowhere', {}, { other: 'oid-7' }, undefined],
    ['as something else than a name', { oid: ['oid-7'] }, undefined, undefined],
  ])('names the person by the claim %s', async (_, claims, userinfo, person) => {
    theirs.userinfo = userinfo as typeof theirs.userinfo;
    const signedIn = signInWith({ ...claims }, { personClaim: 'oid' });
    if (person !== undefined) expect((await signedIn).reviewer).toMatchObject({ subject: 'alice', person });
    else await expect(signedIn).rejects.toMatchObject({ code: 'person_unknown' });
    theirs.userinfo = undefined;
  });

  // Kind: an address from one place counts as verified by another place that speaks of another address.
  it('takes no e-mail address of the ID token for verified by the userinfo endpoint', async () => {
    theirs.userinfo = { email_verified: true };
    const signedIn = signInWith({ email: 'chosen@corp.example' }, { personClaim: 'email' });
    await expect(signedIn).rejects.toMatchObject({ code: 'person_unknown' });
    theirs.userinfo = undefined;
  });

  it('gives no groups in another shape than texts', async () => {
    for (const groups of [{ finance: true }, ['finance', 1], 7])
      expect((await signInWith({ groups })).reviewer.groups).toEqual([]);
  });

  it('is refused by name of the check when the issuer does not accept the console', async () => {
    theirs.refusal = { status: 401, body: { error: 'invalid_client' } };
    await expect(signInWith({})).rejects.toMatchObject({
      code: 'reviewer_unauthenticated',
      details: { members: { check: 'exchange_refused' } },
    });
    theirs.refusal = undefined;
  });

  it('comes with the ID token, and the sign-out page is given it as a hint', async () => {
    const { idToken } = await signInWith({});
    const signIn = createBrowserSignIn(options({ issuer: theirs.url, clientId: 'desk' }));
    const url = new URL((await signIn.signOutUrl(idToken)) ?? '');
    expect([url.searchParams.get('id_token_hint'), url.searchParams.get('client_id')]).toEqual([idToken, 'desk']);
    expect(new URL((await signIn.signOutUrl()) ?? '').searchParams.has('id_token_hint')).toBe(false);
  });
});
