// Finds a secret in a body, as it is or in up to four nested encodings. It looks for the bytes of the secret, surveys
// which parts of the body could decode to something else, decodes those parts, and looks again. Results are places in
// the body as it came. The survey does not visit every byte: the runtime searches for the bytes that begin an escape,
// and samples are taken as far apart as a secret is long.

import { isAscii } from 'node:buffer';
import {
  base64,
  type Decoder,
  hex,
  isBase64,
  nextByte,
  numbers,
  type Origins,
  unescaping,
  withoutZeros,
} from './decoders.ts';
import { ESCAPES, isHex } from './escapes.ts';

export interface FoundSpan {
  readonly start: number;
  readonly end: number;
}

/** Every place where one of the secrets stands, in order, none overlapping another. */
export type Find = (bytes: Buffer) => readonly FoundSpan[];

/** JSON in JSON, and that once more; base64 of a URL inside a JSON text. */
const NESTINGS = 4;
/** A line of base64 that is shorter than this is not taken to go on after a line end. */
export const WRAPPED_LINE = 32;
/** How many bytes may stand between two numbers of one list. */
export const LONGEST_GAP = 24;

const FAMILIES = [...ESCAPES].map(([lead, read]) => ({ lead, read, decode: unescaping(lead, read) }));
const BASE64: readonly Decoder[] = [0, 1, 2, 3].map(base64);
const HEX: readonly Decoder[] = [0, 1].map(hex);
const NUMBERS: readonly Decoder[] = [numbers(10), numbers(16)];

interface Candidate extends FoundSpan {
  readonly decode: Decoder;
}

export function createFind(needles: readonly Buffer[]): Find {
  const lengths = needles.map(({ length }) => length);
  const shortest = Math.min(...lengths);
  // Between two escapes of one secret stands a part of it, perhaps in hex, and perhaps twice.
  const reach = Math.max(...lengths) * 4 + 16;
  const inForms = bytesOfForms(needles);
  const onlyAscii = needles.every((needle) => isAscii(needle) || !isPrintable(needle));

  function find(bytes: Buffer, nestings: number): FoundSpan[] {
    const spans: FoundSpan[] = [];
    if (bytes.length < shortest) return spans;
    for (const needle of needles) {
      for (let at = bytes.indexOf(needle); at !== -1; at = bytes.indexOf(needle, at + needle.length))
        spans.push({ start: at, end: at + needle.length });
    }
    // Every other form of a secret is text, so what decodes to noise needs no survey.
    if (nestings === 0 || (onlyAscii && !hasText(bytes, shortest))) return spans;
    for (const { decode, start, end } of survey(bytes)) {
      const inner = find(decode(bytes, start, end), nestings - 1);
      if (inner.length === 0) continue;
      const origins: Origins = { starts: [], ends: [] };
      decode(bytes, start, end, origins);
      for (const span of inner)
        spans.push({ start: origins.starts[span.start] as number, end: origins.ends[span.end - 1] as number });
    }
    return spans;
  }

  /** The parts of a body that could hold a secret in another form than its own. */
  function survey(bytes: Buffer): readonly Candidate[] {
    const candidates: Candidate[] = [];
    for (const family of FAMILIES) addEscapes(candidates, bytes, family, reach, inForms);
    addRuns(candidates, bytes, shortest);
    addNumbers(candidates, bytes, shortest);
    if (bytes.includes(0)) addWide(candidates, bytes, shortest);
    return candidates;
  }

  return (bytes) => (needles.length === 0 ? [] : merged(find(bytes, NESTINGS)));
}

function merged(spans: FoundSpan[]): readonly FoundSpan[] {
  if (spans.length < 2) return spans;
  spans.sort((a, b) => a.start - b.start || b.end - a.end);
  const kept: FoundSpan[] = [];
  for (const span of spans) {
    const last = kept.at(-1);
    if (last === undefined || span.start >= last.end) kept.push(span);
    else if (span.end > last.end) kept[kept.length - 1] = { start: last.start, end: span.end };
  }
  return kept;
}

/** What stands near the escapes of one family; near ones share one candidate. */
function addEscapes(
  candidates: Candidate[],
  bytes: Buffer,
  { lead, read, decode }: (typeof FAMILIES)[number],
  reach: number,
  inForms: Uint8Array,
): void {
  const { length } = bytes;
  let start = -1;
  let last = -1;
  const close = (): void => {
    if (start !== -1) candidates.push({ decode, start, end: Math.min(length, last + reach) });
  };
  for (let at = nextByte(bytes, lead, 0, length); at !== -1; at = nextByte(bytes, lead, at + 1, length)) {
    const unit = read(bytes, at);
    if (unit === undefined || !matters(unit.value, bytes, at, inForms)) continue;
    if (start === -1 || at - last > 2 * reach) {
      close();
      start = Math.max(0, at - reach);
    }
    last = at;
    // All that is near is part of the candidate anyhow.
    at += reach >> 1;
  }
  close();
}

