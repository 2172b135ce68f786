// The environments that a test may want to look at when it fails: those that are open, and those that were closed since
// the test began.

export interface Shown {
  /** File and line of the test that built it. */
  readonly builtAt: string;
  readonly urls: Readonly<Record<string, string>>;
  readonly log: readonly object[];
}

interface Entry {
  readonly show: () => Shown;
  closed: boolean;
}

const entries = new Set<Entry>();

/** Keeps it for failures, until `close` of what it gives back. */
export function showOnFailure(show: () => Shown): { close(): void } {
  const entry: Entry = { show, closed: false };
  entries.add(entry);
  return {
    close() {
      entry.closed = true;
    },
  };
}

/** A test begins: what was closed before cannot have to do with it. */
export function forgetClosed(): void {
  for (const entry of entries) if (entry.closed) entries.delete(entry);
}

const LAST_LINES = 60;

/** What a person wants to read below a failure; empty when there is no environment. */
export function describeEnvironments(): string {
  return [...entries]
    .map(({ show, closed }) => {
      const { builtAt, urls, log } = show();
      const places = Object.entries(urls).map(([name, url]) => `  ${name}: ${url}`);
      const lines = log.slice(-LAST_LINES).map((line) => `  ${JSON.stringify(line)}`);
      const title = `The gateway that was built at ${builtAt}${closed ? ' (closed by now)' : ''}`;
      return [
        title,
        ...places,
        `  Its log${log.length > LAST_LINES ? `, the last ${LAST_LINES} lines` : ''}:`,
        ...lines,
      ].join('\n');
    })
    .join('\n');
}

/** The place of the first caller that is outside this folder, as `test/e2e/x.test.ts:12`. */
export function callerPlace(): string {
  const frames = (new Error().stack ?? '').split('\n').slice(1);
  const frame = frames.find((line) => line.includes('/test/') && !line.includes('/test/support/')) ?? '';
  return /(test\/[^\s()]+?:\d+)(?::\d+)?\)?$/.exec(frame)?.[1] ?? 'an unknown place';
}
