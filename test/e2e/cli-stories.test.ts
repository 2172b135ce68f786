// What the commands print, as text: each file of test/cli/stories is played against a gateway of its own.
//
// `$ countersign …` runs the command; the lines after it are its output, and `exit N` its code where that is not 0. In the
// output `…` stands for any text of a line, or alone for any lines, and $NAME for a value that the story knows. A line
// that begins with # is for the reader, and `-- NAME --` begins a file. Besides, a story can `$ call METHOD PATH BODY` as
// an agent, `$ stop` the gateway, and `$ spoil FOLDER`, which changes one record in it.

import { execFile } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { REVIEW_AUDIENCE } from '../support/config.ts';
import { type Environment, INJECTED_SECRET, startEnvironment } from '../support/environment.ts';

const STORIES = resolve('test/cli/stories');
const MAIN = resolve('src/main.ts');

interface Story {
  readonly steps: readonly { readonly command: string; readonly expected: string }[];
  readonly files: readonly (readonly [name: string, text: string])[];
}

function readStory(text: string): Story {
  const [script = '', ...files] = text.split(/^(?=-- \S+ --\n)/m);
  const [, ...commands] = script.replaceAll(/^#.*\n/gm, '').split(/^\$ /m);
  return {
    steps: commands.map((part) => {
      const [command = '', ...lines] = part.split('\n');
      return { command, expected: lines.join('\n').trimEnd() };
    }),
    files: files.map((part) => {
      const [, name = '', body = ''] = /^-- (\S+) --\n([\s\S]*)$/.exec(part) ?? [];
      return [name, body];
    }),
  };
}

type Known = Map<string, string>;

const fill = (text: string, known: Known): string =>
  text.replaceAll(/\$([A-Z_]+)/g, (all, name) => known.get(name) ?? all);

/** The output that a story expects; the id of a hold that it does not know yet is caught as $HOLD. */
function patternOf(expected: string, known: Known): RegExp {
  const lines = fill(expected, known)
    .split('\n')
    .map((line) => {
      const text = line.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replaceAll('…', '.*');
      return line === '…' ? '(?:.*\n)*?' : `${text.replace('\\$HOLD', '(?<HOLD>hold_[\\w-]+)')}\n`;
    });
  return new RegExp(`^${lines.join('')}$`);
}

function countersign(args: readonly string[], cwd: string, known: Known): Promise<string> {
  const env = { ...process.env, ...Object.fromEntries(known), E2E_SECRET: INJECTED_SECRET, COLUMNS: '400' };
  return new Promise((done) => {
    const child = execFile(process.execPath, [MAIN, ...args], { cwd, env }, (error, stdout, stderr) =>
      done(`${stdout}${stderr}${error === null ? '' : `exit ${error.code}\n`}`),
    );
    child.stdin?.end();
  });
}

async function call(env: Environment, [method = 'GET', path = '/', body]: readonly string[]): Promise<string> {
  const headers = { prefer: 'wait=0' };
  const response = await env.call(path, { method, headers, ...(body !== undefined && { body }) });
  const { code = '-' } = (await response.json()) as { code?: string };
  return `${response.status} ${code} ${response.headers.get('countersign-hold') ?? '-'}\n`;
}

function spoil(folder: string): string {
  const [name = ''] = readdirSync(folder);
  const text = readFileSync(join(folder, name), 'utf8');
  expect(text).toContain('"GET"');
  writeFileSync(join(folder, name), text.replace('"GET"', '"PUT"'));
  return '';
}

async function play(command: string, env: Environment, known: Known): Promise<string> {
  const [verb = '', ...args] = fill(command, known).split(' ');
  switch (verb) {
    case 'countersign':
      return countersign(args, env.folder, known);
    case 'call':
      return call(env, args);
    case 'stop':
      await env.terminate();
      return '';
    case 'spoil':
      return spoil(join(env.folder, args[0] ?? ''));
    default:
      throw new Error(`a story cannot ${verb}`);
  }
}

it.each(readdirSync(STORIES))('%s', { timeout: 120_000 }, async (file) => {
  const { steps, files } = readStory(readFileSync(join(STORIES, file), 'utf8'));
  const env = await startEnvironment();
  onTestFinished(() => env.close());
  for (const [name, text] of files) writeFileSync(join(env.folder, name), text);
  const reviewer = await env.issuer.sign({
    ...{ sub: 'alice', aud: REVIEW_AUDIENCE, client_id: 'countersign-cli', groups: ['finance'] },
    auth_time: Math.floor(Date.now() / 1_000),
  });
  const known: Known = new Map([
    ['AGENT_TOKEN', await env.token('agent-1')],
    ['REVIEWER_TOKEN', reviewer],
    ['COUNTERSIGN_TOKEN', reviewer],
    ['COUNTERSIGN_URL', `http://127.0.0.1:${env.ports.reviewers}`],
    ['OPS_URL', `http://127.0.0.1:${env.ports.ops}`],
  ]);
  expect(steps.length).toBeGreaterThan(1);
  for (const { command, expected } of steps) {
    const output = await play(command, env, known);
    const found = patternOf(expected, known).exec(expected === '' ? `${output}\n` : output);
    expect(found === null ? output : expected, `$ ${command}`).toBe(expected);
    for (const [name, value] of Object.entries(found?.groups ?? {})) known.set(name, value);
  }
});
