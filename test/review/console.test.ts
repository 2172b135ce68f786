// The console as people meet it: a real Chromium, the real issuer of the quickstart, the whole gateway. Each test ends
// with a look at what the browser complained about: a console error, a page error or a CSP violation fails it, and so
// does anything that axe finds.

import { describe, expect } from 'vitest';
import { parse } from 'yaml';
import { leave, live, openBrowsedConsole, transfer } from '../support/browsed-console.ts';
import { findBarriers, takeSeat, whyNoBrowser } from '../support/browser.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';

const it = gatewayTest.extend('testConsole', file, ({ closes }) => closes(openBrowsedConsole()));

describe.skipIf(whyNoBrowser !== undefined)(
  `the console in a browser${whyNoBrowser === undefined ? '' : ` (skipped: ${whyNoBrowser})`}`,
  { timeout: 120_000 },
  () => {
    it('asks strangers to sign in, comes back to where they wanted to go, and signs them out at the issuer, too', async ({
      testConsole,
    }) => {
      const id = await testConsole.ask('/ledger/transfers', transfer());
      const seat = await takeSeat(testConsole.browser);
      const { page } = seat;
      const response = await testConsole.visit(page, id);
      expect(response?.status()).toBe(401);
      expect(await findBarriers(page)).toEqual([]);
      await page.getByRole('link', { name: 'Sign in' }).click();
      await page.getByRole('button', { name: 'Alice Archer' }).click();
      await page.waitForURL(`${testConsole.url}/holds/${id}`);
      const [cookie, ...others] = await seat.context.cookies(testConsole.url);
      expect(others).toEqual([]);
      expect(cookie).toMatchObject({
        name: 'countersign-insecure-session',
        httpOnly: true,
        sameSite: 'Lax',
        secure: false,
      });
      await page.getByRole('button', { name: 'Sign out' }).click();
      await page.getByRole('button', { name: 'Yes, sign out' }).click();
      await page.waitForURL(`${testConsole.url}/signed-out*`);
      expect(await page.getByRole('heading', { level: 1 }).textContent()).toBe('Signed out');
      // The cookie is of no use any more, even to who kept a copy.
      await seat.context.addCookies([cookie as NonNullable<typeof cookie>]);
      expect((await testConsole.visit(page, id))?.status()).toBe(401);
      await leave(seat);
    });

    it('shows a new hold in the inbox without a reload, and takes it away when it is decided', async ({
      testConsole,
    }) => {
      const seat = await testConsole.sit('Alice Archer');
      const { page } = seat;
      await live(page);
      const body = transfer({ to: 'Arrives Ltd' });
      const id = await testConsole.ask('/ledger/transfers', body);
      const card = page.locator(`[data-hold="${id}"]`);
      await card.waitFor();
      expect(await card.textContent()).toContain('POST /transfers on ledger: amount 4200, to “Arrives Ltd”');
      expect(await findBarriers(page)).toEqual([]);
      await testConsole.vote(id, 'bob', 'deny');
      await card.waitFor({ state: 'detached' });
      await page.getByRole('link', { name: /^Recent/ }).click();
      expect(await page.locator(`[data-hold="${id}"]`).textContent()).toContain('denied');
      await leave(seat);
    });

    it('finds the stream again after the connection was lost', async ({ testConsole }) => {
      const seat = await testConsole.sit('Alice Archer');
      const { page, context } = seat;
      await live(page);
      await context.setOffline(true);
      await page.getByText(/You are offline/).waitFor();
      const id = await testConsole.ask('/ledger/transfers', transfer());
      await context.setOffline(false);
      await page.locator(`[data-hold="${id}"]`).waitFor();
      await live(page);
      await context.close();
    });

    it('shows an expired hold as such', async ({ testConsole }) => {
      const id = await testConsole.ask('/ledger/quick', transfer());
      const seat = await testConsole.sit('Alice Archer');
      const { page } = seat;
      await testConsole.visit(page, id);
      // The page is open when the clock runs out, and follows.
      await page.getByText('It expired: nobody decided in time. Nothing was executed.').waitFor();
      expect(await page.getByRole('button', { name: 'Approve…' }).count()).toBe(0);
      expect(await findBarriers(page)).toEqual([]);
      await leave(seat);
    });

    it('explains to somebody outside the tier that there is nothing for them', async ({ testConsole }) => {
      const id = await testConsole.ask('/ledger/transfers', transfer());
      const seat = await testConsole.sit('Mallory Moss');
      const { page } = seat;
      await page.getByRole('heading', { name: 'All clear' }).waitFor();
      expect((await testConsole.visit(page, id))?.status()).toBe(404);
      await leave(seat);
    });

    it('explains to whom a call is made for that somebody else has to decide', async ({ testConsole }) => {
      const id = await testConsole.ask('/ledger/transfers', transfer(), {}, 'agent-for-alice');
      const seat = await testConsole.sit('Alice Archer');
      const { page } = seat;
      await testConsole.visit(page, id);
      expect(await page.getByRole('heading', { level: 1 }).textContent()).toMatch(/for alice/);
      await page
        .getByText('The call is made by you, on your behalf, or by an agent that you own: someone else has to decide.')
        .waitFor();
      expect(await page.getByRole('button', { name: /Approve|Deny/ }).count()).toBe(0);
      expect(await findBarriers(page)).toEqual([]);
      await page.goto(testConsole.url);
      expect(await page.locator(`[data-hold="${id}"]`).count()).toBe(0);
      await page.getByRole('link', { name: /^All open/ }).click();
      expect(await page.locator(`[data-hold="${id}"]`).textContent()).toContain('not yours to decide');
      await leave(seat);
    });

    it('filters what is open, and says when nothing matches', async ({ testConsole }) => {
      const id = await testConsole.ask('/ledger/large', transfer({ to: 'Filtered Ltd' }));
      const seat = await testConsole.sit('Alice Archer');
      const { page } = seat;
      await page.getByText('Filter', { exact: true }).click();
      await page.getByLabel('Tier').selectOption('dual-control');
      await page.getByRole('button', { name: 'Apply' }).click();
      await page.locator(`[data-hold="${id}"]`).waitFor();
      const tiers = await page.locator('.card-tags').allTextContents();
      expect(tiers.every((text) => text.includes('dual-control'))).toBe(true);
      expect(await findBarriers(page)).toEqual([]);
      await page.goto(`${testConsole.url}/?upstream=nothing`);
      await page.getByRole('heading', { name: 'Nothing matches these filters' }).waitFor();
      await leave(seat);
    });

    it('proposes a rule for what keeps coming, as text and not as a button', async ({ testConsole }) => {
      const body = () => transfer({ to: 'Rent Ltd' });
      const ids = [];
      for (let time = 0; time < 6; time++) ids.push(await testConsole.ask('/ledger/rent', body()));
      const last = ids.pop() ?? '';
      for (const id of ids) await testConsole.vote(id, 'bob', 'approve');
      const seat = await testConsole.sit('Alice Archer');
      await testConsole.visit(seat.page, last);
      await seat.page.getByText('This keeps coming: approved 5 times before').click();
      const yaml = (await seat.page.locator('details[open] pre').textContent()) ?? '';
      const agent = `"${testConsole.issuer.issuer}#agent"`;
      expect(parse(yaml)).toMatchObject([
        { id: 'rents', decide: 'hold', when: expect.stringContaining(`agent.id != ${agent}`) },
        { id: 'rents-passed', decide: 'allow', when: expect.stringContaining(`agent.id == ${agent}`) },
      ]);
      await leave(seat);
    });

    it('is of use on a phone: nothing wider than the screen, targets large enough', async ({ testConsole }) => {
      const id = await testConsole.ask('/ledger/transfers', transfer({ to: 'a'.repeat(59), note: 'b'.repeat(400) }));
      const seat = await testConsole.sit('Alice Archer', {
        viewport: { width: 360, height: 740 },
        isMobile: true,
        hasTouch: true,
        colorScheme: 'dark',
      });
      const { page } = seat;
      await live(page);
      const overflow = () =>
        page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth') as Promise<number>;
      expect(await overflow()).toBe(0);
      expect(await findBarriers(page)).toEqual([]);
      await page.locator(`[data-hold="${id}"] a`).tap();
      await page.waitForURL(`${testConsole.url}/holds/${id}`);
      expect(await overflow()).toBe(0);
      expect(await findBarriers(page)).toEqual([]);
      expect((await page.getByRole('button', { name: 'Approve…' }).boundingBox())?.height).toBeGreaterThanOrEqual(44);
      await page.getByRole('button', { name: 'Deny…' }).tap();
      await page.locator('#confirm').tap();
      await page.getByText('Your denial is counted.', { exact: false }).waitFor();
      await leave(seat);
    });

    it('can be worked with the keyboard alone', async ({ testConsole }) => {
      const id = await testConsole.ask('/ledger/transfers', transfer({ to: 'Keyboard Ltd' }));
      const seat = await testConsole.sit('Bob Baker');
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
      await page.waitForURL(`${testConsole.url}/holds/${id}#deny`);
      await page.locator('#deny:focus').waitFor();
      await page.keyboard.press('Enter');
      await page.getByRole('heading', { name: 'Deny this?' }).waitFor();
      await leave(seat);
    });

    it('has an axe that finds something where there is something', async ({ testConsole }) => {
      const { context, page } = await takeSeat(testConsole.browser);
      await page.setContent('<main><img src="data:,"><button></button></main>');
      expect((await findBarriers(page)).join()).toMatch(/image-alt.*button-name|button-name.*image-alt/s);
      await context.close();
    });
  },
);
