// The content of one reviewer's inbox: open holds that name the reviewer, and holds that ended lately, filtered and
// counted. Reads a bounded number of holds for each view, and says so when there are more.

import type { EpochMs } from '../domain/clock.ts';
import { ENDED_STATES, type Hold, type HoldState, OPEN_STATES } from '../domain/hold.ts';
import type { HoldStore } from '../domain/hold-store.ts';
import type { Reviewer } from '../domain/reviewer.ts';
import { type Eligibility, isNamed, type Permissions, permissionsOf } from './permissions.ts';

export const VIEWS = ['mine', 'open', 'recent'] as const;
export type View = (typeof VIEWS)[number];

export interface Filters {
  readonly view: View;
  readonly upstream?: string;
  readonly agent?: string;
  readonly tier?: string;
  /** Shows only holds that have waited longer than this. */
  readonly olderThanMs?: number;
}

export interface InboxEntry {
  readonly hold: Hold;
  readonly permissions: Permissions;
}

export interface Inbox {
  readonly filters: Filters;
  /** After the filters; grouped for display by `groupByTask`. */
  readonly entries: readonly InboxEntry[];
  readonly counts: Readonly<Record<View, number>>;
  /** Values to choose from, over the whole view. */
  readonly choices: {
    readonly upstreams: readonly string[];
    readonly agents: readonly string[];
    readonly tiers: readonly string[];
  };
  /** True when there are more holds than were looked at. */
  readonly more: boolean;
  readonly now: EpochMs;
}

const OPEN_PAGES = 5;

export async function loadInbox(
  holds: HoldStore,
  eligibility: Eligibility,
  reviewer: Reviewer,
  filters: Filters,
): Promise<Inbox> {
  const now = holds.now();
  const open = await collect(holds, OPEN_STATES, OPEN_PAGES);
  const recent = await collect(holds, ENDED_STATES, 1);
  const named = (found: readonly Hold[]) =>
    found
      .filter((hold) => isNamed(eligibility, hold, reviewer))
      .map((hold) => ({ hold, permissions: permissionsOf(eligibility, hold, reviewer, now) }));
  const all: Record<View, readonly InboxEntry[]> = { mine: [], open: named(open.holds), recent: named(recent.holds) };
  all.mine = all.open.filter(({ hold, permissions }) => hold.state === 'PENDING' && permissions.approve);
  const entries = all[filters.view];
  return {
    filters,
    // Open holds: the first to run out comes first. Ended holds: the latest comes first.
    entries: entries
      .filter((entry) => matches(entry, filters, now))
      .sort(filters.view === 'recent' ? byEnding : byDeadline),
    counts: { mine: all.mine.length, open: all.open.length, recent: all.recent.length },
    choices: {
      upstreams: distinct(entries.map(({ hold }) => hold.action.upstream)),
      agents: distinct(entries.map(({ hold }) => hold.principal.id)),
      tiers: distinct(entries.flatMap(({ hold }) => hold.requirements.map(({ tier }) => tier))),
    },
    more: open.more,
    now,
  };
}

export interface Group {
  /** Absent for holds without a task. */
  readonly task?: NonNullable<Hold['task']>;
  readonly entries: readonly InboxEntry[];
}

/** By task, in the order of their most urgent entries. A vote is still cast per hold. */
export function groupByTask(entries: readonly InboxEntry[]): readonly Group[] {
  const groups = new Map<string, InboxEntry[]>();
  for (const entry of entries) {
    const key = entry.hold.task?.id ?? '';
    groups.set(key, [...(groups.get(key) ?? []), entry]);
  }
  return [...groups.values()].map((members) => {
    const task = members[0]?.hold.task;
    return { entries: members, ...(task !== undefined && { task }) };
  });
}

const AGES: Readonly<Record<string, number>> = { '1m': 60_000, '5m': 300_000, '15m': 900_000, '1h': 3_600_000 };
export const AGE_CHOICES = Object.keys(AGES);

/** The filters in the page's address; unknown ones are ignored. */
export function readFilters(query: URLSearchParams): Filters {
  const text = (name: string) => query.get(name) || undefined;
  const [upstream, agent, tier, age] = [text('upstream'), text('agent'), text('tier'), text('age')];
  const olderThanMs = age === undefined ? undefined : AGES[age];
  return {
    view: VIEWS.find((view) => view === query.get('view')) ?? 'mine',
    ...(upstream !== undefined && { upstream }),
    ...(agent !== undefined && { agent }),
    ...(tier !== undefined && { tier }),
    ...(olderThanMs !== undefined && { olderThanMs }),
  };
}

async function collect(
  holds: HoldStore,
  states: readonly HoldState[],
  pages: number,
): Promise<{ readonly holds: readonly Hold[]; readonly more: boolean }> {
  const found: Hold[] = [];
  let after: string | undefined;
  for (let page = 0; page < pages; page++) {
    const { holds: some, next } = await holds.list({ states, limit: 200, ...(after !== undefined && { after }) });
    found.push(...some);
    after = next;
    if (after === undefined) break;
  }
  return { holds: found, more: after !== undefined };
}

function matches({ hold }: InboxEntry, { upstream, agent, tier, olderThanMs }: Filters, now: EpochMs): boolean {
  return (
    (upstream === undefined || hold.action.upstream === upstream) &&
    (agent === undefined || hold.principal.id === agent) &&
    (tier === undefined || hold.requirements.some((requirement) => requirement.tier === tier)) &&
    (olderThanMs === undefined || now - hold.createdAt >= olderThanMs)
  );
}

/** Until when the hold can be decided on, or its approval used. */
export const runsOutAt = (hold: Hold): EpochMs =>
  'useBy' in hold && hold.useBy !== undefined ? hold.useBy : hold.deadline;
const endedAt = (hold: Hold): EpochMs => ('endedAt' in hold ? hold.endedAt : hold.createdAt);
const byDeadline = (a: InboxEntry, b: InboxEntry): number => runsOutAt(a.hold) - runsOutAt(b.hold);
const byEnding = (a: InboxEntry, b: InboxEntry): number => endedAt(b.hold) - endedAt(a.hold);
const distinct = (values: readonly string[]): readonly string[] => [...new Set(values)].sort();
