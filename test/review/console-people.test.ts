// What the console tells people about their own sign-in, and what it leaves for those who run it, over sockets: the
// real console and the real issuer of the quickstart. Alice brings groups that nothing names: here her groups are her
// name.

import { readFileSync, writeFileSync } from 'node:fs';
import { beforeEach, describe, expect } from 'vitest';
import { openConsole, type TestConsole } from '../support/console.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';
import { createVisitor, type Visitor } from '../support/visitor.ts';

let visitor: Visitor;
const it = gatewayTest.extend('testConsole', file, ({ closes }) =>
  closes(openConsole({ login: { groupsClaim: 'name' }, reviewers: { killSwitch: ['group:Bob Baker'] } })),
);

beforeEach(() => {
  visitor = createVisitor('alice');
});

const html = { accept: 'text/html' };
const refusals = (testConsole: TestConsole) =>
  testConsole.log.filter(({ event }) => event === 'review.sign_in_refused');
async function counted(testConsole: TestConsole, code: string): Promise<number> {
  const line = (await testConsole.metrics())
    .split('\n')
    .find(
      (text) => text.includes('countersign_tokens_refused') && text.includes('reviewers.login') && text.includes(code),
    );
  return Number(line?.split(' ').at(-1) ?? 0);
}

describe('the inbox', () => {
  // Kind: an empty list that reads as "nothing to do" although it means "nobody thinks of you".
  it('names the groups that the sign-in brought where none of them is named by anything', async ({ testConsole }) => {
    await testConsole.ask('/ledger/transfers', { amount: 1, to: 'ACME' });
    await visitor.signIn(testConsole.url);
    const page = await (await visitor.fetch(testConsole.url)).text();
    expect(page).toContain('Nothing here names you');
    expect(page).toContain('<code><bdi>Alice Archer</bdi></code>');
    expect(page).not.toContain('All clear');
  });

  it('says "All clear" to somebody whom the configuration names, in whatever place', async ({ testConsole }) => {
    visitor = createVisitor('bob');
    await visitor.signIn(testConsole.url);
    const page = await (await visitor.fetch(testConsole.url)).text();
    expect(page).toContain('All clear');
    expect(page).not.toContain('Nothing here names you');
  });
});

describe('a sign-in that fails', () => {
  // Kind: a fault that neither the person nor the operator can do anything about, because it is told to nobody, or to
  // somebody else.
  it.for([
    ['was not started here', '?code=x&state=y', 'transaction', undefined],
    ['came back without anything', '', 'transaction', undefined],
  ] as const)(
    'because it %s is logged, counted and told in words for people',
    async ([_what, query, check], { testConsole }) => {
      const [before, lines] = [await counted(testConsole, 'reviewer_unauthenticated'), refusals(testConsole).length];
      const response = await visitor.fetch(`${testConsole.url}/sign-in/callback${query}`, undefined, html);
      expect(response.status).toBe(401);
      const page = await response.text();
      expect(page).toContain(`<code>reviewer_unauthenticated/${check}</code>`);
      expect(page).toContain('Sign in again');
      expect(page).not.toMatch(/bearer|token/i);
      expect(refusals(testConsole).slice(lines)).toMatchObject([{ code: 'reviewer_unauthenticated', check }]);
      expect(await counted(testConsole, 'reviewer_unauthenticated')).toBe(before + 1);
    },
  );

  it('because it was cancelled at the issuer names the issuer’s own error code in the log, and nothing else of the answer', async ({
    testConsole,
  }) => {
    const begun = await visitor.fetch(`${testConsole.url}/sign-in`);
    const state = new URL(begun.headers.get('location') ?? '').searchParams.get('state');
    const answer = new URLSearchParams({
      error: 'access_denied',
      error_description: 'secret words',
      state: state ?? '',
      iss: testConsole.issuer.issuer,
    });
    const response = await visitor.fetch(`${testConsole.url}/sign-in/callback?${answer}`, undefined, html);
    expect(await response.text()).toContain('reviewer_unauthenticated/issuer_refused');
    expect(refusals(testConsole).at(-1)).toMatchObject({ check: 'issuer_refused', issuerError: 'access_denied' });
    expect(JSON.stringify(testConsole.log)).not.toContain('secret words');
  });
});

describe('the console’s client secret', () => {
  // Kind: a secret that is read once and kept, so that a rotation needs a restart.
  it('is read anew for each sign-in', async ({ testConsole }) => {
    const { secretFile } = testConsole.issuer.clients.desk;
    const right = readFileSync(secretFile);
    expect((await visitor.signIn(testConsole.url)).status).toBe(303);
    writeFileSync(secretFile, 'not-the-secret-of-the-desk');
    const refused = await createVisitor('alice').signIn(testConsole.url);
    expect(refused.status).toBe(401);
    expect(refusals(testConsole).at(-1)).toMatchObject({ check: 'exchange_refused', issuerError: 'invalid_client' });
    writeFileSync(secretFile, right);
    expect((await createVisitor('alice').signIn(testConsole.url)).status).toBe(303);
  });
});

describe('signing out', () => {
  async function signOut(testConsole: TestConsole, who: Visitor): Promise<URL> {
    const page = await (await who.fetch(testConsole.url)).text();
    const csrf = /name="csrf" value="([^"]+)"/.exec(page)?.[1] ?? '';
    const left = await (await who.fetch(`${testConsole.url}/sign-out`, { csrf })).text();
    return new URL((/http-equiv="refresh" content="0; url=([^"]+)"/.exec(left)?.[1] ?? '').replaceAll('&amp;', '&'));
  }

  it('gives the issuer the ID token, so that it need not ask who leaves', async ({ testConsole }) => {
    await visitor.signIn(testConsole.url);
    const hint = (await signOut(testConsole, visitor)).searchParams.get('id_token_hint') ?? '';
    expect(JSON.parse(Buffer.from(hint.split('.')[1] ?? '', 'base64url').toString())).toMatchObject({
      sub: 'alice',
      aud: 'desk',
    });
    expect((await visitor.fetch(testConsole.url)).status).toBe(401);
  });

  it('gives it no token of somebody else', async ({ testConsole }) => {
    const other = createVisitor('bob');
    const planted = (await other.signIn(testConsole.url)).headers
      .getSetCookie()
      .find((line) => line.startsWith('countersign-insecure-id='));
    expect(planted).toMatch(/; Path=\/sign-out; HttpOnly; SameSite=Lax/);
    const signedIn = await visitor.signIn(testConsole.url);
    const session = signedIn.headers.getSetCookie().find((line) => line.startsWith('countersign-insecure-session='));
    const page = await (await visitor.fetch(testConsole.url)).text();
    const csrf = /name="csrf" value="([^"]+)"/.exec(page)?.[1] ?? '';
    const cookie = [session, planted].map((line) => line?.split(';')[0]).join('; ');
    const left = await fetch(`${testConsole.url}/sign-out`, {
      method: 'POST',
      headers: { origin: testConsole.url, cookie },
      body: new URLSearchParams({ csrf }),
    });
    expect(await left.text()).not.toContain('id_token_hint');
  });
});
