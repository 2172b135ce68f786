// Signing in at the real local issuer, without a browser: the client's part alone.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type QuickstartIssuer, startQuickstartIssuer } from '../../config/quickstart/issuer.ts';
import { systemClock } from '../../src/domain/clock.ts';
import { Secret } from '../../src/domain/secret.ts';
import { createReplayMemory } from '../../src/identity/replay-memory.ts';
import { createSignIn, type SignInOptions } from '../../src/review/sign-in.ts';

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

function options(extra: Partial<SignInOptions> = {}): SignInOptions {
  const { clientId, clientSecret } = issuer.clients.desk;
  return {
    issuer: issuer.issuer,
    clientId,
    clientSecret: { origin: 'test', read: () => new Secret(clientSecret) },
    clientAuth: 'basic',
    scope: 'openid profile',
    groupsClaim: 'groups',
    acrValues: [],
    stepUp: { acr: [], amr: [] },
    redirectUri: `${DESK}/sign-in/callback`,
    signedOutUri: `${DESK}/signed-out`,
    once: createReplayMemory(systemClock),
    now: Date.now,
    ...extra,
  };
}

/** A browser without a screen: follows redirects by hand, chooses a person, and stops at the desk's door. */
async function walk(start: string, user: string): Promise<URL> {
  const cookies = new Map<string, string>();
  let url = new URL(start);
  let form: URLSearchParams | undefined;
  for (let step = 0; step < 10; step++) {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await fetch(url, { redirect: 'manual', headers: { cookie }, ...(form && { method: 'POST', body: form }) });
    for (const line of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      cookies.set(name, value);
    }
    form = undefined;
    const location = response.headers.get('location');
    if (location === null) form = new URLSearchParams({ user });
    else url = new URL(location, url);
    if (url.origin === DESK) return url;
  }
  throw new Error('it went in circles');
}

describe('signing in', () => {
  it('gives the person with name, groups and the time, and the way back', async () => {
    const signIn = createSignIn(options());
    const { url, transaction } = await signIn.begin('/holds/hold_1', false);
    expect(new URL(url).searchParams.get('code_challenge_method')).toBe('S256');
    const { reviewer, to } = await signIn.finish(await walk(url, 'alice'), transaction);
    expect(to).toBe('/holds/hold_1');
    expect(reviewer).toMatchObject({ id: `${issuer.issuer}#alice`, subject: 'alice', name: 'Alice Archer', groups: ['finance'] });
    expect(Math.abs((reviewer.authenticatedAt ?? 0) - Date.now())).toBeLessThan(60_000);
  });

  it('is finished once, also where the issuer takes its code a second time', async () => {
    const once = createReplayMemory(systemClock);
    const signIn = createSignIn(options({ once }));
    const { url, transaction } = await signIn.begin('/', false);
    const { state, startedAt } = JSON.parse(transaction) as { state: string; startedAt: number };
    const back = await walk(url, 'alice');
    await once.use('sign-in', state, startedAt + 60_000);
    await expect(signIn.finish(back, transaction)).rejects.toThrow('finished before');
  });

  it('asks for a sign-in anew, with the strength that is configured', async () => {
    const { url } = await createSignIn(options({ acrValues: ['phr', 'phrh'] })).begin('/', true);
    const { searchParams } = new URL(url);
    expect([searchParams.get('prompt'), searchParams.get('max_age'), searchParams.get('acr_values')]).toEqual(['login', '0', 'phr phrh']);
  });

  it('does not take a sign-in for step-up whose acr or amr is not the configured one', async () => {
    for (const stepUp of [
      { acr: ['phr'], amr: [] },
      { acr: [], amr: ['hwk'] },
    ]) {
      const signIn = createSignIn(options({ stepUp }));
      const { url, transaction } = await signIn.begin('/', true);
      const { reviewer } = await signIn.finish(await walk(url, 'bob'), transaction);
      expect(reviewer.authenticatedAt).toBeUndefined();
    }
  });

  it('refuses an old sign-in where a fresh one was asked for', async () => {
    // For this desk it is an hour later than for the issuer, so what the issuer says is an hour old.
    const signIn = createSignIn(options({ now: () => Date.now() + 3_600_000 }));
    const { url, transaction } = await signIn.begin('/', true);
    await expect(signIn.finish(await walk(url, 'bob'), transaction)).rejects.toMatchObject({
      code: 'reviewer_unauthenticated',
      detail: expect.stringMatching(/anew/),
    });
  });

  it('refuses an answer of another sign-in, a used code and an altered one', async () => {
    const signIn = createSignIn(options());
    const [mine, other] = [await signIn.begin('/', false), await signIn.begin('/', false)];
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
    const dead = createSignIn(options({ issuer: 'http://127.0.0.1:9' }));
    await expect(dead.begin('/', false)).rejects.toMatchObject({ code: 'issuer_unavailable' });
    expect(await dead.signOutUrl()).toBeUndefined();
  });
});
