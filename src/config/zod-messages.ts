// What zod says about a file, as sentences that say what to write. No sentence repeats a value, which may be a secret in
// the wrong place.

import { z } from 'zod';
import type { Fault } from '../settings/faults.ts';
import { suggest } from '../settings/suggestions.ts';
import { isReserved } from './unsupported.ts';

type Issue = z.core.$ZodIssue;

/** One fault per issue; a set of unknown keys becomes one fault each. */
export function faultsOf({ issues }: z.ZodError): readonly Fault[] {
  return issues.flatMap((issue): Fault[] => {
    const path = issue.path.filter((step): step is string | number => typeof step !== 'symbol');
    if (issue.code === 'unrecognized_keys') {
      const known = keysBeside.get(issue.keys) ?? [];
      return issue.keys.map((key) => ({
        path: [...path, key],
        message: `There is no such key here. ${suggest(key, 'Keys', known)}`,
      }));
    }
    return [{ path, message: sentence(issue) }];
  });
}

/** The keys that an object with unknown ones may have. zod keeps the list of the unknown ones as it is. */
const keysBeside = new WeakMap<readonly string[], readonly string[]>();

/** For `safeParse(…, { error: explain })`: sentences where the schema has none of its own. */
export const explain: z.core.$ZodErrorMap = (issue) => {
  switch (issue.code) {
    case 'invalid_type':
      return issue.input === undefined
        ? `This key is required. Write ${article(issue.expected)}.`
        : `Write ${article(issue.expected)}.`;
    case 'invalid_value': {
      const names = issue.values.map(String);
      return issue.input === undefined ? `This key is required. Write ${oneOf(names)}.` : `Write ${oneOf(names)}.`;
    }
    case 'unrecognized_keys':
      if (issue.inst instanceof z.ZodObject) keysBeside.set(issue.keys, Object.keys(issue.inst.shape));
      return undefined;
    case 'invalid_union':
      return issue.discriminator === undefined ? undefined : whichOf(issue, issue.discriminator);
    case 'too_small':
      if (issue.origin === 'array')
        return `Write at least ${issue.minimum === 1 ? 'one entry' : `${issue.minimum} entries`}.`;
      return issue.origin === 'string' ? 'Write a text that is not empty.' : `Write ${issue.minimum} or more.`;
    case 'too_big':
      return issue.origin === 'string'
        ? `Write at most ${issue.maximum} characters.`
        : `Write ${issue.maximum} or less.`;
    default:
      return undefined;
  }
};

/** The key that says which one of several shapes an entry has, `type` for example. */
function whichOf({ inst, input }: z.core.$ZodRawIssue<z.core.$ZodIssueInvalidUnion>, key: string): string {
  const shapes = inst instanceof z.ZodDiscriminatedUnion ? inst.options.filter((shape) => !isReserved(shape)) : [];
  const names = shapes.flatMap((shape) => [...(shape._zod.propValues?.[key] ?? [])].map(String));
  const written = (input as Readonly<Record<string, unknown>>)[key];
  return written === undefined
    ? `This key is required. Write ${oneOf(names)}.`
    : `There is no such \`${key}\`. ${suggest(written, 'Write one of', names)}`;
}

const oneOf = (names: readonly string[]): string => {
  const quoted = names.map((name) => `\`${name}\``);
  return quoted.length < 2 ? quoted.join('') : `${quoted.slice(0, -1).join(', ')} or ${quoted.at(-1)}`;
};

const NAMES: Readonly<Record<string, string>> = {
  object: 'a map of keys',
  record: 'a map of keys',
  array: 'a list',
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: '`true` or `false`',
};
const article = (expected: string): string => NAMES[expected] ?? expected;

function sentence(issue: Issue): string {
  if (issue.code === 'invalid_key') return issue.issues.map(({ message }) => message).join(' ');
  return /[.?]$/.test(issue.message) ? issue.message : `${issue.message}.`;
}
