// Child processes of the quickstart: started in a group of their own, so that Ctrl-C reaches only start.ts and the
// parts end in order; waited for until they say that they are ready; ended by their own id.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { createInterface } from 'node:readline';

export interface Child {
  /** Resolves when it has ended, with a short word on how. */
  readonly ended: Promise<string>;
  stop(): Promise<void>;
}

export interface ChildOptions {
  readonly name: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  /** Gets everything that it prints. */
  readonly logPath: string;
  /** True for the line that says it is ready. */
  readonly isReady: (line: string) => boolean;
}

const STOP_MS = 20_000;

/**
 * Starts `node` with these arguments; resolves when it is ready. Throws with its last lines when it ends before that.
 */
export async function startChild({ name, args, cwd, env, logPath, isReady }: ChildOptions): Promise<Child> {
  const child = spawn(process.execPath, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  // The exit handler runs for crashes of this process too; only SIGKILL leaves children behind.
  const killNow = () => child.kill('SIGKILL');
  process.once('exit', killNow);
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`));
  }).finally(() => process.off('exit', killNow));

  const log = createWriteStream(logPath, { flags: 'a' });
  const last: string[] = [];
  const ready = new Promise<void>((resolve) => {
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on('line', (line) => {
        log.write(`${line}\n`);
        last.push(line);
        if (last.length > 10) last.shift();
        if (isReady(line)) resolve();
      });
    }
  });
  const early = await Promise.race([ready, ended]);
  if (early !== undefined) throw new Error(`${name} did not start (${early}):\n${last.join('\n')}`);
  return { ended, stop: () => stop(child) };
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill('SIGTERM');
  const force = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
  await exit;
  clearTimeout(force);
}
