// A real Chromium for tests of the console. Every page is watched: a console error, a page error or a CSP violation is
// a fault of the test's.

import { existsSync } from 'node:fs';
import axe from 'axe-core';
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from 'playwright-core';

const CHROMIUM = process.env.CHROMIUM_PATH ?? '/usr/bin/chromium';

/** Undefined where there is a Chromium; else why the tests are skipped. */
export const whyNoBrowser: string | undefined = existsSync(CHROMIUM)
  ? undefined
  : `there is no Chromium at ${CHROMIUM}`;

export function launchBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: CHROMIUM,
    headless: true,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--no-first-run',
      '--disable-default-apps',
    ],
  });
}

const PATIENCE_MS = 20_000;

/**
 * What playwright itself waits for without end: a new page, a script in a page. A Chromium that has just started has
 * been seen not to answer one. Asked once more it does. Nothing here acts on the gateway, so no fault of the product
 * can hide behind the second try.
 */
async function answered<T>(what: string, ask: () => Promise<T>): Promise<T> {
  for (let tries = 1; tries <= 2; tries++) {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<'late'>((resolve) => {
      timer = setTimeout(resolve, PATIENCE_MS, 'late');
    });
    const answer = await Promise.race([ask().then((value) => ({ value })), late]).finally(() => clearTimeout(timer));
    if (answer !== 'late') return answer.value;
  }
  throw new Error(`Chromium gave no answer twice within ${PATIENCE_MS} ms: ${what}`);
}

export interface Seat {
  readonly context: BrowserContext;
  readonly page: Page;
  /** What the pages complained about so far. */
  readonly faults: readonly string[];
}

/**
 * A browser of one person's, with nobody signed in. Refusals that a test provokes are 4xx, which Chromium logs; those
 * lines are let pass.
 */
export async function takeSeat(browser: Browser, options: BrowserContextOptions = {}): Promise<Seat> {
  const context = await answered('a new context', () => browser.newContext({ ...options }));
  const faults: string[] = [];
  context.on('page', (page) => {
    page.on('pageerror', (error) => faults.push(`page error: ${error.message}`));
    page.on('console', (message) => {
      if (message.type() === 'error' && !/status of 4\d\d/.test(message.text()))
        faults.push(`console: ${message.text()}`);
    });
    page.on('requestfailed', (request) => {
      if (request.failure()?.errorText === 'csp') faults.push(`blocked by CSP: ${request.url()}`);
    });
  });
  return { context, page: await answered('a new page', () => context.newPage()), faults };
}

/** Through the real issuer: the console, the choice of a person there, and back. */
export async function signIn(page: Page, url: string, name: string): Promise<void> {
  await page.goto(url);
  await page.getByRole('link', { name: 'Sign in' }).click();
  await page.getByRole('button', { name }).click();
  await page.waitForURL(`${url}/**`);
}

/** Runs axe over a page; only violations are interesting, and of those what and where. */
export async function findBarriers(page: Page): Promise<readonly string[]> {
  const found = await answered('axe', async () => {
    // Not as a script element: the console's own policy would refuse it.
    await page.evaluate(`${axe.source}; undefined`);
    return page.evaluate(
      "axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }).then((r) => r.violations.map((v) => v.id + ': ' + v.nodes.map((n) => n.target + ' ' + n.failureSummary).join(' | ')))",
    );
  });
  return found as readonly string[];
}
