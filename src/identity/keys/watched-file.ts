// A file that holds keys. It is read at the start, when it or its folder changes, at least every 30 seconds, and when
// an unknown key turns up. When the file cannot be read or parsed, the last good content stays in force for a bounded
// time.

import { hash } from 'node:crypto';
import { type FSWatcher, watch } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import type { Clock, EpochMs } from '../../domain/clock.ts';
import type { Logger } from '../../domain/log.ts';
import { readRegularFile } from '../../domain/regular-file.ts';
import { faultReason, KeyFault } from './key-fault.ts';
import type { Refreshed } from './refreshed.ts';

const MAX_BYTES = 1024 * 1024;
const POLL_MS = 30_000;
const MIN_INTERVAL_MS = 1_000;

export interface WatchedFileOptions<T> {
  readonly path: string;
  /** The issuer entry's name, for the log. */
  readonly name: string;
  /** How long the last good content is believed. */
  readonly staleMs: number;
  /** Reads a new content; throws to refuse it. `previous` is the content in force. */
  parse(bytes: Uint8Array, previous: T | undefined): T;
}

export class WatchedFile<T> implements Refreshed<T> {
  readonly #options: WatchedFileOptions<T>;
  readonly #clock: Clock;
  readonly #log: Logger;
  #value: T | undefined;
  #digest: string | undefined;
  #readAt: EpochMs | undefined;
  #attemptedAt = Number.NEGATIVE_INFINITY;
  #lastError: string | undefined;
  #reading: Promise<void> | undefined;
  #outdated = false;
  #watcher: FSWatcher | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: WatchedFileOptions<T>, { clock, log }: { readonly clock: Clock; readonly log: Logger }) {
    this.#options = options;
    this.#clock = clock;
    this.#log = log;
  }

  get fetchedAt(): EpochMs | undefined {
    return this.#readAt;
  }

  get lastError(): string | undefined {
    return this.#lastError;
  }

  current(): T | undefined {
    const { staleMs } = this.#options;
    return this.#readAt !== undefined && this.#clock.now() < this.#readAt + staleMs ? this.#value : undefined;
  }

  /** Reads the file now, unless that was done within the last second. */
  async renew(): Promise<T | undefined> {
    await (this.#clock.now() < this.#attemptedAt + MIN_INTERVAL_MS ? this.#reading : this.#read());
    return this.current();
  }

  /** A file tells at once what there is. */
  heldBackMs(): number {
    return 0;
  }

  async start(): Promise<void> {
    const { path, name, staleMs } = this.#options;
    try {
      // The folder, not the file: an atomic replacement gives the name to another file, and Kubernetes swaps a link
      // named `..data` beside it.
      const watcher = watch(dirname(path), { persistent: false }, (_event, changed) => {
        if (changed === null || changed === basename(path) || changed.startsWith('..')) void this.#read();
      });
      watcher.on('error', () => watcher.close());
      this.#watcher = watcher;
    } catch (thrown) {
      this.#log.warn('identity.keys.unwatched', { issuer: name, reason: faultReason(thrown) });
    }
    this.#timer = setInterval(() => this.#read(), Math.min(POLL_MS, staleMs / 2)).unref();
    await this.#read();
  }

  close(): void {
    this.#closed = true;
    this.#watcher?.close();
    clearInterval(this.#timer);
  }

  /** One read at a time. What changes during a read is read after it, once. */
  #read(): Promise<void> {
    this.#attemptedAt = this.#clock.now();
    this.#outdated = true;
    this.#reading ??= this.#readUntilFresh().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  async #readUntilFresh(): Promise<void> {
    while (this.#outdated && !this.#closed) {
      this.#outdated = false;
      await this.#readOnce();
    }
  }

  async #readOnce(): Promise<void> {
    const { path, name, parse } = this.#options;
    try {
      if ((await stat(path)).size > MAX_BYTES) throw new KeyFault('too_large');
      const bytes = await readRegularFile(path, MAX_BYTES);
      const digest = hash('sha256', bytes, 'base64');
      if (digest !== this.#digest) {
        this.#value = parse(bytes, this.#value);
        this.#digest = digest;
        this.#log.info('identity.keys.changed', { issuer: name });
      }
      this.#readAt = this.#clock.now();
      this.#lastError = undefined;
    } catch (thrown) {
      this.#lastError = faultReason(thrown);
      this.#log.warn('identity.keys.failed', { issuer: name, reason: this.#lastError });
    }
  }
}
