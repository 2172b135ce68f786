// What zod says about a file, as faults with sentences. No sentence repeats a value.

import type { z } from 'zod';
import type { Fault } from '../settings/faults.ts';

type Issue = z.core.$ZodIssue;

/** One fault per issue; a set of unknown keys becomes one fault each. */
export function faultsOf({ issues }: z.ZodError): readonly Fault[] {
  return issues.flatMap((issue): Fault[] => {
    const path = issue.path.filter((step): step is string | number => typeof step !== 'symbol');
    if (issue.code === 'unrecognized_keys')
      return issue.keys.map((key) => ({ path: [...path, key], message: 'There is no such key.' }));
    return [{ path, message: sentence(issue) }];
  });
}

/** For `safeParse(…, { error: explain })`: sentences where the schema has none of its own. */
export const explain: z.core.$ZodErrorMap = (issue) => {
  switch (issue.code) {
    case 'invalid_type':
      return issue.input === undefined ? 'This key is required.' : `Write ${article(issue.expected)}.`;
    case 'invalid_value':
      return issue.input === undefined ? 'This key is required.' : `Write ${issue.values.map(String).join(' or ')}.`;
    case 'invalid_union':
      return issue.discriminator === undefined
        ? undefined
        : `Say what ${issue.discriminator} it is, with one of the known names.`;
    case 'too_small':
      return issue.origin === 'array' || issue.origin === 'string'
        ? 'This must not be empty.'
        : `At least ${issue.minimum}.`;
    case 'too_big':
      return `At most ${issue.maximum}.`;
    default:
      return undefined;
  }
};

const NAMES: Readonly<Record<string, string>> = {
  object: 'a map of keys',
  record: 'a map of keys',
  array: 'a list',
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
};
const article = (expected: string): string => NAMES[expected] ?? expected;

function sentence(issue: Issue): string {
  if (issue.code === 'invalid_key') return issue.issues.map(({ message }) => message).join(' ');
  return issue.message.endsWith('.') ? issue.message : `${issue.message}.`;
}
