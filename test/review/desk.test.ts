// The desk as people meet it: a real Chromium, the real issuer of the quickstart, the whole gateway. Each test ends with a look at what the
// browser complained about: a console error, a page error or a CSP violation fails it, and so does anything that axe finds.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { createSealer } from '../../src/credentials/seal.ts';
import type { PasskeyEvidence } from '../../src/domain/passkey.ts';
import { Secret } from '../../src/domain/secret.ts';
import { verifyPasskeyEvidence } from '../../src/review/passkeys.ts';
import { findBarriers, launchBrowser, type Seat, signIn, takeSeat, whyNoBrowser } from '../support/browser.ts';
import { type Desk, openDesk } from '../support/desk.ts';

let desk: Desk;
let browser: Browser;
let serial = 0;

/** A body of its own per test, so that no test meets another's hold. */
const transfer = (more: Readonly<Record<string, unknown>> = {}) => ({ amount: 4200, to: 'ACME', reference: `r${serial++}`, ...more });

async function sit(name: string, options: Parameters<typeof takeSeat>[1] = {}): Promise<Seat> {
  const seat = await takeSeat(browser, options);
  await signIn(seat.page, desk.url, name);
  return seat;
}

async function leave(...seats: readonly Seat[]): Promise<void> {
  for (const { context, faults } of seats) {
    await context.close();
    expect(faults).toEqual([]);
  }
}

const live = (page: Page) => page.getByText('Live', { exact: true }).waitFor();
const show = (page: Page, id: string) => page.goto(`${desk.url}/holds/${id}`);

