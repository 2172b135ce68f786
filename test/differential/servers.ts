// Real servers of several languages that say how they read a request. Each is started where its language is, and is
// absent, with the reason, where it is not: Go is built from one file without modules, Flask has to be installed beside
// Python, PHP has its own server.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

/** How a server reads a call. */
export interface Reading {
  /** After whatever overrides it. */
  readonly method: string;
  /** Which handler took it. */
  readonly route: 'admin' | 'open';
  readonly amount: unknown;
  readonly skip: unknown;
  readonly force: string;
  /** It could not read the body as JSON. */
  readonly failed: boolean;
}

export interface RealServer {
  readonly name: string;
  readonly url: string;
  close(): void;
}

const FOLDER = new URL('servers/', import.meta.url).pathname;

/** Those that can be had here, and why the others cannot. */
export async function startServers(): Promise<{
  readonly servers: readonly RealServer[];
  readonly absent: readonly string[];
}> {
  const found = await Promise.all([startExpress(), startGo(), startFlask(), startPhp()]);
  return {
    servers: found.filter((one) => typeof one === 'object'),
    absent: found.filter((one) => typeof one === 'string'),
  };
}

const startExpress = (): Promise<RealServer | string> =>
  launch('express', process.execPath, [join(FOLDER, 'express.ts')]);

async function startGo(): Promise<RealServer | string> {
  if (!runs('go', ['version'])) return 'go: the language is not installed';
  const binary = join(mkdtempSync(join(tmpdir(), 'countersign-go-')), 'server');
  const env = { ...process.env, GO111MODULE: 'off', CGO_ENABLED: '0', GOFLAGS: '' };
  const built = spawnSync('go', ['build', '-o', binary, join(FOLDER, 'main.go')], { env, encoding: 'utf8' });
  return built.status === 0
    ? launch('go', binary, [])
    : `go: the server could not be built: ${built.stderr.slice(0, 300)}`;
}

async function startFlask(): Promise<RealServer | string> {
  // Where .ci/run puts it.
  const own = new URL('../../node_modules/.flask/bin/python', import.meta.url).pathname;
  const python = [own, 'python3'].find((candidate) => runs(candidate, ['-c', 'import flask']));
  return python === undefined
    ? 'flask: it is not installed beside Python'
    : launch('flask', python, [join(FOLDER, 'app.py')]);
}

async function startPhp(): Promise<RealServer | string> {
  if (!runs('php', ['--version'])) return 'php: the language is not installed';
  // PHP does not say which port it was given.
  const port = await freePort();
  const child = spawn('php', ['-S', `127.0.0.1:${port}`, join(FOLDER, 'index.php')], {
    stdio: 'ignore',
    env: { ...process.env, PHP_CLI_SERVER_WORKERS: '4' },
  });
  for (let tries = 0; tries < 100; tries++) {
    if (
      await fetch(`http://127.0.0.1:${port}/`).then(
        (response) => response.ok,
        () => false,
      )
    )
      return serverOf('php', port, child);
    await sleep(50);
  }
  child.kill();
  return 'php: its server did not start';
}

const runs = (command: string, args: readonly string[]): boolean =>
  spawnSync(command, args, { stdio: 'ignore' }).status === 0;

async function launch(name: string, command: string, args: readonly string[]): Promise<RealServer | string> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  // What it writes first is its port.
  for await (const line of createInterface({ input: child.stdout })) return serverOf(name, Number(line), child);
  return `${name}: its server did not start`;
}

const serverOf = (name: string, port: number, child: ChildProcess): RealServer => ({
  name,
  url: `http://127.0.0.1:${port}`,
  close: () => void child.kill(),
});

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}
