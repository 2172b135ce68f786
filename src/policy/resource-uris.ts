// Patterns over resource URIs, as in `match.resource`. A server may resolve dot segments and escapes before it looks a
// resource up. So an allow rule matches only URIs with one possible reading; hold and deny rules match the URI as
// written and as resolved.

import { compileName, type NameMatch } from './globs.ts';

/**
 * Characters that some servers decode before they split a path: separators, dots and controls, and the backslash, which
 * some servers read as a separator.
 */
const AMBIGUOUS = /%(?:2e|2f|5c|25|[01][0-9a-f]|7f)|\\|[\0-\x20\x7f]/i;

/** Makes the comparison of URIs with one pattern; `*` stands for any text. */
export function compileResource(pattern: string, way: 'exact' | 'lenient'): NameMatch {
  const matches = compileName(pattern, way);
  if (way === 'exact') return (uri, caseSensitive) => matches(uri, caseSensitive) && isPlain(uri);
  return (uri, caseSensitive) => matches(uri, caseSensitive) || matches(resolved(uri), caseSensitive);
}

const DOT_SEGMENT = /(?:^|\/)\.{1,2}(?:[/?#]|$)/;

function isPlain(uri: string): boolean {
  return !AMBIGUOUS.test(uri) && !DOT_SEGMENT.test(uri);
}

function resolved(uri: string): string {
  try {
    return URL.parse(decodeURIComponent(uri))?.href ?? uri;
  } catch {
    return URL.parse(uri)?.href ?? uri;
  }
}