describe.skipIf(whyNoBrowser !== undefined)(
  `the desk in a browser${whyNoBrowser === undefined ? '' : ` (skipped: ${whyNoBrowser})`}`,
  { timeout: 120_000 },
  () => {
    beforeAll(async () => {
      desk = await openDesk();
      browser = await launchBrowser();
    }, 120_000);
    afterAll(async () => {
      await browser?.close();
      await desk?.close();
    });

    it('asks strangers to sign in, comes back to where they wanted to go, and signs them out at the issuer, too', async () => {
      const id = await desk.ask('/ledger/transfers', transfer());
      const seat = await takeSeat(browser);
      const { page } = seat;
      const response = await show(page, id);
      expect(response?.status()).toBe(401);
      expect(await findBarriers(page)).toEqual([]);
      await page.getByRole('link', { name: 'Sign in' }).click();
      await page.getByRole('button', { name: 'Alice Archer' }).click();
      await page.waitForURL(`${desk.url}/holds/${id}`);
      const [cookie, ...others] = await seat.context.cookies(desk.url);
      expect(others).toEqual([]);
      expect(cookie).toMatchObject({ name: 'countersign-insecure-session', httpOnly: true, sameSite: 'Lax', secure: false });
      await page.getByRole('button', { name: 'Sign out' }).click();
      await page.getByRole('button', { name: 'Yes, sign out' }).click();
      await page.waitForURL(`${desk.url}/signed-out*`);
      expect(await page.getByRole('heading', { level: 1 }).textContent()).toBe('Signed out');
      // The cookie is of no use any more, even to who kept a copy.
      await seat.context.addCookies([cookie as NonNullable<typeof cookie>]);
      expect((await show(page, id))?.status()).toBe(401);
      await leave(seat);
    });

    it('shows a new hold in the inbox without a reload, and takes it away when it is decided', async () => {
      const seat = await sit('Alice Archer');
      const { page } = seat;
      await live(page);
      const body = transfer({ to: 'Arrives Ltd' });
      const id = await desk.ask('/ledger/transfers', body);
      const card = page.locator(`[data-hold="${id}"]`);
      await card.waitFor();
      expect(await card.textContent()).toContain('POST /transfers on ledger: amount 4200, to “Arrives Ltd”');
      expect(await findBarriers(page)).toEqual([]);
      await vote(id, 'bob', 'deny');
      await card.waitFor({ state: 'detached' });
      await page.getByRole('link', { name: /^Recent/ }).click();
      expect(await page.locator(`[data-hold="${id}"]`).textContent()).toContain('denied');
      await leave(seat);
    });

    it('finds the stream again after the connection was lost', async () => {
      const seat = await sit('Alice Archer');
      const { page, context } = seat;
      await live(page);
      await context.setOffline(true);
      await page.getByText(/You are offline/).waitFor();
      const id = await desk.ask('/ledger/transfers', transfer());
      await context.setOffline(false);
      await page.locator(`[data-hold="${id}"]`).waitFor();
      await live(page);
      await context.close();
    });

    it('lets one person approve with a reason, names the action once more, and the call is sent', async () => {
      const body = transfer();
      const id = await desk.ask('/ledger/explained', body);
      const answer = desk.send('/ledger/explained', body);
      const seat = await sit('Alice Archer');
      const { page } = seat;
      await show(page, id);
      expect(await page.getByRole('heading', { level: 1 }).textContent()).toMatch(
        /^Agent agent \(127\.0\.0\.1:\d+\) wants to POST \/explained on ledger: amount 4200, to ACME/,
      );
      expect(await findBarriers(page)).toEqual([]);
      await page.getByLabel(/^Reason/).fill('Invoice 0412 is due');
      await page.getByRole('button', { name: 'Approve…' }).click();
      expect(await page.locator('blockquote.action').textContent()).toContain('POST /explained on ledger: amount 4200, to ACME');
      expect(await findBarriers(page)).toEqual([]);
      await page.locator('#confirm').click();
      await page.getByText('Your approval is counted.').waitFor();
      expect((await answer).status).toBe(200);
      expect(await desk.show(id)).toMatchObject({ state: 'EXECUTED', votes: [{ decision: 'approve', reason: 'Invoice 0412 is due' }] });
      await leave(seat);
    });

    it('takes two people for dual control, and says so to the first', async () => {
      const id = await desk.ask('/ledger/large', transfer());
      const [alice, bob] = [await sit('Alice Archer'), await sit('Bob Baker')];
      for (const { page } of [alice, bob]) {
        await show(page, id);
        await page.getByRole('button', { name: 'Approve…' }).click();
        await page.locator('#confirm').click();
        await page.getByText('Your approval is counted.').waitFor();
        if (page === alice.page) {
          await page.getByText('1 of 2 approvals').waitFor();
          expect(await page.getByText('You have voted; you can still revoke it.').count()).toBe(1);
          expect((await desk.show(id)).state).toBe('PENDING');
        }
      }
      expect((await desk.show(id)).state).toBe('APPROVED');
      // And before it is used, one of them takes it back.
      // On a page of its own: the one from before may be bringing itself up to date, and would interrupt.
      const back = await alice.context.newPage();
      await show(back, id);
      await back.getByRole('button', { name: 'Take it back…' }).click();
      await back.locator('#confirm').click();
      await back.getByText('It is taken back.', { exact: false }).waitFor();
      expect((await desk.show(id)).state).toBe('REVOKED');
      await leave(alice, bob);
    });

    it('lets one deny end it, with scripts off', async () => {
      const id = await desk.ask('/ledger/transfers', transfer());
      const seat = await sit('Bob Baker', { javaScriptEnabled: false });
      const { page } = seat;
      await show(page, id);
      await page.getByLabel(/^Reason/).fill('Nobody ordered this');
      await page.getByRole('button', { name: 'Deny…' }).click();
      await page.locator('#confirm').click();
      await page.getByText('Your denial is counted.', { exact: false }).waitFor();
      expect(await desk.show(id)).toMatchObject({ state: 'DENIED', votes: [{ decision: 'deny', reason: 'Nobody ordered this' }] });
      await leave(seat);
    });

    it('takes a fresh sign-in as step-up, also with scripts off', async () => {
      const id = await desk.ask('/ledger/proven', transfer());
      const seat = await sit('Bob Baker', { javaScriptEnabled: false });
      const { page } = seat;
      await show(page, id);
      await page.getByText('yours is recent enough').waitFor();
      const before = desk.issuer.requests('/token', 'desk');
      await page.goto(`${desk.url}/sign-in?fresh=1&to=${encodeURIComponent(`/holds/${id}`)}`);
      await page.getByRole('button', { name: 'Bob Baker' }).click();
      await page.waitForURL(`${desk.url}/holds/${id}`);
      expect(desk.issuer.requests('/token', 'desk')).toBe(before + 1);
      await page.getByRole('button', { name: 'Approve…' }).click();
      await page.locator('#confirm').click();
      await page.getByText('Your approval is counted.').waitFor();
      await leave(seat);
    });

    it('shows an expired hold as such', async () => {
      const id = await desk.ask('/ledger/quick', transfer());
      const seat = await sit('Alice Archer');
      const { page } = seat;
      await show(page, id);
      // The page is open when the clock runs out, and follows.
      await page.getByText('It expired: nobody decided in time. Nothing was executed.').waitFor();
      expect(await page.getByRole('button', { name: 'Approve…' }).count()).toBe(0);
      expect(await findBarriers(page)).toEqual([]);
      await leave(seat);
    });

    it('explains to somebody outside the tier that there is nothing for them', async () => {
      const id = await desk.ask('/ledger/transfers', transfer());
      const seat = await sit('Mallory Moss');
      const { page } = seat;
      await page.getByRole('heading', { name: 'All clear' }).waitFor();
      expect((await show(page, id))?.status()).toBe(404);
      await leave(seat);
    });

    it('explains to whom a call is made for that somebody else has to decide', async () => {
      const id = await desk.ask('/ledger/transfers', transfer(), {}, 'agent-for-alice');
      const seat = await sit('Alice Archer');
      const { page } = seat;
      await show(page, id);
      expect(await page.getByRole('heading', { level: 1 }).textContent()).toMatch(/for alice/);
      await page.getByText('The call is made by you, on your behalf, or by an agent that you own: someone else has to decide.').waitFor();
      expect(await page.getByRole('button', { name: /Approve|Deny/ }).count()).toBe(0);
      expect(await findBarriers(page)).toEqual([]);
      await page.goto(desk.url);
      expect(await page.locator(`[data-hold="${id}"]`).count()).toBe(0);
      await page.getByRole('link', { name: /^All open/ }).click();
      expect(await page.locator(`[data-hold="${id}"]`).textContent()).toContain('not yours to decide');
      await leave(seat);
    });

    it('filters what is open, and says when nothing matches', async () => {
      const id = await desk.ask('/ledger/large', transfer({ to: 'Filtered Ltd' }));
      const seat = await sit('Alice Archer');
      const { page } = seat;
      await page.getByText('Filter', { exact: true }).click();
      await page.getByLabel('Tier').selectOption('dual-control');
      await page.getByRole('button', { name: 'Apply' }).click();
      await page.locator(`[data-hold="${id}"]`).waitFor();
      const tiers = await page.locator('.card-tags').allTextContents();
      expect(tiers.every((text) => text.includes('dual-control'))).toBe(true);
      expect(await findBarriers(page)).toEqual([]);
      await page.goto(`${desk.url}/?upstream=nothing`);
      await page.getByRole('heading', { name: 'Nothing matches these filters' }).waitFor();
      await leave(seat);
    });

    it('lets the second group decide after an escalation, by the same terms', async () => {
      const id = await desk.ask('/ledger/escalating', transfer());
      const seat = await sit('Mallory Moss');
      const { page } = seat;
      await expect.poll(async () => (await show(page, id))?.status(), { timeout: 20_000 }).toBe(200);
      await page.getByText('(this tier asks for one)').waitFor();
      await page.getByText('group:finance, user:mallory', { exact: false }).waitFor();
      await page.getByLabel(/^Reason/).fill('Nobody of finance is there');
      await page.getByRole('button', { name: 'Deny…' }).click();
      await page.locator('#confirm').click();
      await page.getByText('Your denial is counted.', { exact: false }).waitFor();
      await page.goto(desk.url);
      await page.getByText(/^Your last 24 hours: 1 decision, half of them within \d+ s of opening\./).waitFor();
      expect(await findBarriers(page)).toEqual([]);
      await leave(seat);
    });

    it('shows hostile text as text: HTML, bidi, look-alikes, 100 kB and 10,000 keys, nothing cut', async () => {
      const long = `${'x'.repeat(99_990)}the-end`;
      const body = {
        html: '<img src=x onerror=alert(1)><script>alert(2)</script>',
        bidi: 'pay\u202eecila\u200b now',
        alike: 'АСМЕ',
        long,
        many: Object.fromEntries(Array.from({ length: 10_000 }, (_, index) => [`key${index}`, index])),
        reference: `r${serial++}`,
      };
      const task = await desk.openTask('<h1>Approved by security</h1>\u202e', ['</blockquote><button>Approve</button>']);
      const id = await desk.ask('/ledger/transfers', body, { 'countersign-task': task });
      const seat = await sit('Alice Archer');
      const { page } = seat;
      await live(page);
      expect(await page.locator('img').count()).toBe(0);
      await show(page, id);
      const args = page.locator('.args');
      expect(await args.textContent()).toContain(body.html);
      expect(await args.textContent()).toContain('pay<U+202E>ecila<U+200B> now');
      expect(await args.locator('mark.alike').textContent()).toBe('АСМЕCyrillic');
      expect(await args.textContent()).toContain(long);
      expect(await args.textContent()).toContain('key9999');
      expect(await page.locator('main h1').count()).toBe(1);
      expect(await page.getByRole('button', { name: 'Approve', exact: true }).count()).toBe(0);
      expect(await page.content()).not.toContain('\u202e');
      expect(await page.getByRole('button', { name: 'Approve…' }).isEnabled()).toBe(true);
      await leave(seat);
    });

    it('refuses to approve what it cannot show whole, and says why', async () => {
      const id = await desk.ask('/ledger/transfers', { note: '\u202e'.repeat(300_000), reference: `r${serial++}` });
      const seat = await sit('Alice Archer');
      const { page } = seat;
      await show(page, id);
      await page.getByText('This action cannot be shown whole, so it cannot be approved here.').waitFor();
      expect(await page.getByRole('button', { name: 'Approve…' }).isDisabled()).toBe(true);
      expect(await findBarriers(page)).toEqual([]);
      // Also when the button is forced.
      await page.evaluate("document.getElementById('approve').disabled = false");
      await page.getByRole('button', { name: 'Approve…' }).click();
      await page.getByText('What cannot be shown whole is not approved.').waitFor();
      await page.getByRole('link', { name: 'Look at it again' }).click();
      await page.getByRole('button', { name: 'Deny…' }).click();
      await page.locator('#confirm').click();
      await page.getByText('Your denial is counted.', { exact: false }).waitFor();
      await leave(seat);
    });

    it('proposes a rule for what keeps coming, as text and not as a button', async () => {
      const body = () => transfer({ to: 'Rent Ltd' });
      const ids = [];
      for (let time = 0; time < 6; time++) ids.push(await desk.ask('/ledger/rent', body()));
      const last = ids.pop() ?? '';
      for (const id of ids) await vote(id, 'bob', 'approve');
      const seat = await sit('Alice Archer');
      await show(seat.page, last);
      await seat.page.getByText('This keeps coming: approved 5 times before').click();
      const yaml = (await seat.page.locator('details[open] pre').textContent()) ?? '';
      const agent = `"${desk.issuer.issuer}#agent"`;
      expect(parse(yaml)).toMatchObject([
        { id: 'rents', decide: 'hold', when: expect.stringContaining(`agent.id != ${agent}`) },
        { id: 'rents-passed', decide: 'allow', when: expect.stringContaining(`agent.id == ${agent}`) },
      ]);
      await leave(seat);
    });

    it('refuses forms of other sites, and answers with a policy that lets nothing in', async () => {
      const id = await desk.ask('/ledger/transfers', transfer());
      const seat = await sit('Alice Archer');
      const response = await show(seat.page, id);
      expect(response?.headers()['content-security-policy']).toMatch(/^default-src 'none'; script-src 'self'; style-src 'self';/);
      expect(response?.headers()['cache-control']).toBe('no-store');
      const [cookie] = await seat.context.cookies(desk.url);
      const form = { csrf: (await seat.page.locator('input[name=csrf]').first().getAttribute('value')) ?? '', decision: 'approve', bindingDigest: 'x' };
      const post = (origin: string, csrf: string) =>
        fetch(`${desk.url}/holds/${id}/vote`, {
          method: 'POST',
          headers: { cookie: `${cookie?.name}=${cookie?.value}`, origin },
          body: new URLSearchParams({ ...form, csrf }),
          redirect: 'manual',
        }).then(({ status }) => status);
      expect(await post('https://evil.test', form.csrf)).toBe(400);
      expect(await post(desk.url, 'guess')).toBe(400);
      // With both right it is the digest that is refused.
      expect(await post(desk.url, form.csrf)).toBe(412);
      // And the API never takes the cookie.
      const api = await fetch(`${desk.url}/api/v1/holds`, { headers: { cookie: `${cookie?.name}=${cookie?.value}` } });
      expect(api.status).toBe(401);
      await leave(seat);
    });

    it('is of use on a phone: nothing wider than the screen, targets large enough', async () => {
      const id = await desk.ask('/ledger/transfers', transfer({ to: 'a'.repeat(59), note: 'b'.repeat(400) }));
      const seat = await sit('Alice Archer', { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true, colorScheme: 'dark' });
      const { page } = seat;
      await live(page);
      const overflow = () => page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth') as Promise<number>;
      expect(await overflow()).toBe(0);
      expect(await findBarriers(page)).toEqual([]);
      await page.locator(`[data-hold="${id}"] a`).tap();
      await page.waitForURL(`${desk.url}/holds/${id}`);
      expect(await overflow()).toBe(0);
      expect(await findBarriers(page)).toEqual([]);
      expect((await page.getByRole('button', { name: 'Approve…' }).boundingBox())?.height).toBeGreaterThanOrEqual(44);
      await page.getByRole('button', { name: 'Deny…' }).tap();
      await page.locator('#confirm').tap();
      await page.getByText('Your denial is counted.', { exact: false }).waitFor();
      await leave(seat);
    });

    it('can be worked with the keyboard alone', async () => {
      const id = await desk.ask('/ledger/transfers', transfer({ to: 'Keyboard Ltd' }));
      const seat = await sit('Bob Baker');
      const { page } = seat;
      await live(page);
      await page.locator(`[data-hold="${id}"]`).waitFor();
      await page.keyboard.press('?');
      await page.getByRole('dialog').waitFor();
      await page.keyboard.press('Escape');
      for (let step = 0; step < 200; step++) {
        await page.keyboard.press('j');
        if ((await page.locator(`.card.here[data-hold="${id}"]`).count()) > 0) break;
      }
      await page.keyboard.press('d');
      await page.waitForURL(`${desk.url}/holds/${id}#deny`);
      await page.locator('#deny:focus').waitFor();
      await page.keyboard.press('Enter');
      await page.getByRole('heading', { name: 'Deny this?' }).waitFor();
      await leave(seat);
    });

    it('takes a passkey over the exact decision as step-up, and the vote can be verified offline later', async () => {
      const seat = await sit('Alice Archer');
      const { page, context } = seat;
      const devtools = await context.newCDPSession(page);
      await devtools.send('WebAuthn.enable');
      await devtools.send('WebAuthn.addVirtualAuthenticator', {
        options: {
          protocol: 'ctap2',
          transport: 'internal',
          hasResidentKey: true,
          hasUserVerification: true,
          isUserVerified: true,
          automaticPresenceSimulation: true,
        },
      });
      await page.getByRole('link', { name: 'Passkeys' }).click();
      await page.getByRole('button', { name: 'Add a passkey' }).click();
      await page.getByText('My passkey').waitFor();
      expect(await findBarriers(page)).toEqual([]);

      // A sign-in that is not fresh any more. Only who has the desk's key can write such a session.
      await age(seat.context, 10 * 60_000);
      const id = await desk.ask('/ledger/proven', transfer());
      await show(page, id);
      await page.getByText(/your passkey at the next step/).waitFor();
      await page.getByRole('button', { name: 'Approve…' }).click();
      await page.locator('#final').waitFor({ state: 'attached' });
      expect(await page.locator('#confirm').count()).toBe(0);
      expect(await findBarriers(page)).toEqual([]);
      await page.getByRole('button', { name: /passkey/ }).click();
      await page.getByText('Your approval is counted.').waitFor();
      expect((await desk.show(id)).state).toBe('APPROVED');

      const record = votesOnRecord().find(({ hold, phase }) => hold === id && phase === 'cast');
      const vote = { bindingDigest: String(record?.bindingDigest), decision: 'approve' as const, reviewer: String(record?.reviewer) };
      const evidence = record?.passkey as unknown as PasskeyEvidence;
      expect(await verifyPasskeyEvidence(evidence, vote)).toBeTypeOf('number');
      // What the signature does not say, it does not prove.
      for (const other of [{ decision: 'deny' as const }, { bindingDigest: '0'.repeat(64) }, { reviewer: `${desk.issuer.issuer}#bob` }]) {
        expect(await verifyPasskeyEvidence(evidence, { ...vote, ...other })).toBeUndefined();
      }
      await leave(seat);
    });

    it('refuses a vote without the fresh sign-in that its tier asks for', async () => {
      const seat = await sit('Bob Baker');
      const id = await desk.ask('/ledger/proven', transfer());
      await age(seat.context, 10 * 60_000);
      await show(seat.page, id);
      await seat.page.getByText(/This tier asks for proof that it is you, now/).waitFor();
      await seat.page.getByRole('button', { name: 'Deny…' }).click();
      await seat.page.locator('#final').waitFor({ state: 'attached' });
      expect(await seat.page.locator('#confirm').count()).toBe(0);
      // Also when the last form is sent as it is.
      await seat.page.evaluate("document.getElementById('final').submit()");
      await seat.page.getByText('step_up_required').waitFor();
      expect((await desk.show(id)).state).toBe('PENDING');
      await leave(seat);
    });

    it('has an axe that finds something where there is something', async () => {
      const { context, page } = await takeSeat(browser);
      await page.setContent('<main><img src="data:,"><button></button></main>');
      expect((await findBarriers(page)).join()).toMatch(/image-alt.*button-name|button-name.*image-alt/s);
      await context.close();
    });
  },
);

