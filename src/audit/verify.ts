// Verifies an audit folder offline: the lines, the chain in each file, the chain of files, and the gateway's check on
// record. Needs nothing but the files, and trusts nothing in them. The chain has no key: anyone who can write the
// folder can write a new chain from any point on, and can cut off its end. Only a checkpoint that is kept elsewhere
// reveals that. The report says so while there is no checkpoint.

import { stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { lineDigest, NO_LINE, type ReadLine, readLine } from './chain.ts';
import { auditFiles, isAuditFile, readLines, type TornTail } from './folder.ts';
import { createLifecycleCheck, type LinePlace } from './lifecycle-check.ts';
import type { FaultKind, Finding, VerifyReport, WarningKind } from './report.ts';

const NO_CHECKPOINT =
  'No checkpoint was given. These files alone cannot show whether records were cut off the end, ' +
  'or whether everything was written anew from some point on.';
const ONE_FILE = 'Only one file was read. The files before and after it were not checked.';

/** What the first record of a file says about the files before it. */
interface Beginning {
  readonly previous?: { readonly file: string; readonly digest: string };
  readonly torn: readonly (TornTail & { readonly file: string })[];
}

/** How one file ended, for the files that name it. */
interface Ended {
  readonly lines: number;
  readonly torn?: TornTail;
  /** Line number at which each digest that was asked for was found. */
  readonly found: ReadonlyMap<string, number>;
}

/** `path`: the folder, or one file of it. Rejects only when the files cannot be read. */
export async function verifyAudit(path: string): Promise<VerifyReport> {
  const single = (await stat(path)).isFile();
  const folder = single ? dirname(path) : path;
  const files = single ? [basename(path)] : await auditFiles(path);

  const faults: Finding<FaultKind>[] = [];
  const warnings: Finding<WarningKind>[] = [];
  const fault = (kind: FaultKind, place: { file: string; line?: number }, text: string): void =>
    void faults.push({ kind, ...place, text });
  const warn = (kind: WarningKind, place: { file: string; line?: number }, text: string): void =>
    void warnings.push({ kind, ...place, text });
  const check = createLifecycleCheck({ fault, warn });

  const beginnings = new Map<string, Beginning>();
  for (const file of files) beginnings.set(file, await beginningOf(folder, file));
  const recordedTears = [...beginnings.values()].flatMap((beginning) => beginning.torn);

  let records = 0;
  const ended = new Map<string, Ended>();
  for (const file of files) {
    const asked = [...beginnings.values()].flatMap(({ previous }) =>
      previous?.file === file ? [previous.digest] : [],
    );
    const end = await verifyFile(folder, file, new Set(asked), fault, (record, place) => {
      records += 1;
      check.read(record, place);
    });
    ended.set(file, end);
    const { torn } = end;
    if (torn === undefined) continue;
    const recorded = recordedTears.some(
      (tear) => tear.file === file && tear.bytes === torn.bytes && tear.digest === torn.digest,
    );
    if (recorded)
      warn(
        'recorded_tear',
        { file },
        `${torn.bytes} bytes of a cut-off write are at the end; the next start recorded them`,
      );
    else
      fault(
        'torn_tail',
        { file },
        `${torn.bytes} bytes follow the last whole line: a crash, or an edit; the next start records them`,
      );
  }
  if (!single) verifyOrder(beginnings, ended, fault, warn);
  check.end(Date.now());
  return {
    ok: faults.length === 0,
    files: files.length,
    records,
    faults,
    warnings,
    limits: single ? [ONE_FILE, NO_CHECKPOINT] : [NO_CHECKPOINT],
  };
}

type FoundFault = (kind: FaultKind, place: { file: string; line?: number }, text: string) => void;
type Warn = (kind: WarningKind, place: { file: string; line?: number }, text: string) => void;

/** Checks the lines of one file in order: each is whole, and each follows the line before it. */
async function verifyFile(
  folder: string,
  file: string,
  digests: ReadonlySet<string>,
  fault: FoundFault,
  read: (record: ReadLine, place: LinePlace) => void,
): Promise<Ended> {
  const found = new Map<string, number>();
  let prev = NO_LINE;
  let seq = 0;
  let count = 0;
  const lines = readLines(folder, file);
  let step = await lines.next();
  for (; step.done !== true; step = await lines.next()) {
    const { number, bytes } = step.value;
    const place: LinePlace = { file, line: number };
    count = number;
    const record = readLine(bytes);
    if (record === undefined) {
      fault('damaged_line', place, 'the line is not a whole record');
      seq += 1;
    } else {
      if (record.prev !== prev)
        fault('broken_chain', place, 'the line before it is not the one that it was written after');
      if (record.seq > seq + 1) fault('gap', place, `record ${record.seq} follows record ${seq}`);
      if (record.seq <= seq) fault('repeated', place, `record ${record.seq} stands after record ${seq}`);
      if (number === 1 && record.type !== 'start')
        fault('no_start', place, 'the file does not begin with its start record');
      seq = record.seq;
      read(record, place);
    }
    prev = lineDigest(bytes);
    if (digests.has(prev)) found.set(prev, number);
  }
  return { lines: count, found, ...(step.value && { torn: step.value }) };
}

/**
 * Checks the files as a chain: every predecessor exists and is whole up to the point at which its successor began, and
 * the chain has one beginning.
 */
function verifyOrder(
  beginnings: ReadonlyMap<string, Beginning>,
  ended: ReadonlyMap<string, Ended>,
  fault: FoundFault,
  warn: Warn,
): void {
  let first: string | undefined;
  for (const [file, { previous, torn }] of beginnings) {
    for (const tear of torn) {
      const end = ended.get(tear.file);
      const bound = previous?.file === tear.file ? (end?.found.get(previous.digest) ?? 0) : 0;
      // Lines after that point mean that the end was not torn by a crash: another gateway was writing.
      if (end !== undefined && end.torn === undefined && end.lines === bound) {
        fault('torn_bytes_gone', { file: tear.file }, `the cut-off bytes that ${file} recorded are gone`);
      }
    }
    if (previous === undefined) {
      // A process that died before its first record: its successor continues from the file before.
      if (ended.get(file)?.lines === 0) continue;
      if (first !== undefined)
        fault('second_beginning', { file }, `it names no file before it, though ${first} is the beginning`);
      first ??= file;
      continue;
    }
    const before = ended.get(previous.file);
    const at = before?.found.get(previous.digest);
    if (before === undefined) fault('missing_file', { file }, `the file before it is not there: ${previous.file}`);
    else if (at === undefined)
      fault('cut_file', { file: previous.file }, `the line that ${file} was started after is not there any more`);
    else if (at < before.lines)
      warn(
        'lines_after_next_start',
        { file: previous.file, line: at + 1 },
        `written after ${file} was started: a second gateway on this folder, or added later`,
      );
  }
}

async function beginningOf(folder: string, file: string): Promise<Beginning> {
  const first = await readLines(folder, file).next();
  const record = first.done === true ? undefined : readLine(first.value.bytes);
  if (record?.type !== 'start') return { torn: [] };
  const { previous } = record;
  return {
    ...(isNamed(previous) && { previous: { file: previous.file, digest: previous.digest } }),
    torn: Array.isArray(record.torn) ? record.torn.filter(isTear) : [],
  };
}

function isNamed(value: unknown): value is { readonly file: string; readonly digest: string } {
  if (typeof value !== 'object' || value === null) return false;
  const { file, digest } = value as Readonly<Record<string, unknown>>;
  return typeof file === 'string' && isAuditFile(file) && typeof digest === 'string';
}

function isTear(value: unknown): value is TornTail & { readonly file: string } {
  return isNamed(value) && 'bytes' in value && typeof value.bytes === 'number';
}
