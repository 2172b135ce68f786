// HTTP fields as servers take them: what a repeated field says, which name stands behind an odd spelling, and which
// content codings code anything. RFC 9110 sections 5.3 and 8.4; CGI (RFC 3875 section 4.1.18) and WSGI turn field names
// into variables, where only letters, digits and `_` are left.

/**
 * A value that stands once where equal copies were joined to a list (`X, X`), as clients and proxies do with a field
 * that they set twice. Only for values that never hold a comma themselves.
 */
export function oneOfCopies(value: string): string {
  if (!value.includes(',')) return value;
  const [first = '', ...others] = value.split(',').map((item) => item.trim());
  return others.every((item) => item === first) ? first : value;
}

const OF_HYPHENS = /^[a-z0-9-]*$/;

/** The field that a CGI-style server reads under this lower-case name: `x_agent.id` is `x-agent-id` there. */
export function plainFieldName(name: string): string {
  return OF_HYPHENS.test(name) ? name : name.replace(/[^a-z0-9-]/g, '-');
}

/**
 * Words that servers write into Content-Encoding although they code nothing: none at all, charsets, and transfer
 * encodings of mail.
 */
const NO_CODING: ReadonlySet<string> = new Set(
  ' identity none null utf-8 utf8 utf-16 us-ascii ascii iso-8859-1 latin1 unicode text plain binary 7bit 8bit'.split(
    ' ',
  ),
);

/**
 * The codings of a Content-Encoding in the order in which they were applied, lower case; words that code nothing left
 * out.
 */
export function codingsIn(contentEncoding: string): string[] {
  return contentEncoding
    .toLowerCase()
    .split(',')
    .map((coding) => coding.trim())
    .filter((coding) => !NO_CODING.has(coding));
}

/** Whether a body with this Content-Encoding is anything else than its own bytes. */
export const isCoded = (contentEncoding: string | undefined): boolean =>
  contentEncoding !== undefined && codingsIn(contentEncoding).length > 0;
