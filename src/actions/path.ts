// Request targets: origin-form only, and only spellings that every server behind the gateway reads the same way.
// Trusts nothing; refuses rather than normalises, so the string that rules match is the string that is forwarded.
// Refuses escaped letters, digits, `-`, `.` and `_` (RFC 3986 section 6.2.2.2), which nobody sends without a purpose.

import { GatewayError } from '../errors.ts';
import { formOverridesMethod } from './override.ts';

export interface CheckedTarget {
  /** First segment of the path, without slashes; '' for `/`. */
  readonly mount: string;
  /** What follows the mount, starting with `/`. `/tools` and `/tools/` both have `/` here: rules see one root. */
  readonly path: string;
  /** Without `?`; '' for a bare `?`; undefined when there is none. */
  readonly query?: string;
}

const SLASH = 0x2f;
const DOT = 0x2e;
const PERCENT = 0x25;

/** pchar of RFC 3986 section 3.3 without `;`, plus `/`: 1 where a path may have the character as it is. */
const PATH_CHARS = table("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,=:@/");
/** unreserved of RFC 3986 section 2.3, which is never escaped; without `~`, which form encoders escape. */
const UNRESERVED = table('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._');
/** Escaped, these are read as separators by some servers and as data by others. */
const SEPARATORS = table('/\\%;');
const HEX = table('0123456789ABCDEFabcdef');

function table(chars: string): Uint8Array {
  const flags = new Uint8Array(256);
  for (const char of chars) flags[char.charCodeAt(0)] = 1;
  return flags;
}

/**
 * Takes an origin-form request target (RFC 9112 section 3.2.1) apart and checks both halves.
 * Throws `bad_path`.
 */
export function checkTarget(target: string): CheckedTarget {
  const mark = target.indexOf('?');
  const whole = mark < 0 ? target : target.slice(0, mark);
  checkPath(whole);
  const end = whole.indexOf('/', 1);
  const mount = end < 0 ? whole.slice(1) : whole.slice(1, end);
  const path = end < 0 ? '/' : whole.slice(end);
  if (mark < 0) return { mount, path };
  const query = target.slice(mark + 1);
  checkQuery(query);
  return { mount, path, query };
}

/**
 * What stays of a checked target after its mount, exactly as received: '' for `/tools`, `/` for `/tools/`, `/a?b` for
 * `/tools/a?b`. This is what is appended to the upstream's base path.
 */
export function afterMount(target: string, mount: string): string {
  return target.slice(mount.length + 1);
}

/**
 * Refuses ambiguous paths with `bad_path`: not starting with `/`, empty segments, segments of dots only, path
 * parameters (`;`), backslashes, fragments, raw characters outside pchar, bad escapes, escaped separators, escaped
 * unreserved characters, and escaped text that is not UTF-8 or that turns into ASCII, controls or nothing when it is
 * normalised.
 */
function checkPath(path: string): void {
  if (path.charCodeAt(0) !== SLASH) throw refusal('The request target is not a path that starts with a slash.');
  let segmentLength = 0;
  // True for an empty segment as well.
  let dotsOnly = true;
  let beyondAscii = false;
  for (let i = 1; i < path.length; i++) {
    const code = path.charCodeAt(i);
    if (code === SLASH) {
      if (dotsOnly) throw refusal('The path has an empty segment, or one made of dots.');
      segmentLength = 0;
      dotsOnly = true;
      continue;
    }
    segmentLength++;
    if (code === PERCENT) {
      const byte = escapedByte(path, i);
      checkEscapedPathByte(byte);
      if (byte >= 0x80) beyondAscii = true;
      if (byte !== 0x20) dotsOnly = false;
      i += 2;
    } else if (PATH_CHARS[code] !== 1) {
      throw refusal('The path has a character that has to be percent-encoded, or that is not accepted.');
    } else if (code !== DOT) dotsOnly = false;
  }
  if (segmentLength > 0 && dotsOnly) throw refusal('The path has a segment made of dots.');
  if (beyondAscii) checkBeyondAscii(path);
}

/**
 * Refuses queries with `bad_path`: raw controls, spaces, bytes beyond ASCII, `#`, bad escapes, escaped controls other
 * than tab and line ends, escaped text that is not UTF-8, and parameters by which frameworks let a caller override the
 * method.
 */
function checkQuery(query: string): void {
  let escapes = false;
  let beyondAscii = false;
  for (let i = 0; i < query.length; i++) {
    const code = query.charCodeAt(i);
    if (code === PERCENT) {
      const byte = escapedByte(query, i);
      if (isControl(byte) && byte !== 0x09 && byte !== 0x0a && byte !== 0x0d)
        throw refusal('The query has an escaped control character.');
      if (byte >= 0x80) beyondAscii = true;
      escapes = true;
      i += 2;
    } else if (code <= 0x20 || code >= 0x7f || code === 0x23) {
      throw refusal('The query has a character that is not accepted; percent-encode it.');
    }
  }
  if (beyondAscii) decodeUtf8(query);
  if ((escapes || /method|verb/i.test(query)) && formOverridesMethod(query))
    throw refusal('A parameter would override the method.');
}

function escapedByte(text: string, at: number): number {
  if (HEX[text.charCodeAt(at + 1)] !== 1 || HEX[text.charCodeAt(at + 2)] !== 1)
    throw refusal('A percent sign is not followed by two hexadecimal digits.');
  return Number.parseInt(text.slice(at + 1, at + 3), 16);
}

function checkEscapedPathByte(byte: number): void {
  if (isControl(byte)) throw refusal('The path has an escaped control character.');
  if (SEPARATORS[byte] === 1) throw refusal('The path has an escaped separator.');
  if (UNRESERVED[byte] === 1) throw refusal('The path escapes a character that needs no escape.');
}

function isControl(byte: number): boolean {
  return byte < 0x20 || byte === 0x7f;
}

const BEYOND_ASCII = /[^\0-\x7f]/gu;
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;
const SOME_ASCII = /[\0-\x7f]/;

/**
 * `%EF%BC%8E` (fullwidth full stop) and its like become ASCII in servers that normalise; zero-width characters become
 * nothing.
 */
function checkBeyondAscii(path: string): void {
  const text = decodeUtf8(path);
  if (INVISIBLE.test(text)) throw refusal('The path has an invisible or control character.');
  for (const [char] of text.matchAll(BEYOND_ASCII)) {
    if (SOME_ASCII.test(char.normalize('NFKC')))
      throw refusal('The path has a character that some servers read as an ASCII character.');
  }
}

/** decodeURIComponent is strict: it throws on overlong forms, surrogates and cut sequences. */
function decodeUtf8(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw refusal('The escapes in the request target are not UTF-8.');
  }
}

function refusal(detail: string): GatewayError {
  return new GatewayError('bad_path', detail);
}
