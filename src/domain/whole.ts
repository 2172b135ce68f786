// Whether a held action can be shown whole. What cannot be shown whole is not approved: not on a page, not in a
// terminal.

import { sha256 } from './canonical.ts';

/** What of a held call is needed to tell. */
export interface ShownBody {
  readonly bodyText?: string | undefined;
  readonly bodyLength: number;
  readonly bodyDigest: string;
}

/** A sentence when the text that is shown is not what the digest was made over; undefined when it is. */
export function whyNotWhole(action: ShownBody): string | undefined {
  const body = Buffer.from(action.bodyText ?? '', 'utf8');
  if (body.length !== action.bodyLength)
    return `The body has ${action.bodyLength} bytes, but ${body.length} are shown.`;
  if (body.length > 0 && sha256(body) !== action.bodyDigest)
    return 'The body that is shown is not the body that was hashed.';
  return undefined;
}
