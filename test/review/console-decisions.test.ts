// Decisions at the console, in a real Chromium over the whole gateway: who may make them, by which proof, about what is
// shown whole and as text, and by nobody else's form. A console error, a page error or a CSP violation fails a test,
// and so does anything that axe finds.

import { describe, expect } from 'vitest';
import type { PasskeyEvidence } from '../../src/domain/passkey.ts';
import { verifyPasskeyEvidence } from '../../src/review/passkeys.ts';
import { leave, live, nextReference, openBrowsedConsole, transfer } from '../support/browsed-console.ts';
import { findBarriers, whyNoBrowser } from '../support/browser.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';

const it = gatewayTest.extend('testConsole', file, ({ closes }) => closes(openBrowsedConsole()));

describe.skipIf(whyNoBrowser !== undefined)(
  `the console in a browser${whyNoBrowser === undefined ? '' : ` (skipped: ${whyNoBrowser})`}`,
  { timeout: 120_000 },
  () => {
    it('lets one person approve with a reason, names the action once more, and the call is sent', async ({
      testConsole,
    }) => {
      const body = transfer();
      const id = await testConsole.ask('/ledger/explained', body);
      const answer = testConsole.send('/ledger/explained', body);
      const seat = await testConsole.sit('Alice Archer');
      const { page } = seat;
      await testConsole.visit(page, id);
      expect(await page.getByRole('heading', { level: 1 }).textContent()).toMatch(
        /^Agent agent \(127\.0\.0\.1:\d+\) wants to POST \/explained on ledger: amount 4200, to ACME/,
      );
      expect(await findBarriers(page)).toEqual([]);
      await page.getByLabel(/^Reason/).fill('Invoice 0412 is due');
      await page.getByRole('button', { name: 'Approve…' }).click();
      expect(await page.locator('blockquote.action').textContent()).toContain(
        'POST /explained on ledger: amount 4200, to ACME',
      );
      expect(await findBarriers(page)).toEqual([]);
      await page.locator('#confirm').click();
      await page.getByText('Your approval is counted.').waitFor();
      expect((await answer).status).toBe(200);
      expect(await testConsole.show(id)).toMatchObject({
        state: 'EXECUTED',
        votes: [{ decision: 'approve', reason: 'Invoice 0412 is due' }],
      });
      await leave(seat);
    });

    it('takes two people for dual control, and says so to the first', async ({ testConsole }) => {
      const id = await testConsole.ask('/ledger/large', transfer());
      const [alice, bob] = [await testConsole.sit('Alice Archer'), await testConsole.sit('Bob Baker')];
      for (const { page } of [alice, bob]) {
        await testConsole.visit(page, id);
        await page.getByRole('button', { name: 'Approve…' }).click();
        await page.locator('#confirm').click();
        await page.getByText('Your approval is counted.').waitFor();
        if (page === alice.page) {
          await page.getByText('1 of 2 approvals').waitFor();
          expect(await page.getByText('You have voted; you can still revoke it.').count()).toBe(1);
          expect((await testConsole.show(id)).state).toBe('PENDING');
        }
      }
      expect((await testConsole.show(id)).state).toBe('APPROVED');
      // And before it is used, one of them takes it back.
      // On a page of its own: the one from before may be bringing itself up to date, and would interrupt.
      const back = await alice.context.newPage();
      await testConsole.visit(back, id);
      await back.getByRole('button', { name: 'Take it back…' }).click();
      await back.locator('#confirm').click();
      await back.getByText('It is taken back.', { exact: false }).waitFor();
      expect((await testConsole.show(id)).state).toBe('REVOKED');
      await leave(alice, bob);
    });

    it('lets one deny end it, with scripts off', async ({ testConsole }) => {
      const id = await testConsole.ask('/ledger/transfers', transfer());
      const seat = await testConsole.sit('Bob Baker', { javaScriptEnabled: false });
      const { page } = seat;
      await testConsole.visit(page, id);
      await page.getByLabel(/^Reason/).fill('Nobody ordered this');
      await page.getByRole('button', { name: 'Deny…' }).click();
      await page.locator('#confirm').click();
      await page.getByText('Your denial is counted.', { exact: false }).waitFor();
      expect(await testConsole.show(id)).toMatchObject({
        state: 'DENIED',
        votes: [{ decision: 'deny', reason: 'Nobody ordered this' }],
      });
      await leave(seat);
    });

    it('takes a fresh sign-in as step-up, also with scripts off', async ({ testConsole }) => {
      const id = await testConsole.ask('/ledger/proven', transfer());
      const seat = await testConsole.sit('Bob Baker', { javaScriptEnabled: false });
      const { page } = seat;
      await testConsole.visit(page, id);
      await page.getByText('yours is recent enough').waitFor();
      const before = testConsole.issuer.requests('/token', 'desk');
      await page.goto(`${testConsole.url}/sign-in?fresh=1&to=${encodeURIComponent(`/holds/${id}`)}`);
      await page.getByRole('button', { name: 'Bob Baker' }).click();
      await page.waitForURL(`${testConsole.url}/holds/${id}`);
      expect(testConsole.issuer.requests('/token', 'desk')).toBe(before + 1);
      await page.getByRole('button', { name: 'Approve…' }).click();
      await page.locator('#confirm').click();
      await page.getByText('Your approval is counted.').waitFor();
      await leave(seat);
    });

    it('lets the second group decide after an escalation, by the same terms', async ({ testConsole }) => {
      const id = await testConsole.ask('/ledger/escalating', transfer());
      const seat = await testConsole.sit('Mallory Moss');
      const { page } = seat;
      await expect.poll(async () => (await testConsole.visit(page, id))?.status(), { timeout: 20_000 }).toBe(200);
      await page.getByText('(this tier asks for one)').waitFor();
      await page.getByText('group:finance, user:mallory', { exact: false }).waitFor();
      await page.getByLabel(/^Reason/).fill('Nobody of finance is there');
      await page.getByRole('button', { name: 'Deny…' }).click();
      await page.locator('#confirm').click();
      await page.getByText('Your denial is counted.', { exact: false }).waitFor();
      await page.goto(testConsole.url);
      await page.getByText(/^Your last 24 hours: 1 decision, half of them within \d+ s of opening\./).waitFor();
      expect(await findBarriers(page)).toEqual([]);
      await leave(seat);
    });

    it('shows hostile text as text: HTML, bidi, look-alikes, 100 kB and 10,000 keys, nothing cut', async ({
      testConsole,
    }) => {
      const long = `${'x'.repeat(99_990)}the-end`;
      const body = {
        html: '<img src=x onerror=alert(1)><script>alert(2)</script>',
        bidi: 'pay\u202eecila\u200b now',
        alike: 'АСМЕ',
        long,
        many: Object.fromEntries(Array.from({ length: 10_000 }, (_, index) => [`key${index}`, index])),
        reference: nextReference(),
      };
      const task = await testConsole.openTask('<h1>Approved by security</h1>\u202e', [
        '</blockquote><button>Approve</button>',
      ]);
      const id = await testConsole.ask('/ledger/transfers', body, { 'countersign-task': task });
      const seat = await testConsole.sit('Alice Archer');
      const { page } = seat;
      await live(page);
      expect(await page.locator('img').count()).toBe(0);
      await testConsole.visit(page, id);
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

    it('refuses to approve what it cannot show whole, and says why', async ({ testConsole }) => {
      const id = await testConsole.ask('/ledger/transfers', {
        note: '\u202e'.repeat(300_000),
        reference: nextReference(),
      });
      const seat = await testConsole.sit('Alice Archer');
      const { page } = seat;
      await testConsole.visit(page, id);
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

    it('refuses forms of other sites, and answers with a policy that lets nothing in', async ({ testConsole }) => {
      const id = await testConsole.ask('/ledger/transfers', transfer());
      const seat = await testConsole.sit('Alice Archer');
      const response = await testConsole.visit(seat.page, id);
      expect(response?.headers()['content-security-policy']).toMatch(
        /^default-src 'none'; script-src 'self'; style-src 'self';/,
      );
      expect(response?.headers()['cache-control']).toBe('no-store');
      const [cookie] = await seat.context.cookies(testConsole.url);
      const form = {
        csrf: (await seat.page.locator('input[name=csrf]').first().getAttribute('value')) ?? '',
        decision: 'approve',
        bindingDigest: 'x',
      };
      const post = (origin: string, csrf: string) =>
        fetch(`${testConsole.url}/holds/${id}/vote`, {
          method: 'POST',
          headers: { cookie: `${cookie?.name}=${cookie?.value}`, origin },
          body: new URLSearchParams({ ...form, csrf }),
          redirect: 'manual',
        }).then(({ status }) => status);
      expect(await post('https://evil.test', form.csrf)).toBe(400);
      expect(await post(testConsole.url, 'guess')).toBe(400);
      // With both right it is the digest that is refused.
      expect(await post(testConsole.url, form.csrf)).toBe(412);
      // And the API never takes the cookie.
      const api = await fetch(`${testConsole.url}/api/v1/holds`, {
        headers: { cookie: `${cookie?.name}=${cookie?.value}` },
      });
      expect(api.status).toBe(401);
      await leave(seat);
    });

    it('takes a passkey over the exact decision as step-up, and the vote can be verified offline later', async ({
      testConsole,
    }) => {
      const seat = await testConsole.sit('Alice Archer');
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
      const added = page.waitForRequest((request) => request.url().endsWith('/passkeys/add'));
      await page.getByRole('button', { name: 'Add a passkey' }).click();
      await page.getByText('My passkey').waitFor();
      const registration = (await added).postData() ?? '';
      expect(await findBarriers(page)).toEqual([]);

      // A sign-in that is not fresh any more. Only who has the console's key can write such a session.
      await testConsole.ageSession(seat.context, 10 * 60_000);
      const id = await testConsole.ask('/ledger/proven', transfer());
      await testConsole.visit(page, id);
      await page.getByText(/your passkey at the next step/).waitFor();
      await page.getByRole('button', { name: 'Approve…' }).click();
      await page.locator('#final').waitFor({ state: 'attached' });
      expect(await page.locator('#confirm').count()).toBe(0);
      expect(await findBarriers(page)).toEqual([]);
      await page.getByRole('button', { name: /passkey/ }).click();
      await page.getByText('Your approval is counted.').waitFor();
      expect((await testConsole.show(id)).state).toBe('APPROVED');

      const record = testConsole.votesOnRecord().find(({ hold, phase }) => hold === id && phase === 'cast');
      const vote = {
        bindingDigest: String(record?.bindingDigest),
        decision: 'approve' as const,
        reviewer: String(record?.reviewer),
      };
      const evidence = record?.passkey as unknown as PasskeyEvidence;
      expect(await verifyPasskeyEvidence(evidence, vote)).toBeTypeOf('number');
      // What the signature does not say, it does not prove.
      for (const other of [
        { decision: 'deny' as const },
        { bindingDigest: '0'.repeat(64) },
        { reviewer: `${testConsole.issuer.issuer}#bob` },
      ]) {
        expect(await verifyPasskeyEvidence(evidence, { ...vote, ...other })).toBeUndefined();
      }
      await leave(seat);

      // Kind: a challenge that is answered twice. The registration of a passkey that its owner has removed brings it
      // back to nobody.
      const again = await testConsole.sit('Alice Archer');
      await again.page.goto(`${testConsole.url}/passkeys`);
      await again.page.getByRole('button', { name: 'Remove' }).click();
      await again.page.getByText('My passkey').waitFor({ state: 'detached' });
      const fields = new URLSearchParams(registration);
      fields.set('csrf', (await again.page.locator('[name=csrf]').first().getAttribute('value')) ?? '');
      const answer = await again.page.evaluate(async (body) => {
        const headers = { accept: 'application/json', 'content-type': 'application/x-www-form-urlencoded' };
        return (await (await fetch('/passkeys/add', { method: 'POST', headers, body })).json()) as {
          code?: string;
          detail?: string;
        };
      }, fields.toString());
      expect(answer).toMatchObject({ code: 'bad_request', detail: expect.stringMatching(/finished before/) });
      await leave(again);
    });

    it('refuses a vote without the fresh sign-in that its tier asks for', async ({ testConsole }) => {
      const seat = await testConsole.sit('Bob Baker');
      const id = await testConsole.ask('/ledger/proven', transfer());
      await testConsole.ageSession(seat.context, 10 * 60_000);
      await testConsole.visit(seat.page, id);
      await seat.page.getByText(/This tier asks for proof that it is you, now/).waitFor();
      await seat.page.getByRole('button', { name: 'Deny…' }).click();
      await seat.page.locator('#final').waitFor({ state: 'attached' });
      expect(await seat.page.locator('#confirm').count()).toBe(0);
      // Also when the last form is sent as it is.
      await seat.page.evaluate("document.getElementById('final').submit()");
      await seat.page.getByText('step_up_required').waitFor();
      expect((await testConsole.show(id)).state).toBe('PENDING');
      await leave(seat);
    });
  },
);
