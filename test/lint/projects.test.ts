// The browser project of vitest.config.ts has exactly the files that need a browser, so that `npm run test:unit` needs
// none.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { BROWSER } from '../../vitest.config.ts';

it('puts every test that needs a browser into the browser project', () => {
  const files = readdirSync('test', { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => join('test', name));
  const needing = files.filter((file) =>
    /from '(?:\.\.?\/)+(?:support\/)?browser\.ts'/.test(readFileSync(file, 'utf8')),
  );
  expect(BROWSER.toSorted()).toEqual(needing.toSorted());
});
