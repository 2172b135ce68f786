// The load of one measurement: wrk where it is installed (it takes least of the machine), autocannon otherwise.

import { execFile, spawnSync } from 'node:child_process';
import { promisify } from 'node:util';
import autocannon from 'autocannon';

export const CONNECTIONS = 64;

export interface Load {
  readonly requests: number;
  readonly perSecond: number;
  /** ms */
  readonly p50: number;
  readonly p99: number;
}

export const installed = (program: string): boolean => spawnSync('which', [program]).status === 0;
export const generator = installed('wrk') ? 'wrk' : 'autocannon';

/** Throws when any answer was not a 2xx. */
export function applyLoad(url: string, headers: Readonly<Record<string, string>>, seconds: number): Promise<Load> {
  return generator === 'wrk' ? withWrk(url, headers, seconds) : withAutocannon(url, headers, seconds);
}

async function withWrk(url: string, headers: Readonly<Record<string, string>>, seconds: number): Promise<Load> {
  const fields = Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`]);
  const { stdout } = await promisify(execFile)('wrk', [
    '-t1',
    `-c${CONNECTIONS}`,
    `-d${seconds}s`,
    '--latency',
    ...fields,
    url,
  ]);
  if (/Non-2xx|Socket errors/.test(stdout)) throw new Error(`${url}: ${stdout}`);
  const number = (pattern: RegExp): number => Number(pattern.exec(stdout)?.[1]);
  const latency = (percent: string): number => {
    const [, value, unit] = new RegExp(`${percent}%\\s+([\\d.]+)(us|ms|s)`).exec(stdout) ?? [];
    return Number(value) * ({ us: 0.001, ms: 1, s: 1000 }[unit ?? ''] ?? Number.NaN);
  };
  return {
    requests: number(/(\d+) requests in/),
    perSecond: number(/Requests\/sec:\s+([\d.]+)/),
    p50: latency('50'),
    p99: latency('99'),
  };
}

async function withAutocannon(url: string, headers: Readonly<Record<string, string>>, duration: number): Promise<Load> {
  const result = await autocannon({ url, headers: { ...headers }, connections: CONNECTIONS, duration });
  if (result.non2xx > 0 || result.errors > 0)
    throw new Error(`${url}: ${result.non2xx} answers other than 2xx, ${result.errors} errors`);
  return {
    requests: result.requests.total,
    perSecond: result.requests.total / result.duration,
    p50: result.latency.p50,
    p99: result.latency.p99,
  };
}
