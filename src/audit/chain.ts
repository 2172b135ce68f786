// One line of the audit log: how it is written, and when it counts as whole. The journal and the verifier both use this
// file.
//
// {"v":1,"seq":2,"time":"…","prev":"<SHA-256 of the previous line>","type":"decision",…,"crc":"<CRC-32>"}
//
// `prev` chains each line to the exact bytes of the one before, so an edit, a gap or another order breaks the chain at
// the next line. `crc` finds accidental damage in the last line, which nothing follows yet. Neither is a signature: see
// verify.ts.

import { crc32 } from 'node:zlib';
import type { AuditType, RecordText } from '../domain/audit.ts';
import { sha256 } from '../domain/canonical.ts';
import { type EpochMs, isoTime } from '../domain/clock.ts';
import type { JsonObject } from '../domain/json.ts';
import { visibleJson } from '../domain/visible-json.ts';

/** `prev` of a file's first line. The line's `previous` member names the file before it. */
export const NO_LINE = '0'.repeat(64);

export interface Envelope {
  readonly seq: number;
  readonly time: EpochMs;
  readonly prev: string;
  readonly type: AuditType;
}

const RESERVED = ['v', 'seq', 'time', 'prev', 'type', 'crc'];

/**
 * The line without its line feed. Throws TypeError for members that the envelope owns; a text is trusted to have none
 * of them.
 */
export function writeLine({ seq, time, prev, type }: Envelope, record: JsonObject | RecordText): string {
  const members = visibleJson((typeof record === 'string' ? record : textOf(record)).slice(1, -1));
  const comma = members === '' ? '' : ',';
  const head = `{"v":1,"seq":${seq},"time":"${isoTime(time)}","prev":"${prev}","type":"${type}"${comma}`;
  // Computed over the two pieces: joining them first would copy each line once more.
  return `${head}${members},"crc":"${checksum(members, crc32(head))}"}`;
}

function textOf(record: JsonObject): string {
  for (const name of RESERVED) if (name in record) throw new TypeError(`an audit record may not set "${name}"`);
  return JSON.stringify(record);
}

/** SHA-256 of a line's bytes without its line feed: the next line's `prev`. */
export function lineDigest(line: string | Uint8Array): string {
  return sha256(line);
}

export interface ReadLine extends JsonObject {
  readonly v: number;
  readonly seq: number;
  readonly time: string;
  readonly prev: string;
  readonly type: string;
}

const SEALED = /^(\{.*),"crc":"([0-9a-f]{8})"\}$/s;

/** The record of a line, or undefined when it is damaged or was never one. */
export function readLine(line: Uint8Array): ReadLine | undefined {
  const match = SEALED.exec(Buffer.from(line.buffer, line.byteOffset, line.byteLength).toString('latin1'));
  // latin1 maps bytes to units one to one, so the checksum is taken over the bytes themselves.
  if (match?.[1] === undefined || checksum(Buffer.from(match[1], 'latin1')) !== match[2]) return undefined;
  let record: unknown;
  try {
    record = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(line));
  } catch {
    return undefined;
  }
  return isReadLine(record) ? record : undefined;
}

function isReadLine(value: unknown): value is ReadLine {
  if (typeof value !== 'object' || value === null) return false;
  const { v, seq, time, prev, type } = value as Record<string, unknown>;
  return (
    v === 1 &&
    Number.isSafeInteger(seq) &&
    typeof time === 'string' &&
    typeof prev === 'string' &&
    typeof type === 'string'
  );
}

/** The CRC-32 of `data`; with `before`, of the earlier bytes (whose CRC-32 is `before`) followed by `data`. */
function checksum(data: string | Uint8Array, before = 0): string {
  return crc32(data, before).toString(16).padStart(8, '0');
}
