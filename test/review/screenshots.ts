// `npm run screenshots`: the inbox and a hold, light and dark, as the README shows them, made from a real desk in a
// real Chromium.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { launchBrowser, signIn, takeSeat } from '../support/browser.ts';
import { type Desk, openConsole } from '../support/console.ts';

const FOLDER = 'docs/images';

async function furnish(desk: Desk): Promise<string> {
  const task = await desk.openTask('Pay the suppliers’ invoices that are due this week', [
    'Read the open invoices',
    'Pay each that is due',
    'Write a summary',
  ]);
  const under = { 'countersign-task': task };
  const first = {
    from: 'operations',
    to: 'ACME Industrial',
    amount: 3900,
    currency: 'EUR',
    reference: 'INV-2026-0388',
  };
  const approved = await desk.ask('/ledger/transfers', first, under);
  await vote(desk, approved);
  await (await desk.send('/ledger/transfers', first, under)).text();
  const hold = await desk.ask(
    '/ledger/transfers',
    { ...first, amount: 4200, reference: 'INV-2026-0412', note: 'Second instalment, due on Friday' },
    under,
  );
  await desk.ask('/ledger/large', { from: 'reserve', to: 'Globex', amount: 182000, currency: 'EUR' }, under);
  await desk.ask('/ledger/transfers', { from: 'operations', to: 'АСМЕ Industrial', amount: 75, currency: 'EUR' });
  await desk.ask('/ledger/proven', { account: 'reserve', limit: 500000 });
  return hold;
}

async function vote(desk: Desk, id: string): Promise<void> {
  const { bindingDigest } = await desk.show(id);
  await fetch(`${desk.url}/api/v1/holds/${id}/votes`, {
    method: 'POST',
    headers: { authorization: `Bearer ${await desk.issuer.token('alice')}`, 'content-type': 'application/json' },
    body: JSON.stringify({ decision: 'approve', bindingDigest, reason: 'Matches invoice 0388' }),
  });
}

async function shoot(
  browser: Browser,
  desk: Desk,
  hold: string,
  colorScheme: 'light' | 'dark',
  phone = false,
): Promise<void> {
  const viewport = phone ? { width: 390, height: 844 } : { width: 1240, height: 860 };
  const { context, page } = await takeSeat(browser, {
    colorScheme,
    viewport,
    deviceScaleFactor: 1,
    ...(phone && { isMobile: true, hasTouch: true }),
  });
  await signIn(page, desk.url, 'Bob Baker');
  const name = (of: string) =>
    join(
      phone ? (process.env.SCREENSHOTS_EXTRA ?? FOLDER) : FOLDER,
      `${of}-${phone ? 'phone-' : ''}${colorScheme}.png`,
    );
  await page.getByText('Live', { exact: true }).waitFor();
  await page.screenshot({ path: name('inbox'), fullPage: phone });
  await page.goto(`${desk.url}/holds/${hold}`);
  await page.screenshot({ path: name('hold'), fullPage: true });
  await context.close();
}

async function main(): Promise<void> {
  mkdirSync(FOLDER, { recursive: true });
  const desk = await openConsole();
  const browser = await launchBrowser();
  try {
    const hold = await furnish(desk);
    for (const scheme of ['light', 'dark'] as const) {
      await shoot(browser, desk, hold, scheme);
      if (process.env.SCREENSHOTS_EXTRA !== undefined) await shoot(browser, desk, hold, scheme, true);
    }
  } finally {
    await browser.close();
    await desk.close();
  }
}

await main();
