// The reviewers' console with a Chromium before it: people who sit down there, what they look at, and what a test does
// behind the browser's back (a vote by the API, a session made older, the votes on record).

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, BrowserContext, Page, Response as PageResponse } from 'playwright-core';
import { expect } from 'vitest';
import { createSealer } from '../../src/credentials/seal.ts';
import { Secret } from '../../src/domain/secret.ts';
import { launchBrowser, type Seat, signIn, takeSeat } from './browser.ts';
import { openConsole, type TestConsole } from './console.ts';
import { countFrom } from './count.ts';

export interface BrowsedConsole extends TestConsole {
  readonly browser: Browser;
  /** A seat of somebody who has signed in. */
  sit(name: string, options?: Parameters<typeof takeSeat>[1]): Promise<Seat>;
  /** Opens the page of a hold. */
  visit(page: Page, id: string): Promise<PageResponse | null>;
  /** A vote by the API. */
  vote(id: string, as: 'alice' | 'bob', decision: 'approve' | 'deny'): Promise<void>;
  /** Turns back the time of the sign-in in a session's cookie. */
  ageSession(context: BrowserContext, byMs: number): Promise<void>;
  votesOnRecord(): readonly Readonly<Record<string, unknown>>[];
}

const serial = countFrom(0);
export const nextReference = () => `r${serial()}`;

/** A body of its own per test, so that no test meets another's hold. */
export const transfer = (more: Readonly<Record<string, unknown>> = {}) => ({
  amount: 4200,
  to: 'ACME',
  reference: nextReference(),
  ...more,
});

/** Everybody goes, and no page of theirs may have complained about anything. */
export async function leave(...seats: readonly Seat[]): Promise<void> {
  for (const { context, faults } of seats) {
    await context.close();
    expect(faults).toEqual([]);
  }
}

export const live = (page: Page) => page.getByText('Live', { exact: true }).waitFor();

export async function openBrowsedConsole(): Promise<BrowsedConsole> {
  const testConsole = await openConsole();
  const browser = await launchBrowser().catch(async (error: unknown) => {
    await testConsole.close();
    throw error;
  });

  async function sit(name: string, options: Parameters<typeof takeSeat>[1] = {}): Promise<Seat> {
    const seat = await takeSeat(browser, options);
    await signIn(seat.page, testConsole.url, name);
    return seat;
  }

  async function vote(id: string, as: 'alice' | 'bob', decision: 'approve' | 'deny'): Promise<void> {
    const { bindingDigest } = await testConsole.show(id);
    const response = await fetch(`${testConsole.url}/api/v1/holds/${id}/votes`, {
      method: 'POST',
      headers: { authorization: `Bearer ${await testConsole.issuer.token(as)}`, 'content-type': 'application/json' },
      body: JSON.stringify({ decision, bindingDigest }),
    });
    expect(response.status).toBe(200);
  }

  async function ageSession(context: BrowserContext, byMs: number): Promise<void> {
    const sealer = createSealer({ keyFile: join(testConsole.folder, 'data/session.key') });
    const [cookie] = await context.cookies(testConsole.url);
    if (cookie === undefined) throw new Error('nobody is signed in');
    const session = JSON.parse(sealer.open('session', cookie.value).reveal());
    session.reviewer.authenticatedAt -= byMs;
    await context.addCookies([{ ...cookie, value: sealer.seal('session', new Secret(JSON.stringify(session))) }]);
  }

  function votesOnRecord(): readonly Readonly<Record<string, unknown>>[] {
    const folder = join(testConsole.folder, 'data/audit');
    const lines = readdirSync(folder).flatMap((name) => readFileSync(join(folder, name), 'utf8').split('\n'));
    return lines.filter((line) => line.includes('"type":"vote"')).map((line) => JSON.parse(line));
  }

  return {
    ...testConsole,
    ...{ browser, sit, vote, ageSession, votesOnRecord },
    visit: (page, id) => page.goto(`${testConsole.url}/holds/${id}`),
    async close() {
      await browser.close();
      await testConsole.close();
    },
  };
}
