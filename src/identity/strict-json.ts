// Reads the JSON inside tokens, key sets and bundles. Trusts nothing: refuses what two parsers could read differently,
// that is invalid UTF-8, a byte order mark, duplicate keys, lone surrogates, numbers beyond a double, deep nesting, `__proto__`.

import type { Json, JsonObject } from '../domain/json.ts';

const MAX_DEPTH = 32;

// ignoreBOM keeps the mark in the text, where JSON.parse then refuses it.
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Parses UTF-8 JSON with one meaning only. Throws SyntaxError or TypeError; their messages may quote the input and are not for callers. */
export function parseStrictJson(bytes: Uint8Array): Json {
  const text = utf8.decode(bytes);
  const value = JSON.parse(text) as Json;
  refuseAmbiguity(text);
  return value;
}

export function isJsonObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Freezes a parsed value through and through, because verified claims are shared between calls. */
export function deepFreeze<T extends Json>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    for (const child of Object.values(value)) deepFreeze(child);
    Object.freeze(value);
  }
  return value;
}

const STRING = /"(?:[^"\\]|\\.)*"/y;
const NUMBER = /-?[0-9][0-9.eE+-]*/y;
const COLON = /[ \t\r\n]*:/y;

/** Walks a text that JSON.parse has accepted, so that tokens can be found without checking the grammar again. */
function refuseAmbiguity(text: string): void {
  const scopes: (Set<string> | undefined)[] = [];
  for (let at = 0; at < text.length; ) {
    const char = text.charAt(at);
    if (char === '"') {
      const raw = take(STRING, text, at);
      at += raw.length;
      checkString(JSON.parse(raw) as string, take(COLON, text, at) === '' ? undefined : scopes.at(-1));
    } else if (char === '-' || (char >= '0' && char <= '9')) {
      const raw = take(NUMBER, text, at);
      if (!Number.isFinite(Number(raw))) throw new SyntaxError('a number is out of range');
      at += raw.length;
    } else {
      if (char === '{' || char === '[') scopes.push(char === '{' ? new Set() : undefined);
      else if (char === '}' || char === ']') scopes.pop();
      if (scopes.length > MAX_DEPTH) throw new SyntaxError('nested too deeply');
      at += 1;
    }
  }
}

function take(pattern: RegExp, text: string, at: number): string {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0] ?? '';
}

function checkString(value: string, keysSoFar: Set<string> | undefined): void {
  if (!value.isWellFormed()) throw new SyntaxError('a lone surrogate');
  if (keysSoFar === undefined) return;
  if (keysSoFar.has(value)) throw new SyntaxError('a key occurs twice');
  if (value === '__proto__') throw new SyntaxError('a key that no honest issuer uses');
  keysSoFar.add(value);
}
