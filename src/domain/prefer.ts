// The Prefer field (RFC 7240), as far as a held call heeds it.

import { type HeaderList, headerValues } from './headers.ts';

export interface WaitPreference {
  /** `wait=N` in milliseconds; absent when not given or not a whole number of seconds. */
  readonly waitMs?: number;
  /** `respond-async`: a 202 instead of a 409 while the call is pending. */
  readonly respondAsync: boolean;
}

const NONE: WaitPreference = { respondAsync: false };

/** The first occurrence of each preference counts (RFC 7240 section 2); unknown ones are passed over. */
export function waitPreference(headers: HeaderList): WaitPreference {
  const values = headerValues(headers, 'prefer');
  if (values.length === 0) return NONE;
  const preferences = values
    .join(',')
    .split(',')
    .map((part) => (part.split(';', 1)[0] as string).trim().toLowerCase());
  const wait = preferences.find((preference) => /^wait\s*=/.test(preference));
  const seconds = wait === undefined ? undefined : /^wait\s*=\s*"?(\d{1,6})"?$/.exec(wait)?.[1];
  const respondAsync = preferences.includes('respond-async');
  return seconds === undefined ? { respondAsync } : { respondAsync, waitMs: Number(seconds) * 1000 };
}
