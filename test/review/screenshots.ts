// `npm run screenshots`: the inbox and a hold, light and dark, as the README shows them, made from a real console in a
// real Chromium.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { launchBrowser, signIn, takeSeat } from '../support/browser.ts';
import { openConsole, type TestConsole } from '../support/console.ts';

const FOLDER = 'docs/images';

async function furnish(testConsole: TestConsole): Promise<string> {
  const task = await testConsole.openTask('Pay the suppliers’ invoices that are due this week', [
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
  const approved = await testConsole.ask('/ledger/transfers', first, under);
  await vote(testConsole, approved);
  await (await testConsole.send('/ledger/transfers', first, under)).text();
  const hold = await testConsole.ask(
    '/ledger/transfers',
    { ...first, amount: 4200, reference: 'INV-2026-0412', note: 'Second instalment, due on Friday' },
    under,
  );
  await testConsole.ask('/ledger/large', { from: 'reserve', to: 'Globex', amount: 182000, currency: 'EUR' }, under);
  await testConsole.ask('/ledger/transfers', {
    from: 'operations',
    to: 'АСМЕ Industrial',
    amount: 75,
    currency: 'EUR',
  });
  await testConsole.ask('/ledger/proven', { account: 'reserve', limit: 500000 });
  return hold;
}

async function vote(testConsole: TestConsole, id: string): Promise<void> {
  const { bindingDigest } = await testConsole.show(id);
  await fetch(`${testConsole.url}/api/v1/holds/${id}/votes`, {
    method: 'POST',
    headers: { authorization: `Bearer ${await testConsole.issuer.token('alice')}`, 'content-type': 'application/json' },
    body: JSON.stringify({ decision: 'approve', bindingDigest, reason: 'Matches invoice 0388' }),
  });
}

async function shoot(
  browser: Browser,
  testConsole: TestConsole,
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
  await signIn(page, testConsole.url, 'Bob Baker');
  const name = (of: string) =>
    join(
      phone ? (process.env.SCREENSHOTS_EXTRA ?? FOLDER) : FOLDER,
      `${of}-${phone ? 'phone-' : ''}${colorScheme}.png`,
    );
  await page.getByText('Live', { exact: true }).waitFor();
  await page.screenshot({ path: name('inbox'), fullPage: phone });
  await page.goto(`${testConsole.url}/holds/${hold}`);
  await page.screenshot({ path: name('hold'), fullPage: true });
  await context.close();
}

async function main(): Promise<void> {
  mkdirSync(FOLDER, { recursive: true });
  const testConsole = await openConsole();
  const browser = await launchBrowser();
  try {
    const hold = await furnish(testConsole);
    for (const scheme of ['light', 'dark'] as const) {
      await shoot(browser, testConsole, hold, scheme);
      if (process.env.SCREENSHOTS_EXTRA !== undefined) await shoot(browser, testConsole, hold, scheme, true);
    }
  } finally {
    await browser.close();
    await testConsole.close();
  }
}

await main();
