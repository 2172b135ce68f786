// The files of an audit folder, and where each ended. Every start of a gateway begins a file. The first record of the
// next file names its predecessor and the digest of that file's last line, so a file cannot be cut or removed
// unnoticed.

import { createReadStream } from 'node:fs';
import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256 } from '../domain/canonical.ts';
import type { EpochMs } from '../domain/clock.ts';

const FILE = /^\d{8}T\d{9}Z-[\w.-]+\.jsonl$/;

export function isAuditFile(name: string): boolean {
  return FILE.test(name);
}

/**
 * The file's name. Names sort by start time; characters of the instance that do not belong in a file name become `_`.
 */
export function auditFileName(startedAt: EpochMs, instance: string): string {
  const stamp = new Date(startedAt).toISOString().replaceAll(/[-:.]/g, '');
  return `${stamp}-${instance.replaceAll(/[^\w.-]/g, '_').slice(0, 80)}.jsonl`;
}

/** When the file of this name was started. */
export function startOf(file: string): EpochMs {
  const [, year, month, day, hour, minute, second, ms] =
    /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(\d{3})Z-/.exec(file) ?? [];
  return Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}.${ms}Z`);
}

/** Names of the folder's audit files, oldest first. */
export async function auditFiles(folder: string): Promise<string[]> {
  return (await readdir(folder)).filter(isAuditFile).sort();
}

/** Bytes after the last line feed: a write that a crash cut off. */
export interface TornTail {
  readonly bytes: number;
  readonly digest: string;
}

export interface FileLine {
  /** Counted from 1. */
  readonly number: number;
  /** Without the line feed. */
  readonly bytes: Uint8Array;
}

/**
 * The whole lines of a file in order, and then the torn tail if there is one. Memory is bounded by the longest line.
 */
export async function* readLines(folder: string, file: string): AsyncGenerator<FileLine, TornTail | undefined> {
  let rest = Buffer.alloc(0);
  let number = 0;
  for await (const chunk of createReadStream(join(folder, file)) as AsyncIterable<Buffer>) {
    let from = 0;
    for (let at = chunk.indexOf(0x0a); at !== -1; at = chunk.indexOf(0x0a, from)) {
      const piece = chunk.subarray(from, at);
      number += 1;
      yield { number, bytes: rest.length === 0 ? piece : Buffer.concat([rest, piece]) };
      rest = Buffer.alloc(0);
      from = at + 1;
    }
    rest = Buffer.concat([rest, chunk.subarray(from)]);
  }
  return rest.length === 0 ? undefined : { bytes: rest.length, digest: sha256(rest) };
}

const TAIL_BYTES = 64 * 1024;

/** How a file ends, read from its end: the last whole line, and what a crash left after it. */
export async function readEnd(
  folder: string,
  file: string,
): Promise<{ readonly line?: Uint8Array; readonly torn?: TornTail }> {
  const handle = await open(join(folder, file), 'r');
  try {
    const { size } = await handle.stat();
    for (let length = Math.min(TAIL_BYTES, size); ; length = Math.min(length * 4, size)) {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, size - length);
      const tail = buffer.subarray(0, bytesRead);
      const end = tail.lastIndexOf(0x0a);
      const start = end < 1 ? -1 : tail.lastIndexOf(0x0a, end - 1);
      if (length < size && (end === -1 || start === -1)) continue;
      const rest = tail.subarray(end + 1);
      return {
        ...(end !== -1 && { line: tail.subarray(start + 1, end) }),
        ...(rest.length > 0 && { torn: { bytes: rest.length, digest: sha256(rest) } }),
      };
    }
  } finally {
    await handle.close();
  }
}
