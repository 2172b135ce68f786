// Reads one escaped character: of JSON, JavaScript, Python and C (`\u003d`, `\x3d`, `\075`, `\/`), of HTML and XML
// (`&#61;`, `&#x3d;`, `&equals;`), of URLs (`%3d`, `%u003d`), and of quoted-printable (`=3D`, and the soft line break).
// If any decoder takes a text for an escape, it is one here. Tables instead of regular expressions, because this runs
// over every scrubbed body.

import { AMPERSAND, BACKSLASH, CR, EQUALS, LF, PERCENT } from './bytes.ts';

/** Value of a hex digit, or 16. */
const HEX = new Uint8Array(256).fill(16);
for (const [i, digit] of [...'0123456789abcdef'].entries()) {
  HEX[digit.charCodeAt(0)] = i;
  HEX[digit.toUpperCase().charCodeAt(0)] = i;
}

export const isHex = (byte: number): boolean => (HEX[byte] as number) < 16;

const CONTROLS: Readonly<Record<string, number>> = { n: 10, r: 13, t: 9, b: 8, f: 12, v: 11, a: 7, e: 27 };

/**
 * HTML's names for ASCII characters, and those of the Latin letters that a secret may hold are left to the numeric
 * forms.
 */
const ENTITIES: ReadonlyMap<string, number> = new Map(
  (
    'amp& AMP& lt< LT< gt> GT> quot" QUOT" apos\' sol/ plus+ equals= colon: semi; comma, period. lowbar_ UnderBar_ percnt% num# dollar$ ' +
    'commat@ lpar( rpar) ast* midast* excl! quest? lsqb[ lbrack[ rsqb] rbrack] bsol\\ lcub{ lbrace{ rcub} rbrace} verbar| vert| VerticalLine| ' +
    'Hat^ grave` DiacriticalGrave`'
  )
    .split(' ')
    .map((entry) => [entry.slice(0, -1), entry.charCodeAt(entry.length - 1)]),
);
const LONGEST_NAME = 16;

/** What stands at a place. One object for all readings: nothing is allocated for a byte that is no escape. */
export interface Unit {
  /** Code point, or byte; -1 for an escape that stands for nothing (a soft line break). */
  value: number;
  /** Whether the value is a byte rather than a code point. */
  isByte: boolean;
  /** How many bytes of the source it takes. */
  length: number;
}

const unit: Unit = { value: 0, isByte: false, length: 0 };

function found(value: number, length: number, isByte: boolean): Unit {
  unit.value = value;
  unit.length = length;
  unit.isByte = isByte;
  return unit;
}

/** Reads the escape of one family at a place. The result is valid until the next call. */
export type ReadUnit = (bytes: Buffer, at: number) => Unit | undefined;

/**
 * The families by the byte that begins an escape. Each is read by itself, because what begins an escape in one is text
 * in the others: `key=ab%2F` is no quoted-printable, and the secret `a\\%aa` in a JSON text is no URL.
 */
export const ESCAPES: ReadonlyMap<number, ReadUnit> = new Map([
  [BACKSLASH, readBackslash],
  [PERCENT, readPercent],
  [AMPERSAND, readEntity],
  [EQUALS, readQuotedPrintable],
]);

/** RFC 2045 section 6.7. */
function readQuotedPrintable(bytes: Buffer, at: number): Unit | undefined {
  if (bytes[at + 1] === LF) return found(-1, 2, true);
  if (bytes[at + 1] === CR && bytes[at + 2] === LF) return found(-1, 3, true);
  const value = hexAt(bytes, at + 1, 2);
  return value === -1 ? undefined : found(value, 3, true);
}

function readBackslash(bytes: Buffer, at: number): Unit | undefined {
  const next = bytes[at + 1];
  if (next === undefined) return undefined;
  const char = String.fromCharCode(next);
  if (char === 'u' && bytes[at + 2] === 0x7b) return readBraced(bytes, at);
  if (char === 'u' || char === 'U' || char === 'x') {
    const digits = char === 'u' ? 4 : char === 'U' ? 8 : 2;
    const value = hexAt(bytes, at + 2, digits);
    return value === -1 ? undefined : found(value, digits + 2, char === 'x');
  }
  if (next >= 0x30 && next <= 0x37) return readOctal(bytes, at);
  const control = CONTROLS[char];
  if (control !== undefined) return found(control, 2, true);
  // A line that goes on in the next.
  if (next === LF) return found(-1, 2, true);
  // `\/`, `\"`, `\\`, `\=`: the character itself. A letter or digit behind a backslash is nobody's escape.
  return /[A-Za-z0-9]/.test(char) || next < 0x20 || next > 0x7e ? undefined : found(next, 2, true);
}

/** `\u{3d}` of JavaScript, Rust and Swift. */
function readBraced(bytes: Buffer, at: number): Unit | undefined {
  let end = at + 3;
  while (end < at + 9 && isHex(bytes[end] ?? 0)) end++;
  return end === at + 3 || bytes[end] !== 0x7d
    ? undefined
    : found(hexAt(bytes, at + 3, end - at - 3), end + 1 - at, false);
}

function readOctal(bytes: Buffer, at: number): Unit {
  let value = 0;
  let end = at + 1;
  for (; end < at + 4; end++) {
    const digit = (bytes[end] ?? 0) - 0x30;
    if (digit < 0 || digit > 7 || value * 8 + digit > 255) break;
    value = value * 8 + digit;
  }
  return found(value, end - at, true);
}

function readPercent(bytes: Buffer, at: number): Unit | undefined {
  const isWide = bytes[at + 1] === 0x75;
  const value = isWide ? hexAt(bytes, at + 2, 4) : hexAt(bytes, at + 1, 2);
  return value === -1 ? undefined : found(value, isWide ? 6 : 3, !isWide);
}

function readEntity(bytes: Buffer, at: number): Unit | undefined {
  return bytes[at + 1] === 0x23 ? readNumericEntity(bytes, at) : readNamedEntity(bytes, at);
}

function readNumericEntity(bytes: Buffer, at: number): Unit | undefined {
  const isHexadecimal = bytes[at + 2] === 0x78 || bytes[at + 2] === 0x58;
  const base = isHexadecimal ? 16 : 10;
  const start = at + (isHexadecimal ? 3 : 2);
  let end = start;
  let value = 0;
  for (; end < start + 10; end++) {
    const digit = HEX[bytes[end] ?? 0] as number;
    if (digit >= base) break;
    value = Math.min(value * base + digit, 0x110000);
  }
  if (end === start) return undefined;
  // Browsers do without the semicolon.
  return found(value, end - at + (bytes[end] === 0x3b ? 1 : 0), false);
}

function readNamedEntity(bytes: Buffer, at: number): Unit | undefined {
  let end = at + 1;
  while (end <= at + LONGEST_NAME && isLetter(bytes[end] ?? 0)) end++;
  if (bytes[end] !== 0x3b) return undefined;
  const value = ENTITIES.get(bytes.toString('latin1', at + 1, end));
  return value === undefined ? undefined : found(value, end + 1 - at, false);
}

function isLetter(byte: number): boolean {
  const upper = byte & 0xdf;
  return upper >= 0x41 && upper <= 0x5a;
}

/** The value of exactly so many hex digits, or -1. */
function hexAt(bytes: Buffer, at: number, digits: number): number {
  let value = 0;
  for (let i = at; i < at + digits; i++) {
    const digit = HEX[bytes[i] ?? 0] as number;
    if (digit === 16) return -1;
    value = value * 16 + digit;
  }
  return value;
}
