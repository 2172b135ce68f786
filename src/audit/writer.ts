// Group commit over one file: everything that is appended in one turn of the event loop is one write, and one fdatasync
// serves every record that waits for it. Writing continues during a sync, so a call that needs no sync is not slowed by
// a call that needs one. Refuses to continue after any error. After a failed fdatasync the kernel may have dropped the
// pages and marked them clean, so that a second sync would succeed without the data being there ("fsyncgate"); after a
// failed write the chain has a hole.

import { write } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import type { Durability } from '../domain/audit.ts';

export interface GroupWriter {
  /**
   * Reserves the line's place in the file at once, in the order of calls. Resolves to `place` when it is as durable as
   * asked. Rejects with the failure that closed the writer.
   */
  append(text: string, durability: Durability, place: WrittenLine): Promise<WrittenLine>;
  /** The error that closed it, if one did. */
  readonly failure: Error | undefined;
  /** Waits for everything to be on disk and closes the file; afterwards every append rejects. */
  close(): Promise<void>;
}

/** What the caller gets when the line is as durable as asked. */
export interface WrittenLine {
  readonly seq: number;
}

const LINE_FEED = 0x0a;

interface LineWaiter {
  /** Settled when this many lines are written, or synced. */
  readonly line: number;
  readonly place: WrittenLine;
  resolve(place: WrittenLine): void;
  reject(error: unknown): void;
}

export interface GroupWriterOptions {
  readonly handle: FileHandle;
  /** Longest time that a written line stays unsynced, ms. */
  readonly fsyncEveryMs: number;
  /** Called once, with the error that closed the writer. */
  onFailure(error: unknown): void;
  /** The error for every caller that waits, and for every later caller. */
  refusal(cause: unknown): Error;
}

export function createGroupWriter({ handle, fsyncEveryMs, onFailure, refusal }: GroupWriterOptions): GroupWriter {
  let pending: string[] = [];
  let taken = 0; //   lines appended
  let written = 0; // lines handed to the kernel
  let synced = 0; //  lines on disk
  let writing = false;
  let syncing = false;
  let closed = false;
  let failure: Error | undefined;
  let timer: NodeJS.Timeout | undefined;
  const forWrite: LineWaiter[] = [];
  const forSync: LineWaiter[] = [];

  function fail(error: unknown): void {
    if (failure !== undefined) return;
    failure = refusal(error);
    onFailure(error);
    clearTimeout(timer);
    for (const waiter of [...forWrite.splice(0), ...forSync.splice(0)]) waiter.reject(failure);
  }

  async function writeLoop(): Promise<void> {
    while (pending.length > 0 && failure === undefined) {
      const upTo = taken;
      const bytes = encode(pending);
      pending = [];
      // A full disk accepts a part of a write; writing the rest then fails with the reason.
      for (let at = 0; at < bytes.length; ) at += await writeSome(handle.fd, bytes, at);
      written = upTo;
      settle(forWrite, written);
      if (forSync.length > 0) startSync();
      else syncLater();
    }
  }

  async function syncLoop(): Promise<void> {
    do {
      const upTo = written;
      await handle.datasync();
      if (failure !== undefined) return;
      synced = upTo;
      settle(forSync, synced);
    } while (forSync[0] !== undefined && forSync[0].line <= written);
  }

  function startWrite(): void {
    if (writing || failure !== undefined) return;
    writing = true;
    writeLoop()
      .catch(fail)
      .finally(() => {
        writing = false;
        if (pending.length > 0) startWrite();
      });
  }

  function startSync(): void {
    if (syncing || failure !== undefined) return;
    syncing = true;
    clearTimeout(timer);
    timer = undefined;
    syncLoop()
      .catch(fail)
      .finally(() => {
        syncing = false;
        if (forSync[0] !== undefined && forSync[0].line <= written) startSync();
        else if (synced < written) syncLater();
      });
  }

  function syncLater(): void {
    if (timer !== undefined || syncing || failure !== undefined) return;
    timer = setTimeout(startSync, fsyncEveryMs);
    timer.unref();
  }

  function append(text: string, durability: Durability, place: WrittenLine): Promise<WrittenLine> {
    if (failure !== undefined || closed)
      return Promise.reject(failure ?? refusal(new Error('the audit log is closed')));
    // The first line of a turn schedules the write. Further lines of the turn are part of the same write.
    if (pending.length === 0 && !writing) setImmediate(startWrite);
    pending.push(text);
    taken += 1;
    const line = taken;
    return new Promise((resolve, reject) => {
      (durability === 'fsync' ? forSync : forWrite).push({ line, place, resolve, reject });
    });
  }

  return {
    append,
    get failure() {
      return failure;
    },
    async close() {
      if (closed) return;
      closed = true;
      if (failure === undefined && synced < taken) {
        // The failure has reached its waiters and onFailure already.
        await new Promise<void>((resolve) => {
          forSync.push({ line: taken, place: { seq: taken }, resolve: () => resolve(), reject: () => resolve() });
          if (written === taken) startSync();
        });
      }
      clearTimeout(timer);
      await handle.close();
    },
  };
}

/** The lines, each with its line feed. */
function encode(lines: readonly string[]): Buffer {
  let size = 0;
  for (const line of lines) size += Buffer.byteLength(line) + 1;
  const bytes = Buffer.allocUnsafe(size);
  let at = 0;
  for (const line of lines) {
    at += bytes.write(line, at);
    bytes[at++] = LINE_FEED;
  }
  return bytes;
}

/** The callback form: FileHandle.write costs half as much again per batch. Gives the bytes written. */
function writeSome(fd: number, bytes: Buffer, at: number): Promise<number> {
  return new Promise((resolve, reject) => {
    write(fd, bytes, at, bytes.length - at, null, (error, count) => (error === null ? resolve(count) : reject(error)));
  });
}

/** Waiters are in the order of lines: the search ends at the first that is not reached. */
function settle(waiters: LineWaiter[], line: number): void {
  let reached = 0;
  for (const waiter of waiters) {
    if (waiter.line > line) break;
    waiter.resolve(waiter.place);
    reached += 1;
  }
  waiters.splice(0, reached);
}
