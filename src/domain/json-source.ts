// JSON that is changed in places and otherwise goes on as it was written. JSON.parse and JSON.stringify alone would
// turn 12345678901234567890 into 12345678901234567000 and 1.0 into 1; here a value that was not changed is copied from
// its text, byte by byte. Trusts that a text was parsed by JSON.parse. Values are never changed in place: `edited`
// makes the changed copy, and remembers what it is a copy of.

import { isJsonObject, type Json, type JsonObject } from './json.ts';

/** Where a value stands in a text. The outer ends take in the white space around it. */
interface SourcePlace {
  readonly text: string;
  readonly from: number;
  readonly to: number;
  readonly start: number;
  readonly end: number;
}

type Container = JsonObject | readonly Json[];

const places = new WeakMap<Container, SourcePlace>();
const sources = new WeakMap<Container, Container>();

const isContainer = (value: Json | undefined): value is Container => typeof value === 'object' && value !== null;

/** Parses one JSON text, and remembers it for `writeJson`. Throws SyntaxError. */
export function parseWithSource(text: string): Json {
  const value = JSON.parse(text) as Json;
  if (isContainer(value))
    places.set(value, {
      text,
      from: 0,
      to: text.length,
      start: skipSpace(text, 0),
      end: trimmedEnd(text, text.length),
    });
  return value;
}

/**
 * Finds the text of what is in a parsed value, so many levels deep: what is taken out of the value is then written as
 * it was, too.
 */
export function locate(value: Json, levels: number): void {
  if (levels === 0 || !isContainer(value)) return;
  if (isJsonObject(value)) membersOf(value);
  else itemsOf(value as readonly Json[]);
  for (const child of Object.values(value)) locate(child as Json, levels - 1);
}

/** A copy with other members: what is undefined is left out. */
export function edited(source: JsonObject, changes: Readonly<Record<string, Json | undefined>>): JsonObject {
  const copy: JsonObject = Object.fromEntries(
    Object.entries({ ...source, ...changes }).filter((entry): entry is [string, Json] => entry[1] !== undefined),
  );
  sources.set(copy, source);
  return copy;
}

/**
 * A copy of the value, of everything in it too: of keys that a text gives twice only those are written that were read.
 */
export function rewritten(value: JsonObject): JsonObject {
  const anew = (child: Json): Json =>
    isJsonObject(child) ? rewritten(child) : Array.isArray(child) ? (child as readonly Json[]).map(anew) : child;
  return edited(value, Object.fromEntries(Object.entries(value).map(([key, child]) => [key, anew(child)])));
}

/** The JSON text of a value, with the text of all that was parsed by `parseWithSource` and not edited since. */
export function writeJson(value: Json): string {
  if (!isContainer(value)) return JSON.stringify(value);
  const place = places.get(value);
  if (place !== undefined) return place.text.slice(place.start, place.end);
  const source = sourceOf(value);
  if (isJsonObject(value))
    return source !== undefined && isJsonObject(source) ? writeEdited(value, source) : writeObject(value);
  return `[${(value as readonly Json[]).map(writeItem).join(',')}]`;
}

/** What was parsed, behind any number of copies. */
function sourceOf(value: Container): Container | undefined {
  let source = sources.get(value);
  while (source !== undefined && !places.has(source)) source = sources.get(source);
  return source;
}

function writeObject(value: JsonObject): string {
  return `{${Object.entries(value)
    .map(([key, member]) => `${JSON.stringify(key)}:${writeJson(member)}`)
    .join(',')}}`;
}

/** In an array white space is kept around what is copied, as in an object. */
function writeItem(item: Json): string {
  const place = isContainer(item) ? places.get(item) : undefined;
  return place === undefined ? writeJson(item) : place.text.slice(place.from, place.to);
}

function writeEdited(value: JsonObject, source: JsonObject): string {
  const members = membersOf(source);
  const kept = [...members].flatMap(([key, member]) => {
    const [before, after] = [source[key], Object.hasOwn(value, key) ? value[key] : undefined];
    if (after === undefined) return [];
    const { text, from, to, start, end } = member;
    if (Object.is(before, after)) return [text.slice(from, to)];
    const written =
      Array.isArray(before) && Array.isArray(after)
        ? writeList(after as readonly Json[], before as readonly Json[])
        : writeJson(after);
    return [text.slice(from, start) + written + text.slice(end, to)];
  });
  const added = Object.keys(value).flatMap((key) =>
    members.has(key) ? [] : [`${JSON.stringify(key)}:${writeJson(value[key] as Json)}`],
  );
  return `{${[...kept, ...added].join(',')}}`;
}

