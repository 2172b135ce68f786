// What npm and the container get is the built gateway: it starts, says what is wrong with a file, and finds what its
// pages are made of.

import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { VERSION } from '../../src/version.ts';

const built = existsSync('dist');
beforeAll(() => execFileSync('npm', ['run', '-s', 'build'], { stdio: 'pipe' }), 120_000);
afterAll(() => {
  if (!built) execFileSync('rm', ['-r', 'dist']);
});

it('runs from dist without the TypeScript sources', () => {
  expect(execFileSync(process.execPath, ['dist/main.js', '--version'], { encoding: 'utf8' }).trim()).toBe(VERSION);
  const { status, stdout } = spawnSync(process.execPath, ['dist/main.js', 'check', 'package.json'], {
    encoding: 'utf8',
  });
  expect([status, stdout]).toEqual([1, expect.stringContaining('There is no such key here.')]);
});

it('brings the assets of the pages', () => {
  expect(readdirSync('dist/review/assets')).toEqual(readdirSync('src/review/assets'));
});
