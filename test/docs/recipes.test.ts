// The configuration in the pages on credentials and identity providers is accepted as it stands. Files that exist only
// at the reader's are replaced by one that exists here. A block of YAML that is no configuration of the gateway is
// marked `yml`, or is a single rule.

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import { checkPolicy } from '../../src/policy/check.ts';
import { ConfigError } from '../../src/settings/faults.ts';
import { MINIMAL } from '../config/files.ts';

const pagesIn = (folder: string): string[] =>
  readdirSync(folder).flatMap((name) => (name.endsWith('.md') ? [join(folder, name)] : []));
const PAGES = ['docs/identity.md', 'docs/credentials.md', ...pagesIn('docs/credentials'), ...pagesIn('docs/providers')];

const folder = mkdtempSync(join(tmpdir(), 'countersign-recipes-'));
const someFile = join(folder, 'some.pem');
writeFileSync(someFile, '-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n');
afterAll(() => rmSync(folder, { recursive: true }));

const sectionsOf = (text: string): string[] => text.split(/\n(?=\w)/).map((section) => section.trimEnd());
const nameOf = (section: string): string => section.split(':', 1)[0] ?? '';

const blocks = PAGES.flatMap((page) =>
  [...readFileSync(page, 'utf8').matchAll(/```yaml\n([\s\S]*?)```/g)]
    .map(([, block = ''], index) => [page, index, block] as const)
    .filter(([, , block]) => !block.startsWith('- ')),
);

it('has recipes', () => expect(blocks.length).toBeGreaterThan(20));

it.each(blocks)('%s, block %i, is a valid configuration', (_page, _index, block) => {
  const given = sectionsOf(block);
  const kept = sectionsOf(MINIMAL).filter((section) => !given.some((other) => nameOf(other) === nameOf(section)));
  const text = `${[...kept, ...given].join('\n')}\n`.replaceAll(
    /\b(file|ca|bootstrap): [./][^\s,}]+/g,
    `$1: ${someFile}`,
  );
  // A recipe's rules may act on the ledger of the minimal file, which then opens with the recipe's credential.
  const named = /^ {2}([\w-]+):/m.exec(block.split('credentials:\n')[1] ?? '')?.[1];
  const whole =
    block.includes('upstreams:') || named === undefined
      ? text
      : text.replace(
          '{ url: https://ledger.example.org }',
          `{ url: https://ledger.example.org, credential: ${named} }`,
        );
  const env = new Proxy({}, { get: () => 'secret-text' });
  let faults: readonly string[] = [];
  try {
    parseConfig(whole, join(process.cwd(), 'config/examples/countersign.yaml'), checkPolicy, env);
  } catch (thrown) {
    if (!(thrown instanceof ConfigError)) throw thrown;
    faults = thrown.faults.map(({ path, message }) => `${path.join('.')}: ${message}`);
  }
  expect(faults).toEqual([]);
});