/** The bytes that any form of a secret may hold, but for what separates lines and numbers. */
function bytesOfForms(needles: readonly Buffer[]): Uint8Array {
  const table = new Uint8Array(256);
  for (let byte = 0; byte < 256; byte++) if (isBase64(byte)) table[byte] = 1;
  for (const byte of Buffer.from('\\%&#;={}\0')) table[byte] = 1;
  for (const needle of needles) if (isPrintable(needle)) for (const byte of needle) table[byte] = 1;
  return table;
}

/** Whether an escape of this value could stand inside a secret: the quotes of a JSON text in a JSON text cannot. */
function matters(value: number, bytes: Buffer, at: number, inForms: Uint8Array): boolean {
  if (value < 0 || value > 0xff || inForms[value] === 1) return value <= 0xff || inForms[0xff] === 1;
  if ((value === 0x0a || value === 0x0d) && (bytes[at - 1] === 0x3d || at - startOfRun(bytes, at) >= WRAPPED_LINE))
    return true;
  const before = bytes[at - 1] ?? 0;
  return isSeparator(value) && (isHex(before) || before === 0x2c);
}

function startOfRun(bytes: Buffer, end: number): number {
  let start = end;
  while (start > 0 && isBase64(bytes[start - 1] as number)) start--;
  return start;
}

/** A secret as it is written, and not what it encodes. */
function isPrintable(needle: Buffer): boolean {
  return needle.every((byte) => byte >= 0x20 && byte !== 0x7f && (byte < 0x80 || byte >= 0xa0));
}

/** Whether so many bytes of ASCII stand in a row. */
function hasText(bytes: Buffer, shortest: number): boolean {
  for (let at = shortest - 1; at < bytes.length; at += shortest) {
    if ((bytes[at] as number) >= 0x80) continue;
    let start = at;
    while (start > 0 && at - start < shortest && (bytes[start - 1] as number) < 0x80) start--;
    let end = at + 1;
    while (end < bytes.length && end - start < shortest && (bytes[end] as number) < 0x80) end++;
    if (end - start >= shortest) return true;
  }
  return false;
}

/**
 * Runs of base64, and of hex, that are long enough. A run as long as the secret covers one of the places that are
 * looked at.
 */
function addRuns(candidates: Candidate[], bytes: Buffer, shortest: number): void {
  const shortestRun = Math.ceil((shortest * 4) / 3);
  for (let at = Math.min(shortest, bytes.length) - 1; at < bytes.length; at += shortest) {
    if (!isBase64(bytes[at] as number)) continue;
    const start = startOfRun(bytes, at);
    const end = endOfRun(bytes, start, at);
    if (end - start >= shortestRun) addRun(candidates, bytes, start, end, shortest);
    at = Math.max(at, end - 1);
  }
}

/** Where the run ends, over the ends of long lines. */
function endOfRun(bytes: Buffer, start: number, at: number): number {
  let line = start;
  for (let end = at; ; ) {
    while (end < bytes.length && isBase64(bytes[end] as number)) end++;
    const next = end - line < WRAPPED_LINE ? -1 : nextLine(bytes, end);
    if (next === -1) return end;
    line = next;
    end = next;
  }
}

/** Where the next line's text begins when a line ends here and the next one begins with base64; else -1. */
function nextLine(bytes: Buffer, at: number): number {
  let next = bytes[at] === 0x0d ? at + 1 : at;
  if (bytes[next] !== 0x0a) return -1;
  do next++;
  while (bytes[next] === 0x20 || bytes[next] === 0x09);
  return isBase64(bytes[next] ?? 0) ? next : -1;
}

function addRun(candidates: Candidate[], bytes: Buffer, start: number, end: number, shortest: number): void {
  for (const decode of BASE64) candidates.push({ decode, start, end });
  // Hex is base64 text too; `74-6f-6b` as .NET writes it as well.
  const isDigit = (at: number): boolean => isHex(bytes[at] as number) || bytes[at] === 0x2d;
  for (let at = start + 2 * shortest - 1; at < end; at += 2 * shortest) {
    if (!isDigit(at)) continue;
    let from = at;
    while (from > start && isDigit(from - 1)) from--;
    while (at < end && isDigit(at)) at++;
    if (at - from >= 2 * shortest) for (const decode of HEX) candidates.push({ decode, start: from, end: at });
  }
}

