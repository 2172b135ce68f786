// `countersign facts` against an API that a test answers. Kind: a command that asks for something else than what was typed.

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PassThrough, Writable } from 'node:stream';
import { expect, it } from 'vitest';
import { run } from '../../src/cli/facts.ts';
import { EXIT } from '../../src/cli/terminal.ts';

function terminal() {
  const written = { out: '', err: '' };
  const into = (name: 'out' | 'err') =>
    new Writable({
      write(chunk, _encoding, done) {
        written[name] += String(chunk);
        done();
      },
    });
  const io = { stdout: into('out'), stderr: into('err'), stdin: new PassThrough(), env: { COUNTERSIGN_TOKEN: 't' } };
  return { written, io };
}

it('asks for the one that is named, and prints what the API answers', async () => {
  const asked: string[] = [];
  const api = createServer((request, response) => {
    asked.push(request.url ?? '');
    response.setHeader('content-type', 'application/json').end('{"scope":"agent","key":"a b","marks":[]}');
  });
  await new Promise<void>((ready) => api.listen(0, '127.0.0.1', ready));
  const { written, io } = terminal();
  const url = `http://127.0.0.1:${(api.address() as AddressInfo).port}`;
  const code = await run(['--agent', 'a b', '--url', url], io);
  api.closeAllConnections();
  api.close();
  expect([code, asked]).toEqual([EXIT.ok, ['/api/v1/facts?agent=a+b']]);
  expect(JSON.parse(written.out)).toEqual({ scope: 'agent', key: 'a b', marks: [] });
});

it.each([[[]], [['--agent', 'a', '--root', 'task_1']], [['--person', '']]])('refuses %j', async (args) => {
  const { written, io } = terminal();
  expect(await run(args, io)).toBe(EXIT.usage);
  expect(written.err).toContain('Write one of --agent');
});
