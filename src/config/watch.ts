// Follows the configuration file while the gateway runs. A valid change is passed on; an invalid one is refused, and
// the configuration in force stays. Watches the folder, because editors and Kubernetes replace files and swap symlinks.
// Polls as well, because not every file system reports changes. Only a new text is a change, not a new time stamp.

import { type FSWatcher, readFileSync, watch } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { ConfigError } from '../settings/faults.ts';
import { type ConfigCheck, parseConfig, readText, textDigest } from './load.ts';
import type { Config } from './schema.ts';

export interface ConfigWatchOptions {
  /** Called with a changed, valid file. Must not throw. */
  onChange(config: Config): void;
  /** Called with a file that is invalid or cannot be read, once per text or reason. Must not throw. */
  onRefused(error: ConfigError): void;
  /**
   * The configuration that was loaded from the file: a change since then is found at once. Default: the text that is
   * there now.
   */
  readonly since?: Config;
  /** Polling interval, ms; default 2000. */
  readonly pollMs?: number;
}

/** Quiet time between a report and reading the file, ms, because editors write in steps. */
const SETTLE_MS = 50;

export interface ConfigWatch {
  /** Reads the file now, and treats it as changed: the files that it names may have changed. */
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

  /**
   * During a replacement the file may be missing for a moment, so only what two looks of the poll find is reported, and
   * once.
   */
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
