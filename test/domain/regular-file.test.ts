// Files that are none, or have no end. Kind: a reader that waits for ever, or reads for ever, because somebody put
// something else in a file's place.

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readRegularFile, readRegularFileSync } from '../../src/domain/regular-file.ts';

const MOST = 200_000;
let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-files-'));
  path = join(folder, 'file');
});
afterEach(() => rmSync(folder, { recursive: true }));

describe.each([
  ['readRegularFile', (most: number) => readRegularFile(path, most)],
  ['readRegularFileSync', async (most: number) => readRegularFileSync(path, most)],
])('%s', (_name, read) => {
  it.each<[string, () => void, string]>([
    ['a FIFO', () => execFileSync('mkfifo', [path]), 'NOT_A_FILE'],
    [
      'a link to a FIFO',
      () => [execFileSync('mkfifo', [`${path}.fifo`]), symlinkSync(`${path}.fifo`, path)],
      'NOT_A_FILE',
    ],
    ['a folder', () => mkdirSync(path), 'NOT_A_FILE'],
    ['an endless device', () => symlinkSync('/dev/zero', path), 'NOT_A_FILE'],
    ['a device without content', () => symlinkSync('/dev/null', path), 'NOT_A_FILE'],
    ['a link to nothing', () => symlinkSync('nowhere', path), 'ENOENT'],
    ['a link to itself', () => symlinkSync('file', path), 'ELOOP'],
    ['a sparse file of a terabyte', () => [writeFileSync(path, ''), truncateSync(path, 2 ** 40)], 'FILE_TOO_LARGE'],
    ['one byte too many', () => writeFileSync(path, 'x'.repeat(MOST + 1)), 'FILE_TOO_LARGE'],
  ])('refuses %s at once', async (_what, put, code) => {
    put();
    await expect(read(MOST)).rejects.toMatchObject({ code });
  });

  it('refuses a socket', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(path, resolve));
    await expect(read(MOST)).rejects.toMatchObject({ code: expect.stringMatching(/^(ENXIO|NOT_A_FILE)$/) });
    await new Promise((resolve) => server.close(resolve));
  });

  it('reads a file whole, also one that says that it is empty and is not, and that within its bound', async () => {
    writeFileSync(path, 'y'.repeat(MOST));
    expect((await read(MOST)).toString()).toBe('y'.repeat(MOST));
    rmSync(path);
    symlinkSync('/proc/self/status', path);
    expect((await read(MOST)).toString()).toContain('VmSize');
    await expect(read(10)).rejects.toMatchObject({ code: 'FILE_TOO_LARGE' });
  });
});
