// A file that holds keys: read at start, when it or its folder changes, every 30 seconds or more often, and when an
// unknown key turns up. A file that cannot be read or parsed leaves the last good content in force for a bounded time;
// never longer.

import { hash } from 'node:crypto';
import { type FSWatcher, watch } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import type { Clock, EpochMs } from '../../domain/clock.ts';
import type { Logger } from '../../domain/log.ts';
import { readRegularFile } from '../../domain/regular-file.ts';
import { faultReason, KeyFault } from './key-fault.ts';

const MAX_BYTES = 1024 * 1024;
const POLL_MS = 30_000;
const MIN_INTERVAL_MS = 1_000;

interface WatchedFileOptions<T> {
  readonly path: string;
  /** The issuer entry's name, for the log. */
  readonly name: string;
  /** How long the last good content is believed, ms. */
  readonly staleMs: number;
  /** Reads a new content; throws to refuse it. `previous` is the content in force. */
  parse(bytes: Uint8Array, previous: T | undefined): T;
}

export interface WatchedFile<T> {
  /**
   * The same object as long as the bytes are the same. Undefined before the first good read, and when the last is too
   * long ago.
   */
  current(): T | undefined;
  /** Reads the file now unless that was done within the last second. Never rejects. */
  renew(): Promise<T | undefined>;
  readonly readAt: EpochMs | undefined;
  readonly lastError: string | undefined;
  start(): Promise<void>;
  close(): void;
}

export function createWatchedFile<T>(options: WatchedFileOptions<T>, clock: Clock, log: Logger): WatchedFile<T> {
  const { path, name, staleMs, parse } = options;
  let value: T | undefined;
  let digest: string | undefined;
  let readAt: EpochMs | undefined;
  let attemptedAt = Number.NEGATIVE_INFINITY;
  let lastError: string | undefined;
  let reading: Promise<void> | undefined;
  let outdated = false;
  let watcher: FSWatcher | undefined;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;

  function current(): T | undefined {
    return readAt !== undefined && clock.now() < readAt + staleMs ? value : undefined;
  }

  /** One read at a time; what changes during a read is read after it, once. */
  function read(): Promise<void> {
    attemptedAt = clock.now();
    outdated = true;
    reading ??= readUntilFresh().finally(() => {
      reading = undefined;
    });
    return reading;
  }

  async function readUntilFresh(): Promise<void> {
    while (outdated && !closed) {
      outdated = false;
      await readOnce();
    }
  }

  async function readOnce(): Promise<void> {
    try {
      if ((await stat(path)).size > MAX_BYTES) throw new KeyFault('too_large');
      const bytes = await readRegularFile(path, MAX_BYTES);
      const nextDigest = hash('sha256', bytes, 'base64');
      if (nextDigest !== digest) {
        value = parse(bytes, value);
        digest = nextDigest;
        log.info('identity.keys.changed', { issuer: name });
      }
      readAt = clock.now();
      lastError = undefined;
    } catch (thrown) {
      lastError = faultReason(thrown);
      log.warn('identity.keys.failed', { issuer: name, reason: lastError });
    }
  }

  async function renew(): Promise<T | undefined> {
    await (clock.now() < attemptedAt + MIN_INTERVAL_MS ? reading : read());
    return current();
  }

  return {
    current,
    renew,
    get readAt() {
      return readAt;
    },
    get lastError() {
      return lastError;
    },
    async start() {
      try {
        // The folder, not the file: an atomic replacement gives the name to another file, and Kubernetes swaps a link
        // named `..data` beside it.
        watcher = watch(dirname(path), { persistent: false }, (_event, changed) => {
          if (changed === null || changed === basename(path) || changed.startsWith('..')) void read();
        });
        watcher.on('error', () => watcher?.close());
      } catch (thrown) {
        log.warn('identity.keys.unwatched', { issuer: name, reason: faultReason(thrown) });
      }
      timer = setInterval(read, Math.min(POLL_MS, staleMs / 2)).unref();
      await read();
    },
    close() {
      closed = true;
      watcher?.close();
      clearInterval(timer);
    },
  };
}
