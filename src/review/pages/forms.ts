// Forms of the console, read strictly: one content type, bounded, each field once. Refuses everything else
// (unsupported_media_type, payload_too_large, bad_request).

import { GatewayError } from '../../errors.ts';
import { readBody } from '../ballot.ts';

/** Bytes: the longest reason in any script, percent-encoded, and a passkey's answer. */
const FORM_LIMIT = 64 * 1024;

export type FormFields = ReadonlyMap<string, string>;

export async function readForm(request: Request): Promise<FormFields> {
  const type = request.headers.get('content-type') ?? '';
  if (!/^application\/x-www-form-urlencoded(?:\s*;\s*charset=utf-8)?$/i.test(type)) {
    throw new GatewayError('unsupported_media_type', 'The console takes its own forms.');
  }
  const fields = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(Buffer.from(await readBody(request, FORM_LIMIT)).toString('utf8'))) {
    if (fields.has(name)) throw new GatewayError('bad_request', 'The form has a field twice.');
    fields.set(name, value);
  }
  return fields;
}

/**
 * What a page of this console looks like: segments of unreserved characters, none of them empty (RFC 3986 section 2.3).
 */
const PAGE_PATH = /^\/(?:[\w.~-]+\/)*[\w.~-]*$/;

/**
 * A path of this console to go back to; for any other text the inbox. Judges the path as a browser would resolve it.
 */
export function localPath(to: string | undefined, origin: string): string {
  if (to === undefined || !/^\/(?![/\\])[\x21-\x7e]*$/.test(to) || !URL.canParse(to, origin)) return '/';
  const { pathname, search, origin: target } = new URL(to, origin);
  return target === origin && PAGE_PATH.test(pathname) ? pathname + search : '/';
}
