// A call's arguments in short: the first few short ones in full, and the size of the others. Made once, when the call
// is held, so that a list need not read bodies to show one line for each call.

import { isJsonObject, type Json } from './json.ts';

/** A value that is named whole, or only how large it is. */
export type GistValue =
  | { readonly value: string | number | boolean | null }
  | { readonly characters: number }
  | { readonly items: number }
  | { readonly members: number };

export type Gist =
  | { readonly entries: readonly (readonly [name: string, value: GistValue])[]; readonly more: number }
  | { readonly items: number }
  | { readonly single: GistValue };

const NAMED = 4;
const LONGEST_NAMED = 60;
const LONGEST_NAME = 200;

export function gistOf(value: Json): Gist {
  if (Array.isArray(value)) return { items: value.length };
  if (!isJsonObject(value)) return { single: inShort(value) };
  const all = Object.entries(value);
  const named = all.slice(0, NAMED).filter(([name]) => name.length <= LONGEST_NAME);
  return { entries: named.map(([name, each]) => [name, inShort(each)] as const), more: all.length - named.length };
}

function inShort(value: Json): GistValue {
  if (typeof value === 'string') return value.length <= LONGEST_NAMED ? { value } : { characters: value.length };
  if (Array.isArray(value)) return { items: value.length };
  return isJsonObject(value) ? { members: Object.keys(value).length } : { value: value as number | boolean | null };
}
