// Strict JSON: what two parsers could read differently is refused, so that what was decided on is what the upstream
// reads. JSON.parse decides the grammar and makes the value; this file refuses what JSON.parse lets pass: duplicate
// keys, numbers that lose digits, lone surrogates, `__proto__`, a byte order mark, invalid UTF-8 and deep nesting.
// Nothing installed or well kept does all of it.

import { GatewayError } from '../errors.ts';
import type { Json, JsonObject } from './json.ts';
import { hasTwins } from './normal-forms/keys.ts';
import { survivesAsDouble } from './normal-forms/numbers.ts';

export interface JsonLimits {
  /** Deepest nesting of arrays and objects. Default 64. */
  readonly depth?: number;
}

const DEFAULT_DEPTH = 64;
/** Keeps a byte order mark in the text, where JSON.parse refuses it. */
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;

/**
 * Parses one JSON text (RFC 8259) that also keeps to I-JSON (RFC 7493): unique keys, numbers that mean the same to
 * every reader (normal-forms/numbers.ts), well-formed strings. Objects are plain, and a key `__proto__` is refused, so
 * nothing can be polluted by copying them. Throws `bad_json`.
 */
export function parseStrictJson(bytes: Uint8Array, limits: JsonLimits = {}): Json {
  const text = decode(bytes);
  // First, because JSON.parse takes a third of a second for a megabyte of opening brackets.
  const members = scan(text, limits.depth ?? DEFAULT_DEPTH);
  const value = parse(text);
  // In valid JSON each colon outside strings is one member. JSON.parse keeps only the last of equal keys and drops what
  // hung on the others, so there are fewer members in the value than in the text exactly when some key was written
  // twice.
  if (check(value) !== members) throw refusal('An object in the JSON body has the same key twice.');
  return value;
}

/**
 * As `parseStrictJson`, for a text that an upstream reads as well: keys that it could take for one another are refused.
 * Throws `bad_json`.
 */
export function parseSharedJson(bytes: Uint8Array): Json {
  const value = parseStrictJson(bytes);
  refuseTwins(value);
  return value;
}

/** Refuses an object with two keys that some server takes for one (normal-forms/keys.ts). Throws `bad_json`. */
export function refuseTwins(value: Json): void {
  if (typeof value !== 'object' || value === null) return;
  if (!Array.isArray(value) && hasTwins(Object.keys(value))) {
    throw refusal(
      'An object in the JSON body has two keys that some servers take for one: they differ in letter case, ' +
        'width, or characters that are not seen.',
    );
  }
  // By key and not as a list of values: that takes twice the time in an object of very many members.
  if (Array.isArray(value)) for (const item of value) refuseTwins(item as Json);
  else for (const key of Object.keys(value)) refuseTwins((value as JsonObject)[key] as Json);
}

function decode(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw refusal('The JSON body is not UTF-8.');
  }
}

function parse(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    // The engine's message quotes the body: it is not passed on.
    throw refusal('The body is not one JSON text.');
  }
}

/**
 * Checks depth and numbers and counts members. Exact for valid JSON; for other texts it only has to end, since
 * JSON.parse refuses them.
 */
function scan(text: string, maxDepth: number): number {
  let members = 0;
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === QUOTE) i = endOfString(text, i);
    else if (code === COLON) members++;
    else if (code === 0x7b || code === 0x5b) {
      if (++depth > maxDepth) throw refusal('The JSON body is nested too deeply.');
    } else if (code === 0x7d || code === 0x5d) depth--;
    else if (code === 0x2d || (code >= 0x30 && code <= 0x39)) i = checkNumber(text, i) - 1;
  }
  return members;
}

/** Index of the closing quote of the string that opens at `start`. */
function endOfString(text: string, start: number): number {
  for (let i = start + 1; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === QUOTE) return i;
    if (code === BACKSLASH) i++;
  }
  return text.length;
}

/** Checks the number that begins at `start`; returns the index behind it. */
function checkNumber(text: string, start: number): number {
  let end = start + 1;
  let integer = true;
  let exponent = false;
  for (; end < text.length; end++) {
    const code = text.charCodeAt(end);
    if (code >= 0x30 && code <= 0x39) continue;
    if (code === 0x2e) integer = false;
    else if (code === 0x2b || code === 0x2d || code === 0x65 || code === 0x45) exponent = true;
    else break;
  }
  // Fifteen digits always survive (IEEE 754); without a sign it cannot be -0.
  if (!exponent && end - start <= (integer ? 15 : 16) && text.charCodeAt(start) !== 0x2d) return end;
  if (!survivesAsDouble(text.slice(start, end)))
    throw refusal('A number in the JSON body does not survive a round trip as an IEEE double.');
  return end;
}

/** Checks every string and key of a value whose depth is known to be bounded; returns its number of members. */
function check(value: Json): number {
  if (typeof value === 'string') checkText(value);
  if (typeof value !== 'object' || value === null) return 0;
  let members = 0;
  if (Array.isArray(value)) {
    for (const item of value as readonly Json[]) members += check(item);
    return members;
  }
  for (const key of Object.keys(value)) {
    checkText(key);
    if (key === '__proto__') throw refusal('A key in the JSON body is __proto__.');
    members += 1 + check((value as JsonObject)[key] as Json);
  }
  return members;
}

function checkText(text: string): void {
  if (!text.isWellFormed()) throw refusal('A string in the JSON body has a lone surrogate.');
}

function refusal(detail: string): GatewayError {
  return new GatewayError('bad_json', detail);
}
