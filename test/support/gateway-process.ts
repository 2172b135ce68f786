// The gateway in a process of its own over a configuration file, with the log that it writes. A gateway that ends while
// a test waits for a line of its log fails the test with all that the gateway wrote.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

export type LogLine = Readonly<Record<string, unknown>>;

export interface Ports {
  readonly agents: number;
  readonly reviewers: number;
  readonly ops: number;
}

export interface GatewayProcess {
  readonly pid: number;
  readonly ports: Ports;
  /** What it has logged so far, parsed. */
  readonly lines: readonly LogLine[];
  /** The first line that matches, from this position of `lines` on. */
  line(match: (line: LogLine) => boolean, from: number): Promise<LogLine>;
  /** Sends the signal unless the process has ended, and resolves with its exit code. */
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null>;
}

export interface ProcessOptions {
  /** Environment variables besides those of this process. */
  readonly env?: Readonly<Record<string, string>>;
  /** How many files and sockets the process may have open; default: as many as this one. */
  readonly openFiles?: number;
}

/** Resolves when the gateway is ready. */
export async function startGatewayProcess(
  configPath: string,
  { env, openFiles }: ProcessOptions,
): Promise<GatewayProcess> {
  const command = [process.execPath, 'src/main.ts', 'serve', '--config', configPath];
  // `exec` keeps the process that is signalled.
  const limited = ['sh', '-c', `ulimit -n ${openFiles} && exec "$0" "$@"`, ...command];
  const [file = '', ...args] = openFiles === undefined ? command : limited;
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
  const exited = once(child, 'exit') as Promise<[number | null]>;
  const lines: LogLine[] = [];
  const stderr: string[] = [];
  const waiting = new Set<() => void>();
  createInterface({ input: child.stdout }).on('line', (text) => {
    lines.push(JSON.parse(text));
    for (const look of waiting) look();
  });
  createInterface({ input: child.stderr }).on('line', (text) => stderr.push(text));

  const line: GatewayProcess['line'] = (match, from) =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const found = lines.slice(from).find(match);
        if (found === undefined) return;
        waiting.delete(look);
        resolve(found);
      };
      waiting.add(look);
      look();
      void exited.then(([code]) => {
        const wrote = [...lines.map((one) => JSON.stringify(one)), ...stderr].join('\n');
        if (waiting.delete(look)) reject(new Error(`the gateway ended with ${code}: ${wrote}`));
      });
    });
  const ready = await line(({ event }) => event === 'ready', 0);
  return {
    pid: child.pid ?? 0,
    ports: ready.ports as Ports,
    lines,
    line,
    async end(signal) {
      if (child.exitCode === null && child.signalCode === null) child.kill(signal);
      return (await exited)[0];
    },
  };
}
