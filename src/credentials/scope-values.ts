// Reads strictly what rules and the configuration say about a narrower credential: lists of names, and members that a
// provider knows. Refuses everything else with a sentence that names the member, never its value.

import type { JsonObject } from '../domain/json.ts';
import { unavailable } from './broker-provider.ts';

/** Throws `credential_unavailable` when the rule narrows by a member that the provider does not know. */
export function refuseUnknown(scope: JsonObject, known: readonly string[]): void {
  if (Object.keys(scope).some((key) => !known.includes(key))) {
    throw unavailable(`The rule narrows the credential by a member other than ${known.join(', ')}.`);
  }
}

/** A text as a list of one, a list of texts as it is; each must match `shape`. Undefined when the member is absent. */
export function readNames(scope: JsonObject, member: string, shape: RegExp): readonly string[] | undefined {
  const value = scope[member];
  if (value === undefined) return undefined;
  const list = typeof value === 'string' ? [value] : value;
  if (!Array.isArray(list) || list.length === 0) throw unfit(member);
  return list.map((name) => {
    if (typeof name !== 'string' || !shape.test(name)) throw unfit(member);
    return name;
  });
}

/** One text that matches `shape`. Undefined when the member is absent. */
export function readName(scope: JsonObject, member: string, shape: RegExp): string | undefined {
  const value = scope[member];
  if (value === undefined) return undefined;
  if (typeof value !== 'string' || !shape.test(value)) throw unfit(member);
  return value;
}

export function unfit(member: string): Error {
  return unavailable(`The rule gives ${member} in a form that cannot be asked for.`);
}

export function tooMuch(member: string): Error {
  return unavailable(`The rule asks for more ${member} than the credential is configured with.`);
}
