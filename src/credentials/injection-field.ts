// Which header fields a credential may be put into: none that changes where a message goes or where it ends
// (RFC 9110 section 7.6.1, RFC 9112 section 6).

const FORBIDDEN_FIELDS = new Set([
  'host',
  'content-length',
  'transfer-encoding',
  'connection',
  'keep-alive',
  'te',
  'trailer',
  'upgrade',
  'expect',
]);

/** `name` in lower case. */
export function isInjectable(name: string): boolean {
  return /^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(name) && !FORBIDDEN_FIELDS.has(name);
}
