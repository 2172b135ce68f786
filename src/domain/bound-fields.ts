// The header fields that an approval binds wherever they come, and that a held call forwards: content negotiation,
// conditions, ranges, `Idempotency-Key`, `Mcp-*`. An upstream's configuration adds others. All names in lower case.

import { isListed } from './headers.ts';

/** A second one is refused. */
export const BOUND_ONCE =
  'content-type content-encoding idempotency-key if-modified-since if-unmodified-since range if-range last-event-id';
/** Lists, which may come in several fields. */
export const BOUND_LISTS = 'accept accept-language content-language if-match if-none-match prefer';

const BOUND: ReadonlySet<string> = new Set(`${BOUND_ONCE} ${BOUND_LISTS}`.split(' '));

export function isBoundField(name: string, extra: readonly string[]): boolean {
  return BOUND.has(name) || name.startsWith('mcp-') || isListed(extra, name);
}