/** Lists of short numbers: at least as many as the shortest secret has bytes. */
function addNumbers(candidates: Candidate[], bytes: Buffer, shortest: number): void {
  for (let at = Math.min(2 * shortest, bytes.length) - 1; at < bytes.length; at += 2 * shortest) {
    const word = wordAt(bytes, at);
    if (word === undefined) continue;
    const back = walk(bytes, word, -1);
    const on = walk(bytes, word, 1);
    if (back.count + on.count > shortest)
      for (const decode of NUMBERS) candidates.push({ decode, start: back.start, end: on.end });
    at = Math.max(at, on.end);
  }
}

/** The number at a place, or the one after the gap there. */
function wordAt(bytes: Buffer, at: number): FoundSpan | undefined {
  let start = at;
  while (start < bytes.length && start - at < LONGEST_GAP && isSeparator(bytes[start] as number)) start++;
  for (let before = 0; before < 4 && start > 0 && isBase64(bytes[start - 1] as number); before++) start--;
  const end = endOfWord(bytes, start);
  return isNumber(bytes, start, end) ? { start, end } : undefined;
}

function endOfWord(bytes: Buffer, start: number): number {
  let end = start;
  while (end < bytes.length && end - start < 5 && isBase64(bytes[end] as number)) end++;
  return end;
}

/** From number to number in one direction: how many there are, itself counted, and the last of them. */
function walk(bytes: Buffer, from: FoundSpan, step: 1 | -1): FoundSpan & { readonly count: number } {
  let { start, end } = from;
  for (let count = 1; ; count++) {
    const edge = step === 1 ? end : start - 1;
    let far = edge;
    while (far >= 0 && far < bytes.length && Math.abs(far - edge) < LONGEST_GAP && isSeparator(bytes[far] as number))
      far += step;
    let limit = far;
    while (limit >= 0 && limit < bytes.length && Math.abs(limit - far) < 5 && isBase64(bytes[limit] as number))
      limit += step;
    const [nextStart, nextEnd] = step === 1 ? [far, limit] : [limit + 1, far + 1];
    const [gapStart, gapEnd] = step === 1 ? [end, nextStart] : [nextEnd, start];
    if (!isNumber(bytes, nextStart, nextEnd) || !isGap(bytes, gapStart, gapEnd)) return { start, end, count };
    start = nextStart;
    end = nextEnd;
  }
}

/** `116`, `74`, `0x74`. */
export function isNumber(bytes: Buffer, start: number, end: number): boolean {
  const isPrefixed =
    end - start === 4 && bytes[start] === 0x30 && (bytes[start + 1] === 0x78 || bytes[start + 1] === 0x58);
  if (start >= end || (!isPrefixed && end - start > 3)) return false;
  for (let at = isPrefixed ? start + 2 : start; at < end; at++) if (!isHex(bytes[at] as number)) return false;
  return true;
}

function isSeparator(byte: number): boolean {
  return byte === 0x20 || byte === 0x2c || byte === 0x0a || byte === 0x3a || byte === 0x09 || byte === 0x0d;
}

/** What stands between two numbers of one list: a comma, a colon or a blank; a line end only after a comma. */
export function isGap(bytes: Buffer, start: number, end: number): boolean {
  if (end - start > LONGEST_GAP || start === end) return false;
  const comma = bytes[start] === 0x2c;
  for (let at = start; at < end; at++) {
    const byte = bytes[at];
    if (byte === 0x20 || byte === 0x09 || (at === start && (byte === 0x2c || byte === 0x3a))) continue;
    if (comma && (byte === 0x0a || byte === 0x0d)) continue;
    return false;
  }
  return true;
}

/** Stretches in which every second byte or more is zero. */
function addWide(candidates: Candidate[], bytes: Buffer, shortest: number): void {
  let start = -1;
  let last = -1;
  let count = 0;
  const close = (): void => {
    if (count >= shortest - 1)
      candidates.push({ decode: withoutZeros, start: Math.max(0, start - 1), end: Math.min(bytes.length, last + 2) });
  };
  for (let at = nextByte(bytes, 0, 0, bytes.length); at !== -1; at = nextByte(bytes, 0, at + 1, bytes.length)) {
    if (start === -1 || at - last > 2) {
      close();
      start = at;
      count = 0;
    }
    last = at;
    count += 1;
  }
  close();
}
