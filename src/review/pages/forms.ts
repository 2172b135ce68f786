// Forms of the desk, read strictly: one content type, bounded, each field once. Refuses everything else (unsupported_media_type,
// payload_too_large, bad_request).

import { GatewayError } from '../../errors.ts';
import { readBody } from '../ballot.ts';

/** Bytes: the longest reason in any script, percent-encoded, and a passkey's answer. */
const FORM_LIMIT = 64 * 1024;

export type Fields = ReadonlyMap<string, string>;

export async function readForm(request: Request): Promise<Fields> {
  const type = request.headers.get('content-type') ?? '';
  if (!/^application\/x-www-form-urlencoded(?:\s*;\s*charset=utf-8)?$/i.test(type)) {
    throw new GatewayError('unsupported_media_type', 'The desk takes its own forms.');
  }
  const fields = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(Buffer.from(await readBody(request, FORM_LIMIT)).toString('utf8'))) {
    if (fields.has(name)) throw new GatewayError('bad_request', 'The form has a field twice.');
    fields.set(name, value);
  }
  return fields;
}

/** A path of this desk to go back to; anything else is the inbox. */
export function localPath(to: string | undefined, origin: string): string {
  if (to === undefined || !/^\/(?![/\\])[\x21-\x7e]*$/.test(to) || !URL.canParse(to, origin)) return '/';
  const url = new URL(to, origin);
  return url.origin === origin ? url.pathname + url.search : '/';
}
