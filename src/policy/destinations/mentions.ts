// Every place that an action mentions: in its arguments, their names, its query and its bound fields. The path itself is
// none. JSON within a text is read, too. Trusts the parsed action; what was not parsed is not searched, and the caller
// has to know (destinations.ts).

import type { Action } from '../../domain/action.ts';
import { fieldPairs } from '../../domain/headers.ts';
import { parameterName, parametersOf } from '../../domain/normal-forms/parameters.ts';
import { findHosts, formsOf, type Naming, Places } from './hosts-in-texts.ts';

/** Members under which a bare dotted word is a host, by their folded names. */
const NAMING: ReadonlyMap<string, Naming> = new Map([
  ...['url', 'uri', 'href', 'host', 'hostname', 'domain', 'server', 'endpoint', 'webhook', 'callback'].map(
    (name) => [name, 'host'] as const,
  ),
  ...['to', 'cc', 'bcc', 'recipient', 'recipients', 'email', 'attendee', 'attendees'].map(
    (name) => [name, 'recipient'] as const,
  ),
]);

/** Servers drop blanks around a name, and take `url[]` for `url`. */
const namingOf = (member: string): Naming => NAMING.get(parameterName(member));

/** How deep JSON in a text in JSON is read. */
const DEEPEST_JSON = 4;

interface Part {
  readonly value: unknown;
  readonly naming: Naming;
  /** How many texts of JSON it stands in. */
  readonly depth: number;
}

/** `known`: texts that name targets. They are no mentions. */
export function findMentions({ args, query, boundHeaders }: Action, known: ReadonlySet<string>): Places {
  const places = new Places();
  if (query !== undefined)
    for (const { name, value } of parametersOf(query)) {
      findHosts(name, undefined, places);
      search({ value, naming: namingOf(name), depth: 0 }, known, places);
    }
  for (const [, value] of fieldPairs(boundHeaders)) findHosts(value, undefined, places);
  search({ value: args, naming: undefined, depth: 0 }, known, places);
  return places;
}

function search(whole: Part, known: ReadonlySet<string>, places: Places): void {
  const parts: Part[] = [whole];
  for (let part = parts.pop(); part !== undefined && !places.tooMany; part = parts.pop()) {
    const { value, naming, depth } = part;
    if (typeof value === 'string') {
      if (!known.has(value)) parts.push(...searchText(value, naming, depth, places));
    } else if (Array.isArray(value)) {
      for (const item of value) parts.push({ value: item, naming, depth });
    } else if (typeof value === 'object' && value !== null) {
      for (const [member, item] of Object.entries(value)) {
        findHosts(member, undefined, places);
        // PHP writes a list as an object with numbers for names.
        parts.push({ value: item, naming: /^\d+$/.test(member) ? naming : namingOf(member), depth });
      }
    }
  }
}

/** Searches a text, and gives the JSON in it. */
function searchText(text: string, naming: Naming, depth: number, places: Places): readonly Part[] {
  findHosts(text, naming, places);
  if (depth >= DEEPEST_JSON || !/^\s*(?:[[{"]|%5b|%7b|%22)/i.test(text)) return [];
  return formsOf(text).flatMap((form): Part[] => {
    try {
      return [{ value: JSON.parse(form), naming, depth: depth + 1 }];
    } catch {
      return [];
    }
  });
}
