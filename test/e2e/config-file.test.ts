// Something that is no file stands at the configuration's path for a while. Kind: a watched file whose reader waits for
// ever, so that later edits are not applied and nobody is told.

import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { describe, expect } from 'vitest';
import { freshGatewayTest } from '../support/gateway-test.ts';

const it = freshGatewayTest.extend('env', ({ environment }) => environment());

function writeSparse(path: string): void {
  writeFileSync(path, '');
  truncateSync(path, 2 ** 40);
}

describe('the configuration’s path', { timeout: 60_000 }, () => {
  it.for<[string, (path: string) => void, RegExp]>([
    ['a FIFO', (path) => void execFileSync('mkfifo', [path]), /not a regular file/],
    ['a folder', (path) => void mkdirSync(path), /not a regular file/],
    ['a link to nothing', (path) => symlinkSync('nowhere', path), /ENOENT/],
    ['an endless device', (path) => symlinkSync('/dev/zero', path), /not a regular file/],
    ['a file without end', writeSparse, /may have/],
    ['nothing at all', () => {}, /ENOENT/],
  ] as const)(
    'is %s for a while: it is told, and a deny that is written there afterwards is in force',
    async ([_what, put, reason], { env }) => {
      const path = env.configPath;
      const before = readFileSync(path, 'utf8');
      renameSync(path, `${path}.kept`);
      put(path);
      expect(String((await env.logged('config.refused')).reason)).toMatch(reason);
      expect((await env.call('/api/x')).status).toBe(200);
      rmSync(path, { recursive: true, force: true });
      writeFileSync(path, before.replace('decide: allow', 'decide: deny'));
      await env.logged('config.reloaded');
      expect((await env.call('/api/x')).status).toBe(403);
      // Told once; whoever looks while the new file is being written may have another thing to tell.
      expect(
        env.log.filter((line) => line.event === 'config.refused' && reason.test(String(line.reason))),
      ).toHaveLength(1);
    },
  );
});