function writeList(list: readonly Json[], source: readonly Json[]): string {
  const items = itemsOf(source);
  const written = list.map((item, index) => {
    const place = list.length === source.length ? items[index] : undefined;
    const before = source[index] as Json;
    if (place === undefined) return writeItem(item);
    if (Array.isArray(item) && Array.isArray(before))
      return item === before ? writeItem(item) : writeList(item as readonly Json[], before as readonly Json[]);
    return isContainer(item) || !Object.is(item, before) ? writeItem(item) : place.text.slice(place.from, place.to);
  });
  return `[${written.join(',')}]`;
}

/**
 * The members of a parsed object, by key, in the order of the text; of a key that stands twice the last, as JSON.parse
 * has it.
 */
function membersOf(object: JsonObject): ReadonlyMap<string, SourcePlace> {
  const members = new Map<string, SourcePlace>();
  const place = places.get(object);
  if (place === undefined) return members;
  const { text, end } = place;
  for (let at = place.start + 1; skipSpace(text, at) < end - 1; ) {
    const keyStart = skipSpace(text, at);
    const keyEnd = endOfString(text, keyStart);
    const start = skipSpace(text, text.indexOf(':', keyEnd) + 1);
    const valueEnd = endOfValue(text, start);
    const to = skipSpace(text, valueEnd);
    const key = String(JSON.parse(text.slice(keyStart, keyEnd)));
    members.delete(key);
    members.set(key, { text, from: at, to, start, end: valueEnd });
    at = to + 1;
  }
  for (const [key, { start, end: to }] of members) {
    const child = object[key];
    if (isContainer(child)) places.set(child, { text, from: start, to, start, end: to });
  }
  return members;
}

/** The items of a parsed list, in their order. */
function itemsOf(list: readonly Json[]): readonly SourcePlace[] {
  const place = places.get(list);
  const items: SourcePlace[] = [];
  if (place === undefined) return items;
  const { text } = place;
  let at = place.start + 1;
  for (const item of list) {
    const start = skipSpace(text, at);
    const end = endOfValue(text, start);
    const found = { text, from: at, to: skipSpace(text, end), start, end };
    items.push(found);
    if (isContainer(item)) places.set(item, found);
    at = found.to + 1;
  }
  return items;
}

const [QUOTE, BACKSLASH, COMMA] = [0x22, 0x5c, 0x2c];
const [OPEN_OBJECT, OPEN_LIST, CLOSE_OBJECT, CLOSE_LIST] = [0x7b, 0x5b, 0x7d, 0x5d];

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
}

function skipSpace(text: string, from: number): number {
  let at = from;
  while (at < text.length && isSpace(text.charCodeAt(at))) at++;
  return at;
}

function trimmedEnd(text: string, from: number): number {
  let end = from;
  while (end > 0 && isSpace(text.charCodeAt(end - 1))) end--;
  return end;
}

/** The index behind the string that opens at `start`. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end !== -1; end = text.indexOf('"', end + 1)) {
    let first = end;
    while (text.charCodeAt(first - 1) === BACKSLASH) first--;
    if ((end - first) % 2 === 0) return end + 1;
  }
  return text.length;
}

/** The index behind the value that begins at `start`. */
function endOfValue(text: string, start: number): number {
  let depth = 0;
  for (let at = start; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      at = endOfString(text, at) - 1;
      if (depth === 0) return at + 1;
    } else if (code === OPEN_OBJECT || code === OPEN_LIST) depth++;
    else if (code === CLOSE_OBJECT || code === CLOSE_LIST) {
      if (depth === 0) return trimmedEnd(text, at);
      if (--depth === 0) return at + 1;
    } else if (code === COMMA && depth === 0) return trimmedEnd(text, at);
  }
  return trimmedEnd(text, text.length);
}