/** A vote by the API. */
async function vote(id: string, as: 'alice' | 'bob', decision: 'approve' | 'deny'): Promise<void> {
  const { bindingDigest } = await desk.show(id);
  const response = await fetch(`${desk.url}/api/v1/holds/${id}/votes`, {
    method: 'POST',
    headers: { authorization: `Bearer ${await desk.issuer.token(as)}`, 'content-type': 'application/json' },
    body: JSON.stringify({ decision, bindingDigest }),
  });
  expect(response.status).toBe(200);
}

/** Turns back the time of the sign-in in a session's cookie. */
async function age(context: BrowserContext, byMs: number): Promise<void> {
  const sealer = createSealer({ keyFile: join(desk.folder, 'data/session.key') });
  const [cookie] = await context.cookies(desk.url);
  if (cookie === undefined) throw new Error('nobody is signed in');
  const session = JSON.parse(sealer.open('session', cookie.value).reveal());
  session.reviewer.authenticatedAt -= byMs;
  await context.addCookies([{ ...cookie, value: sealer.seal('session', new Secret(JSON.stringify(session))) }]);
}

function votesOnRecord(): readonly Readonly<Record<string, unknown>>[] {
  const folder = join(desk.folder, 'data/audit');
  const lines = readdirSync(folder).flatMap((name) => readFileSync(join(folder, name), 'utf8').split('\n'));
  return lines.filter((line) => line.includes('"type":"vote"')).map((line) => JSON.parse(line));
}
