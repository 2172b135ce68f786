// What the pages tell a reader to run or to look at is there: npm scripts, the gateway's commands, files and folders.
// The README and CONTRIBUTING.md have tests of their own.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const pages = [
  'SECURITY.md',
  ...readdirSync('docs', { recursive: true, encoding: 'utf8' }).map((path) => join('docs', path)),
].filter((path) => path.endsWith('.md'));
const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> };

/** The pieces of code on a page: the lines of its blocks for a terminal, and what stands between backticks. */
function codeOf(page: string): readonly string[] {
  const text = readFileSync(page, 'utf8');
  const lines = [...text.matchAll(/^ *```(?:sh|console)\n([\s\S]*?)^ *```$/gm)].flatMap(([, block = '']) =>
    block.split('\n'),
  );
  const inline = [...text.replaceAll(/^ *```[\s\S]*?^ *```$/gm, '').matchAll(/`([^`\n]+)`/g)].map(
    ([, code = '']) => code,
  );
  return [...lines.map((line) => line.trim().replace(/^\$ /, '')), ...inline];
}

const found = (pattern: RegExp): readonly (readonly [page: string, name: string])[] =>
  pages.flatMap((page) =>
    codeOf(page).flatMap((code) => [...code.matchAll(pattern)].map(([, name = '']) => [page, name] as const)),
  );

it('names only npm scripts that exist', () => {
  const named = found(/\bnpm run (?:-s )?([\w:-]+)/g);
  expect(named.length).toBeGreaterThan(5);
  expect(named.filter(([, name]) => !(name in scripts))).toEqual([]);
});

it('names only commands of the gateway that exist', () => {
  const named = found(/(?:^countersign|\bcountersign --) ([a-z]+)\b/g);
  expect(named.length).toBeGreaterThan(10);
  expect(named.filter(([, name]) => !existsSync(`src/cli/${name}.ts`))).toEqual([]);
});

it('names only files and folders that exist', () => {
  const named = found(/^((?:src|test|config|docs)\/[\w./-]+)$/g);
  expect(named.length).toBeGreaterThan(5);
  // A recipe names the files that it shows; extending.test.ts holds the two together.
  const shown = [...readFileSync('docs/extending.md', 'utf8').matchAll(/^```ts (\S+)$/gm)].map(([, path]) => path);
  const missing = named.filter(([, path]) => !existsSync(path));
  expect(missing.filter(([page, path]) => page !== 'docs/extending.md' || !shown.includes(path))).toEqual([]);
});
