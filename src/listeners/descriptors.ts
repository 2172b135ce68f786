// How many files and sockets this process may have open, and how they are shared out. Reviewers, operators and the
// gateway's own files get their part first; agents and upstreams get the rest. So whatever agents do, the kill switch
// and /livez can be reached.

import { readFileSync } from 'node:fs';

/** Numbers of descriptors. Their sum stays below the limit of the process. */
export interface DescriptorShares {
  /** Connections to the agents' listener. */
  readonly agents: number;
  readonly reviewers: number;
  readonly ops: number;
  /** Connections to all upstreams together. */
  readonly upstreams: number;
}

/** For systems without a known limit, such as Windows. */
const UNKNOWN_LIMIT = 4_096;
/** More connections than this cost memory, whatever the system would allow. */
const MOST = 32_768;
/** The store, the journal, the log, timers, issuers' and notifications' connections. */
const OWN = 64;
const LEAST = 8;

/** `most` is what the configuration says about the agents' listener, if anything. */
export function shareDescriptors(limit: number, most?: number): DescriptorShares {
  const reviewers = clamp(limit / 16, LEAST, 1_024);
  const ops = clamp(limit / 64, LEAST, 64);
  const rest = limit - OWN - reviewers - ops;
  const agents = Math.min(most ?? MOST, clamp(rest * 0.4, LEAST, Number.POSITIVE_INFINITY));
  // A call may need a connection to its credential's issuer too.
  return { agents, reviewers, ops, upstreams: clamp(((rest - agents) * 2) / 3, LEAST, MOST) };
}

/** One agent's, besides those that wait for people; and never more than three quarters of all connections. */
const CALLS_PER_AGENT = 1_000;

/**
 * The most connections to each upstream. `wanted` is what the configuration says. Upstreams without a number get the
 * rest in equal parts. If more is wanted than there is, all are cut down in proportion.
 */
export function shareOut(
  upstreams: number,
  wanted: ReadonlyMap<string, number | undefined>,
): ReadonlyMap<string, number> {
  const asked = [...wanted.values()].filter((most) => most !== undefined);
  const sum = asked.reduce((total, most) => total + most, 0);
  const others = wanted.size - asked.length;
  // Half of the whole is kept for upstreams without a number.
  const cut = Math.min(1, (others === 0 ? upstreams : upstreams / 2) / sum);
  const rest = others === 0 ? 0 : (upstreams - sum * cut) / others;
  return new Map(
    [...wanted].map(([name, most]) => [name, Math.max(1, Math.floor(most === undefined ? rest : most * cut))]),
  );
}

/** What one agent may have under way where the configuration does not say. */
export function callsPerAgent({ agents }: DescriptorShares, pendingPerAgent: number): number {
  return Math.min(CALLS_PER_AGENT + pendingPerAgent, Math.ceil(agents * 0.75));
}

/** The soft limit on open files, which node has raised to the hard one by the time this runs. */
export function openFileLimit(): number {
  try {
    const [, soft = ''] = /^Max open files\s+(\d+|unlimited)/m.exec(readFileSync('/proc/self/limits', 'latin1')) ?? [];
    if (soft === 'unlimited') return Number.POSITIVE_INFINITY;
    return soft === '' ? UNKNOWN_LIMIT : Number(soft);
  } catch {
    return reportedLimit();
  }
}

/** Where there is no /proc, as on macOS. */
function reportedLimit(): number {
  const { userLimits } = process.report.getReport() as {
    readonly userLimits?: { readonly open_files?: { readonly soft: number | string } };
  };
  const soft = userLimits?.open_files?.soft;
  if (soft === 'unlimited') return Number.POSITIVE_INFINITY;
  return typeof soft === 'number' ? soft : UNKNOWN_LIMIT;
}

const clamp = (value: number, least: number, most: number): number =>
  Math.floor(Math.min(Math.max(value, least), most));
