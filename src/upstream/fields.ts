// What requests and answers share of HTTP fields: which fields belong to one connection only, and which bytes a value
// may have.

import type { HeaderList } from '../domain/headers.ts';

/** RFC 9110 section 7.6.1, and the older ones that some peers still send. */
export const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authentication-info',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** RFC 9110 section 5.6.2, lower case. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
/** Anything that RFC 9110 section 5.5 does not let into a value. */
const FORBIDDEN = /[^\t\x20-\x7e\x80-\xff]/;

const REMEMBERED_NAMES = 512;
const REMEMBERED_NAME_LENGTH = 64;

export function isFieldName(name: string): boolean {
  return TOKEN.test(name);
}

export function isFieldValue(value: string): boolean {
  return !FORBIDDEN.test(value);
}

/** The names that Connection fields nominate, or undefined when they say no more than keep-alive, close or upgrade. */
export function nominated(headers: HeaderList): ReadonlySet<string> | undefined {
  let names: Set<string> | undefined;
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i] !== 'connection') continue;
    for (const option of (headers[i + 1] ?? '').split(',')) {
      const name = option.trim().toLowerCase();
      if (name === '' || name === 'keep-alive' || name === 'close' || name === 'upgrade') continue;
      names ??= new Set();
      names.add(name);
    }
  }
  return names;
}

/**
 * Remembers a verdict per name, since the same few names come with every call. Bounded, because peers choose the names.
 */
export function rememberByName<T>(judge: (name: string) => T): (name: string) => T {
  const verdicts = new Map<string, T>();
  return (name) => {
    const known = verdicts.get(name);
    if (known !== undefined) return known;
    const verdict = judge(name);
    if (verdicts.size < REMEMBERED_NAMES && name.length <= REMEMBERED_NAME_LENGTH) verdicts.set(name, verdict);
    return verdict;
  };
}
