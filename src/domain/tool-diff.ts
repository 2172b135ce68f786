// What changed between two definitions of a tool, member by member at any depth: `- path: before`, `+ path: after`.

import { isJsonObject, type Json, type JsonObject } from './json.ts';

export function toolDiff(before: JsonObject, after: JsonObject): readonly string[] {
  return [...changes('', before, after)];
}

function* changes(path: string, before: Json | undefined, after: Json | undefined): Generator<string> {
  if (isJsonObject(before) && isJsonObject(after)) {
    for (const name of new Set([...Object.keys(before), ...Object.keys(after)])) {
      yield* changes(path === '' ? name : `${path}.${name}`, own(before, name), own(after, name));
    }
  } else if (JSON.stringify(before) !== JSON.stringify(after)) {
    if (before !== undefined) yield `- ${path}: ${JSON.stringify(before)}`;
    if (after !== undefined) yield `+ ${path}: ${JSON.stringify(after)}`;
  }
}

const own = (object: JsonObject, name: string): Json | undefined =>
  Object.hasOwn(object, name) ? object[name] : undefined;
