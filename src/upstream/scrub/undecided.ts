// How much at the end of a streamed body could belong to a secret that goes on in the next chunk: the last word in the
// widest sense, back to the first byte that no form of a secret has. Lines, events and JSON values that are complete
// leave at once; a word that is not waits.

import { CR, EQUALS, LF } from './bytes.ts';
import { isBase64 } from './decoders.ts';
import { isHex } from './escapes.ts';
import { isGap, isNumber, LONGEST_GAP, WRAPPED_LINE } from './find.ts';

/** What nested escapes make of one byte, such as `&#X00005C;&#X000075;&#X000030;…`. */
const WIDEST_ESCAPED = 100;
/** The same in a word without an escape: hex with hyphens of one escape, such as `26-23-58-30-30-30-30-37-34-3B`. */
const WIDEST_PLAIN = 36;
const SLACK = 256;

const PLAIN = 1;
const ESCAPED = 2;

/** Gives a function that says from where on the end of a body is undecided; the length when nothing is. */
export function undecidedFrom(secrets: readonly string[]): (bytes: Buffer) => number {
  const texts = secrets.flatMap((secret) => [Buffer.from(secret, 'utf8'), Buffer.from(secret, 'latin1')]);
  const longest = Math.max(0, ...texts.map(({ length }) => length));
  const wordly = new Uint8Array(256);
  for (let byte = 0; byte < 256; byte++) if (isBase64(byte)) wordly[byte] = PLAIN;
  for (const text of texts) for (const byte of text) wordly[byte] = PLAIN;
  for (const byte of Buffer.from('\\%&#;=\0')) wordly[byte] = ESCAPED;

  return (bytes) => {
    const bounds = [longest * WIDEST_PLAIN, longest * WIDEST_ESCAPED].map((most) =>
      Math.max(0, bytes.length - most - SLACK),
    );
    let least = bounds[0] as number;
    let from = bytes.length;
    for (;;) {
      const end = from;
      while (from > least) {
        const kind = wordly[bytes[from - 1] as number];
        if (kind === 0) break;
        if (kind === ESCAPED) least = bounds[1] as number;
        from--;
      }
      const before = beforeGap(bytes, from, end, least);
      if (before === from || before <= least) return Math.max(before, least);
      least = bounds[1] as number;
      from = before;
    }
  };
}

/** Where the text before ends when what stands here may still be one with it; `at` itself when it may not. */
function beforeGap(bytes: Buffer, at: number, end: number, least: number): number {
  if (at === least) return at;
  const last = bytes[at - 1] as number;
  // `\u{3d}`: the braces belong to the escape.
  if (last === 0x7d || last === 0x7b) return beforeBrace(bytes, at);
  let gap = at;
  while (gap > least && at - gap < LONGEST_GAP && isBlank(bytes[gap - 1] as number)) gap--;
  if (gap === at) return at;
  if (isWrap(bytes, gap, at, least)) return gap;
  const isOpen = at === end || isNumber(bytes, at, end) || isHalfANumber(bytes, at, end);
  const start = wordBefore(bytes, gap, least);
  return isOpen && start < gap && isNumber(bytes, start, gap) && isGap(bytes, gap, at) ? gap : at;
}

function beforeBrace(bytes: Buffer, at: number): number {
  let open = at - 1;
  if (bytes[open] === 0x7d) while (open > 0 && isHex(bytes[open - 1] as number)) open--;
  if (bytes[at - 1] === 0x7d) open--;
  return bytes[open] === 0x7b && bytes[open - 1] === 0x75 && bytes[open - 2] === 0x5c ? open - 2 : at;
}

function isBlank(byte: number): boolean {
  return byte === 0x20 || byte === 0x09 || byte === LF || byte === CR || byte === 0x2c || byte === 0x3a;
}

/**
 * A line end after a long line of base64, with the next line’s indentation; or the soft line break of quoted-printable.
 */
function isWrap(bytes: Buffer, gap: number, at: number, least: number): boolean {
  let next = bytes[gap] === CR ? gap + 1 : gap;
  // The second half of a CR LF may still be on its way.
  if (next < at && bytes[next] !== LF) return false;
  next++;
  while (next < at && (bytes[next] === 0x20 || bytes[next] === 0x09)) next++;
  if (next < at) return false;
  if (bytes[gap - 1] === EQUALS) return true;
  return gap - wordBefore(bytes, gap, least) >= WRAPPED_LINE;
}

/** `0x` and `0x7` of a number that goes on. */
function isHalfANumber(bytes: Buffer, at: number, end: number): boolean {
  return end - at < 4 && bytes[at] === 0x30 && (bytes[at + 1] === 0x78 || bytes[at + 1] === 0x58);
}

function wordBefore(bytes: Buffer, end: number, least: number): number {
  let start = end;
  while (start > least && isBase64(bytes[start - 1] as number)) start--;
  return start;
}
