// Follows the configuration file while the gateway runs. A valid change is handed over; an invalid one is refused, and
// what was in force stays. Watches the folder, because editors and Kubernetes replace files and swap symlinks, and
// polls behind that, because not every file system reports. The text decides: a file that was only touched is no
// change.

import { type FSWatcher, readFileSync, watch } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { ConfigError } from '../settings/faults.ts';
import { type ConfigCheck, parseConfig, readText, textDigest } from './load.ts';
import type { Config } from './schema.ts';

export interface ConfigWatchOptions {
  /** A changed file that is valid. Must not throw. */
  onChange(config: Config): void;
  /** A changed file that is not, or one that cannot be read; told once per text or reason. Must not throw. */
  onRefused(error: ConfigError): void;
  /** What was loaded from the file: a change since then is found at once. Default: the text that stands there now. */
  readonly since?: Config;
  /** Polling interval, ms; default 2000. */
  readonly pollMs?: number;
}

/** Quiet time after a report before the file is read, ms: editors write in steps. */
const SETTLE_MS = 50;

export interface ConfigWatch {
  /** Looks now, and takes what stands there for a change: the files that it names may be other ones. */
  reload(): void;
  close(): void;
}

/** Follows the file until `close`. Keeps no process alive. */
export function watchConfig(path: string, options: ConfigWatchOptions, check?: ConfigCheck): ConfigWatch {
  const { onChange, onRefused, since, pollMs = 2000 } = options;
  let known = textDigest(since ?? readNow(path));
  let closed = false;
  let reading = false;
  let unreadable: { readonly reason: string | undefined; readonly at: number; told: boolean } | undefined;
  let settling: NodeJS.Timeout | undefined;

  const look = async (): Promise<void> => {
    if (reading || closed) return;
    reading = true;
    const text = await readText(path).catch((thrown: unknown) => thrown);
    reading = false;
    if (closed) return;
    if (typeof text !== 'string') return tellUnreadable(text);
    unreadable = undefined;
    // Between two steps of a replacement the file is empty; the next look finds it.
    if (text === '' || textDigest(text) === known) return;
    known = textDigest(text);
    const config = parseOrRefuse(text);
    if (config !== undefined) onChange(config);
  };

  /** Between two steps of a replacement the file may be missing: what two looks of the poll find is told, once. */
  const tellUnreadable = (thrown: unknown): void => {
    if (!(thrown instanceof ConfigError)) throw thrown;
    const reason = thrown.faults[0]?.message;
    if (unreadable === undefined || unreadable.reason !== reason)
      unreadable = { reason, at: performance.now(), told: false };
    if (unreadable.told || performance.now() - unreadable.at < pollMs / 2) return;
    unreadable.told = true;
    onRefused(thrown);
  };

  const parseOrRefuse = (text: string): Config | undefined => {
    try {
      return parseConfig(text, path, check);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      onRefused(error);
      return undefined;
    }
  };

  const watcher = watchFolder(dirname(resolve(path)), () => {
    clearTimeout(settling);
    settling = setTimeout(() => void look(), SETTLE_MS).unref();
  });
  const poll = setInterval(() => void look(), pollMs).unref();
  return {
    reload() {
      known = '';
      void look();
    },
    close() {
      closed = true;
      clearTimeout(settling);
      clearInterval(poll);
      watcher?.close();
    },
  };
}

function readNow(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/**
 * Undefined where the system cannot watch (no more inotify handles, a network file system): then polling is all there
 * is.
 */
function watchFolder(folder: string, onEvent: () => void): FSWatcher | undefined {
  try {
    return watch(folder, { persistent: false }, onEvent).on('error', () => {});
  } catch {
    return undefined;
  }
}
