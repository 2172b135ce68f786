// The page of a task in a real Chromium: three agents, one tree. Kinds of fault: a reviewer who sees one call and not what
// the agents add up to; a page that only works for people who see and use a mouse.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { findBarriers, launchBrowser, signIn, takeSeat, whyNoBrowser } from '../support/browser.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';
import { assembleTeam } from '../support/team.ts';

const it = gatewayTest.extend('team', file, ({ closes }) => closes(assembleTeam()));

describe.skipIf(whyNoBrowser !== undefined)(
  `the page of a task${whyNoBrowser === undefined ? '' : ` (skipped: ${whyNoBrowser})`}`,
  { timeout: 120_000 },
  () => {
    it('shows from a hold who did what under its root, and what it adds up to', async ({ team }) => {
      const browser = await launchBrowser();
      const { context, page, faults } = await takeSeat(browser, { viewport: { width: 1240, height: 860 } });
      await signIn(page, team.testConsole.url, 'Alice Archer');
      await page.goto(`${team.testConsole.url}/holds/${team.hold}`);
      const known = page.locator('#facts');
      const text = (await known.innerText()).replaceAll(/\s+/g, ' ');
      for (const fact of [
        'Operation export',
        'Reversible no',
        'Environment production',
        'Owners group:finance',
        'external example.net it goes there',
        'letters: 1 with this call',
        'This agent has not done this with this destination before.',
      ])
        expect(text).toContain(fact);
      expect(text).toMatch(
        /customer-data since customers was read .+ ago, .+ a person of the chain: carol the tree of this task: task_/,
      );
      expect(await findBarriers(page)).toEqual([]);
      await shoot(page, 'hold');
      await page.getByRole('link', { name: /^Task task_/ }).click();
      expect(await page.getByRole('heading', { level: 1 }).textContent()).toBe('One task, 3 agents');
      const systems = page.getByRole('region', { name: 'Systems that were called' }).getByRole('row');
      expect(await systems.allInnerTexts()).toEqual([
        'System\tReads\tChanges\tHeld\tRefused\tMarked with\tBy',
        'crm\t3\t0\t0\t1\tcustomer-data\tA B',
        'mail\t0\t0\t1\t0\t\tC',
      ]);
      const calls = page.getByRole('region', { name: 'Calls in the order of time' }).getByRole('row');
      expect(await calls.count()).toBe(6);
      expect(await page.locator('.agents').innerText()).toContain(team.agents.writer);
      await page.getByRole('link', { name: 'POST /letters on mail' }).waitFor();
      expect(await findBarriers(page)).toEqual([]);
      await shoot(page, 'task');
      await context.close();
      await browser.close();
      expect(faults).toEqual([]);
    });
  },
);

/** With SCREENSHOTS_EXTRA set, keeps what the test saw. */
async function shoot(page: import('playwright-core').Page, name: string): Promise<void> {
  const folder = process.env.SCREENSHOTS_EXTRA;
  if (folder === undefined) return;
  mkdirSync(folder, { recursive: true });
  await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
}
