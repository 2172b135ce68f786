// The proof that a tier asks of a voter, on the page: what the issuer is asked for, what of its answer counts, and what
// the person is told to do. Over sockets, with an issuer that signs people in as the test says. Kinds: a sign-in that is
// asked for and not checked, a button that leads into a refusal, a person who is sent round in circles.

import { describe, expect } from 'vitest';
import { type ClaimsIssuer, startClaimsIssuer } from '../support/claims-issuer.ts';
import { rule } from '../support/config.ts';
import { openConsole, type TestConsole } from '../support/console.ts';
import { countFrom } from '../support/count.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';
import { createVisitor, type Visitor } from '../support/visitor.ts';

const TIERS = {
  phr: { reviewers: ['group:finance'], assurance: { acr: ['phr', 'phrh'] } },
  strong: { reviewers: ['group:finance'], assurance: { acr: ['phr'], maxAge: '10m' } },
  signed: { reviewers: ['group:finance'], assurance: { passkey: true } },
};
const serial = countFrom(0);
const seconds = () => Math.floor(Date.now() / 1000);

const it = gatewayTest
  .extend('theirs', file, ({ closes }) => closes(startClaimsIssuer('desk')))
  .extend('testConsole', file, ({ closes, theirs }) =>
    closes(
      openConsole({
        login: { issuer: theirs.url },
        tiers: TIERS,
        rules: Object.keys(TIERS).map((tier) =>
          rule.hold(tier, { upstream: 'ledger', methods: ['POST'], path: `/${tier}` }, { tier }),
        ),
      }),
    ),
  )
  // Somebody who signed in by password, eleven minutes ago.
  .extend('visitor', async ({ theirs, testConsole }) => {
    const visitor = createVisitor('alice');
    theirs.claims = { groups: ['finance'], acr: 'pwd', auth_time: seconds() - 660 };
    await visitor.signIn(testConsole.url);
    return visitor;
  });

const ask = (testConsole: TestConsole, tier: string) => testConsole.ask(`/ledger/${tier}`, { n: serial() });
const pageOf = async (testConsole: TestConsole, visitor: Visitor, id: string) =>
  (await visitor.fetch(`${testConsole.url}/holds/${id}`)).text();
const signInLink = (page: string) => /href="(\/sign-in\?[^"]+)"/.exec(page)?.[1]?.replaceAll('&amp;', '&');
const fieldsOf = (page: string) =>
  Object.fromEntries([...page.matchAll(/name="(csrf|bindingDigest)" value="([^"]*)"/g)].map(([, k, v]) => [k, v]));

async function vote(testConsole: TestConsole, visitor: Visitor, id: string): Promise<string> {
  const page = await pageOf(testConsole, visitor, id);
  const fields = { ...fieldsOf(page), decision: 'approve', reason: '' };
  const response = await visitor.fetch(`${testConsole.url}/holds/${id}/vote`, fields, { accept: 'text/html' });
  return response.status === 303 ? 'counted' : (/<code>([a-z_]+)[/<]/.exec(await response.text())?.[1] ?? '');
}

async function signInAs(
  testConsole: TestConsole,
  visitor: Visitor,
  theirs: ClaimsIssuer,
  link: string,
  claims: object,
): Promise<Response> {
  theirs.claims = { groups: ['finance'], ...claims };
  return visitor.signIn(testConsole.url, link.replace('/sign-in', ''));
}

describe('the page of a hold whose tier asks for proof', () => {
  it('asks the issuer for exactly that, and counts the vote when the issuer gives it', async ({
    testConsole,
    theirs,
    visitor,
  }) => {
    const id = await ask(testConsole, 'strong');
    expect(await vote(testConsole, visitor, id)).toBe('assurance_required');
    const page = await pageOf(testConsole, visitor, id);
    expect(page).toContain('a sign-in with acr phr');
    const link = signInLink(page) ?? '';
    const { searchParams } = new URL((await visitor.fetch(`${testConsole.url}${link}`)).headers.get('location') ?? '');
    expect(Object.fromEntries(searchParams)).toMatchObject({ acr_values: 'phr', max_age: '600', prompt: 'login' });
    const back = await signInAs(testConsole, visitor, theirs, link, { acr: 'phr', auth_time: seconds() });
    expect(back.headers.get('location')).toBe(`/holds/${id}`);
    expect(await pageOf(testConsole, visitor, id)).toContain('your sign-in is strong enough');
    expect(await vote(testConsole, visitor, id)).toBe('counted');
  });

  it.for<[string, () => object, string]>([
    ['is weaker', () => ({ acr: 'pwd', auth_time: seconds() }), 'too_weak'],
    ['says no acr', () => ({ auth_time: seconds() }), 'too_weak'],
    ['is too old', () => ({ acr: 'phr', auth_time: seconds() - 700 }), 'not_fresh'],
    ['says no time', () => ({ acr: 'phr', auth_time: undefined }), 'not_fresh'],
  ])('does not take a sign-in that %s', async ([, claims, check], { testConsole, theirs, visitor }) => {
    const id = await ask(testConsole, 'strong');
    const link = signInLink(await pageOf(testConsole, visitor, id)) ?? '';
    const back = await signInAs(testConsole, visitor, theirs, link, claims());
    expect(back.status).toBe(401);
    expect(await back.text()).toContain(check);
    // The session from before is still there, and still too weak.
    expect(await vote(testConsole, visitor, id)).toBe('assurance_required');
  });

  it('takes nothing from an address that asks for less: the vote is judged by what the issuer said', async ({
    testConsole,
    theirs,
    visitor,
  }) => {
    const id = await ask(testConsole, 'phr');
    const link = `/sign-in?acr_values=pwd&max_age=99999&to=${encodeURIComponent(`/holds/${id}`)}`;
    await signInAs(testConsole, visitor, theirs, link, { acr: 'pwd', auth_time: seconds() });
    expect(await vote(testConsole, visitor, id)).toBe('assurance_required');
  });

  it('sends nobody to sign in again where only a passkey is taken', async ({ testConsole, theirs, visitor }) => {
    const id = await ask(testConsole, 'signed');
    const page = await pageOf(testConsole, visitor, id);
    expect(signInLink(page)).toBeUndefined();
    expect(page).toContain('<a href="/passkeys">Add a passkey</a> first');
    await signInAs(testConsole, visitor, theirs, '/sign-in', { acr: 'phr', auth_time: seconds() });
    expect(await vote(testConsole, visitor, id)).toBe('assurance_required');
    expect(await testConsole.show(id)).toMatchObject({ state: 'PENDING', votes: [] });
  });
});
