// docs/extending.md stays true: its recipes are built together in a copy of the tree, which is then type-checked
// and linted, and the recipes' own tests run there. A block ```ts PATH is a file, a block ```diff PATH is an edit of one.

import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

interface Block {
  readonly kind: string;
  readonly path: string;
  readonly text: string;
}

interface Recipe {
  readonly title: string;
  /** The paths in its numbered list. */
  readonly listed: readonly string[];
  readonly blocks: readonly Block[];
}

const recipes: readonly Recipe[] = readFileSync('docs/extending.md', 'utf8')
  .split(/^## /m)
  .slice(1)
  .map((text) => ({
    title: text.split('\n', 1)[0] ?? '',
    listed: [...text.matchAll(/^\d+\. `([^`]+)`/gm)].map(([, path = '']) => path),
    blocks: [...text.matchAll(/^```(ts|diff) (\S+)\n([\s\S]*?)^```$/gm)].map(([, kind = '', path = '', body = '']) => ({
      kind,
      path,
      text: body,
    })),
  }));
const blocks = recipes.flatMap((recipe) => recipe.blocks);
const tests = blocks.flatMap(({ path }) => (path.endsWith('.test.ts') ? [path] : []));

let tree: string;
beforeAll(() => {
  tree = mkdtempSync(join(tmpdir(), 'countersign-extending-'));
  for (const part of [
    'src',
    'test/support',
    'test/config/files.ts',
    'test/policy/inputs.ts',
    'tsconfig.json',
    'biome.json',
    'biome.imports.json',
    'test/identity/calls.ts',
    'test/identity/issuer.ts',
    'package.json',
  ])
    cpSync(part, join(tree, part), { recursive: true });
  symlinkSync(resolve('node_modules'), join(tree, 'node_modules'));
  for (const { kind, path, text } of blocks) {
    const file = join(tree, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, kind === 'diff' ? apply(text, readFileSync(file, 'utf8')) : text);
  }
});
afterAll(() => rmSync(tree, { recursive: true, force: true }));

/** The text with the lines added and removed. What the diff shows must stand there exactly once. */
function apply(diff: string, text: string): string {
  const lines = diff.split('\n').slice(0, -1);
  const shown = (sign: string): string =>
    lines.flatMap((line) => (line.startsWith(sign) ? [] : [`${line.slice(1)}\n`])).join('');
  const before = shown('+');
  expect(text.split(before), `these lines stand once in the file:\n${before}`).toHaveLength(2);
  return text.replace(before, () => shown('-'));
}

/** What a command printed in the copy, when it failed. */
function failureOf(command: string, args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(resolve('node_modules/.bin', command), args, {
    cwd: tree,
    encoding: 'utf8',
    env: { ...process.env, NO_COLOR: '1' },
  });
  return status === 0 ? '' : `${stdout}${stderr}`;
}

describe('the recipes', () => {
  it.each(recipes)('$title: shows each file that it lists, and lists each file that it shows', ({ listed, blocks }) => {
    const code = listed.filter((path) => path.endsWith('.ts'));
    expect(code.toSorted()).toEqual([...new Set(blocks.map(({ path }) => path))].toSorted());
    expect(code.some((path) => path.endsWith('.test.ts'))).toBe(true);
  });

  it('type-check', () => {
    const project = { extends: './tsconfig.json', include: ['src/main.ts', ...tests] };
    writeFileSync(join(tree, 'tsconfig.recipes.json'), JSON.stringify(project));
    expect(failureOf('tsc', ['-p', 'tsconfig.recipes.json'])).toBe('');
  });

  it('keep to the rules of lint', () => {
    expect(failureOf('biome', ['check', '--error-on-warnings', ...new Set(blocks.map(({ path }) => path))])).toBe('');
  });

  it('pass their tests', () => {
    writeFileSync(join(tree, 'vitest.config.mjs'), `export default { test: { include: ${JSON.stringify(tests)} } };\n`);
    expect(failureOf('vitest', ['run'])).toBe('');
  });
});
