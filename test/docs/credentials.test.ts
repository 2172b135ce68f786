// The configuration in the recipes is accepted as it stands, but for the secrets' files, which exist at the reader's.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import { checkPolicy } from '../../src/policy/check.ts';
import { ConfigError } from '../../src/settings/faults.ts';
import { MINIMAL } from '../config/files.ts';

const FOLDER = 'docs/credentials';
const sectionsOf = (text: string): string[] => text.split(/\n(?=\w)/).map((section) => section.trimEnd());
const nameOf = (section: string): string => section.split(':', 1)[0] ?? '';

const blocks = readdirSync(FOLDER)
  .filter((name) => name.endsWith('.md'))
  .flatMap((name) =>
    [...readFileSync(join(FOLDER, name), 'utf8').matchAll(/```yaml\n([\s\S]*?)```/g)].map(
      ([, block = ''], index) => [name, index, block] as const,
    ),
  );

it('has recipes', () => expect(blocks.length).toBeGreaterThan(5));

it.each(blocks)('%s, block %i, is a valid configuration', (_name, _index, block) => {
  const given = sectionsOf(block);
  const kept = sectionsOf(MINIMAL).filter((section) => !given.some((other) => nameOf(other) === nameOf(section)));
  const text = `${[...kept, ...given].join('\n')}\n`;
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
  expect(faults.filter((fault) => !/The secret file \S+ is missing or empty\.$/.test(fault))).toEqual([]);
});
