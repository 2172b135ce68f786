// The README's commands are those of the package: what somebody copies from it can be run.

import { existsSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

const text = readFileSync('README.md', 'utf8');
const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> };
const blocks = [...text.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map(([, language = '', body = '']) => ({
  language,
  body,
}));
const inline = [...text.replaceAll(/^```[\s\S]*?^```$/gm, '').matchAll(/`([^`\n]+)`/g)].map(([, code = '']) => code);

/** Every `npm …` in a text: the script that it runs, or npm's own command. */
function npmCommands(code: string): readonly string[] {
  return [...code.matchAll(/\bnpm (?:(run)(?: (?:-s|--silent))* )?([\w:-]+)/g)].map(([, run, name = '']) =>
    run === undefined ? name : `run ${name}`,
  );
}

function isThere(command: string): boolean {
  const name = command.replace('run ', '');
  return name in scripts || (command === name && ['ci', 'install'].includes(name));
}

it('opens with the two commands that start and test everything', () => {
  const commands = blocks[0]?.body
    .split('\n')
    .map((line) => line.replace(/\s*#.*$/, ''))
    .filter((line) => line !== '');
  expect(commands).toEqual(['npm ci && npm start', 'npm ci && npm test']);
});

it('names only npm scripts that exist', () => {
  const commands = [...blocks.map(({ body }) => body), ...inline].flatMap(npmCommands);
  expect(commands).toEqual(expect.arrayContaining(['ci', 'start', 'test']));
  expect(commands.filter((command) => !isThere(command))).toEqual([]);
});

it('names only commands of the gateway that exist', () => {
  const named = [...text.matchAll(/npm run -s countersign -- (\w+)/g)].map(([, name = '']) => name);
  expect(named.length).toBeGreaterThan(0);
  expect(named.filter((name) => !existsSync(`src/cli/${name}.ts`))).toEqual([]);
});

it('links only to files that are there', () => {
  const links = [...text.matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)].map(([, path = '']) => path);
  expect(links.filter((path) => !existsSync(path))).toEqual([]);
});

it('names the next page within two screens', () => {
  const [opening = ''] = text.split(/\]\((?!https?:|#)/, 1);
  expect(opening).not.toBe(text);
  expect(opening.split('\n').length).toBeLessThanOrEqual(80);
});
