// The host that a text names, in one form for all spellings: the WHATWG URL parser decides (url.spec.whatwg.org, section
// 3.5), which knows case, Unicode and punycode, percent-encoding, and IPv4 as integer, hex, octal or short. Then a last
// dot and IPv6 around an IPv4 address are taken away. What the parser refuses names no host that could be known.

export interface HostAndPath {
  readonly host: string;
  /** Normalised, with its first slash; `/` where the text has none. Undefined where servers read different paths. */
  readonly path: string | undefined;
}

/** Characters of what is parsed at once. A longer text is read up to its path, which then counts as unknown. */
const LONGEST = 4_096;
const LONGEST_AUTHORITY = 1_024;

/** `text`: an authority and what follows it, as behind `https://`. Undefined where it names no host. */
export function readHost(text: string): HostAndPath | undefined {
  if (text.length > LONGEST) {
    const [authority = ''] = text.slice(0, LONGEST_AUTHORITY + 1).split(/[\\/?#]/, 1);
    return authority.length > LONGEST_AUTHORITY ? undefined : readHost(authority);
  }
  const url = URL.parse(`http://${text}`);
  if (url === null) return undefined;
  const [path = ''] = (text.match(/[\\/].*/s)?.[0] ?? '').split(/[?#]/, 1);
  return { host: plainHost(url.hostname), path: AMBIGUOUS.test(path) ? undefined : url.pathname };
}

/**
 * Some clients and servers decode these before they split a path, merge slashes, resolve dots, or drop what follows.
 * `/a//../b` is `/a/b` for one, and `/b` for another.
 */
const AMBIGUOUS = /%(?:2e|2f|5c|25|00)|[;\\\t\r\n]|\/\//i;

/** `::ffff:10.0.0.1` as the parser writes it (RFC 4291 section 2.5.5.2). */
const MAPPED = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/;

function plainHost(hostname: string): string {
  if (!hostname.startsWith('[')) return hostname.endsWith('.') ? hostname.slice(0, -1) : hostname;
  const address = hostname.slice(1, -1);
  const [, high, low] = MAPPED.exec(address) ?? [];
  if (high === undefined || low === undefined) return address;
  const bytes = [high, low].flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 0xff]);
  return bytes.join('.');
}
