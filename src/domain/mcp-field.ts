// The encoding of values in Mcp-Name and Mcp-Param-* fields (MCP 2026-07-28, Streamable HTTP, value encoding). Refuses
// every second way to write a value: base64 that is not in canonical form, bytes that are no UTF-8, and characters that
// have to be encoded and are not.

const ENCODED = /^=\?base64\?([A-Za-z0-9+/]*={0,2})\?=$/;
const PLAIN = /^[\t\x20-\x7e]*$/;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** What the field says; undefined when it is written in another way than the specification has it. */
export function decodeField(value: string): string | undefined {
  const encoded = ENCODED.exec(value)?.[1];
  if (encoded === undefined)
    return PLAIN.test(value) && !(value.startsWith('=?base64?') && value.endsWith('?=')) ? value : undefined;
  const bytes = Buffer.from(encoded, 'base64');
  if (bytes.toString('base64') !== encoded) return undefined;
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
}
