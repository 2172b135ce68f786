// Follows the configuration file while the gateway runs. A valid change is handed over; an invalid one is refused, and what was
// in force stays. Watches the folder, because editors and Kubernetes replace files and swap symlinks, and polls behind that,
// because not every file system reports. The text decides: a file that was only touched is no change.

import { type FSWatcher, readFileSync, watch } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { ConfigError } from './faults.ts';
import { type ConfigCheck, parseConfig, textDigest } from './load.ts';
import type { Config } from './schema.ts';

export interface ConfigWatchOptions {
  /** A changed file that is valid. Must not throw. */
  onChange(config: Config): void;
  /** A changed file that is not; told once per text. Must not throw. */
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
  let settling: NodeJS.Timeout | undefined;

  const look = async (): Promise<void> => {
    if (reading || closed) return;
    reading = true;
    const text = await readFile(path, 'utf8').catch(() => undefined);
    reading = false;
    // Between two steps of a replacement the file is missing or empty; the next look finds it.
    if (closed || text === undefined || text === '' || textDigest(text) === known) return;
    known = textDigest(text);
    const config = parseOrRefuse(text);
    if (config !== undefined) onChange(config);
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

/** Undefined where the system cannot watch (no more inotify handles, a network file system): then polling is all there is. */
function watchFolder(folder: string, onEvent: () => void): FSWatcher | undefined {
  try {
    return watch(folder, { persistent: false }, onEvent).on('error', () => {});
  } catch {
    return undefined;
  }
}
