// IPv4 addresses inside IPv6 addresses. A translator or tunnel delivers to the inner address, so the guard judges both.

import { isIPv6 } from 'node:net';

/**
 * The IPv4 addresses that an IPv6 address may be delivered to; none for others. IPv4-mapped ones are left to BlockList,
 * which knows them.
 */
export function embeddedAddresses(address: string): readonly string[] {
  const bytes = isIPv6(address) ? bytesOf(address) : undefined;
  if (bytes === undefined) return [];
  const at = (offset: number): string => [...bytes.subarray(offset, offset + 4)].join('.');
  const starts = (...prefix: readonly number[]): boolean => prefix.every((byte, i) => bytes[i] === byte);
  // RFC 6052 section 2.2: in prefixes of 48, 56 and 64 bits byte 8 is left out.
  const around = (before: readonly number[], after: readonly number[]): string =>
    [...before, ...after].map((i) => bytes[i]).join('.');
  const found: string[] = [];
  // IPv4-compatible (RFC 4291 section 2.5.5.1), which :: and ::1 are not, and IPv4-translated (SIIT, RFC 2765:
  // ::ffff:0:a.b.c.d).
  const zeros = [0, 0, 0, 0, 0, 0, 0, 0];
  if (starts(...zeros, 0, 0, 0, 0) && !starts(...zeros, 0, 0, 0, 0, 0, 0, 0)) found.push(at(12));
  if (starts(...zeros, 0xff, 0xff, 0, 0)) found.push(at(12));
  // NAT64, well-known (RFC 6052), and for local use (RFC 8215) in every place that an operator may have chosen.
  if (starts(0x00, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0)) found.push(at(12));
  if (starts(0x00, 0x64, 0xff, 0x9b, 0, 1))
    found.push(at(12), around([6, 7], [9, 10]), around([7], [9, 10, 11]), at(9));
  // 6to4 (RFC 3056), Teredo (RFC 4380: the server plain, the client inverted), ISATAP (RFC 5214).
  if (starts(0x20, 0x02)) found.push(at(2));
  if (starts(0x20, 0x01, 0, 0)) found.push(at(4), [...bytes.subarray(12)].map((byte) => byte ^ 0xff).join('.'));
  if (bytes[8] !== undefined && (bytes[8] & 0xfd) === 0 && bytes[9] === 0 && bytes[10] === 0x5e && bytes[11] === 0xfe)
    found.push(at(12));
  return found;
}

/** Sixteen bytes. The URL parser knows every spelling. */
function bytesOf(address: string): Uint8Array {
  const [head = '', tail] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::');
  const groups = (text: string | undefined): number[] =>
    text ? text.split(':').map((group) => Number.parseInt(group, 16)) : [];
  const [before, after] = [groups(head), groups(tail)];
  const all = [...before, ...Array.from({ length: 8 - before.length - after.length }, () => 0), ...after];
  return Uint8Array.from(all.flatMap((group) => [group >> 8, group & 0xff]));
}
