// Decodes stretches of a body in every way that could hide a secret: escapes resolved, base64 and hex decoded, lists of
// numbers as bytes, zero bytes removed (which turns UTF-16 and UTF-32 into Latin-1). A decoder can also say which bytes
// of the source a decoded byte came from; this is asked only where something was found. Otherwise most of the work is
// done by the runtime, because it runs over whole bodies.

import { isHex, type ReadUnit } from './escapes.ts';

/** Where decoded byte i came from: the source bytes from `starts[i]` up to `ends[i]`. */
export interface Origins {
  readonly starts: number[];
  readonly ends: number[];
}

/** Decodes one stretch of the source. */
export type Decoder = (bytes: Buffer, start: number, end: number, origins?: Origins) => Buffer;

/** Resolves the escapes that begin with this byte; everything else stays as it is. */
export function unescaping(lead: number, read: ReadUnit): Decoder {
  return (bytes, start, end, origins) => {
    // UTF-8 never takes more bytes than the escape of its code point, but for `&#1` and the like.
    const out = Buffer.allocUnsafe((end - start) * 2 + 4);
    let length = 0;
    const keep = (from: number, to: number): void => {
      length += bytes.copy(out, length, from, to);
      if (origins !== undefined) for (let at = from; at < to; at++) note(origins, at, at + 1);
    };
    let from = start;
    for (let at = nextByte(bytes, lead, start, end); at !== -1; at = nextByte(bytes, lead, at, end)) {
      const unit = read(bytes, at);
      if (unit === undefined) {
        at += 1;
        continue;
      }
      if (at > from) keep(from, at);
      const { value, isByte, length: taken } = unit;
      const before = length;
      if (value >= 0 && (isByte || value < 0x80)) out[length++] = value;
      else if (value >= 0x80) length += out.write(String.fromCodePoint(Math.min(value, 0x10ffff)), length, 'utf8');
      if (origins !== undefined) for (let i = before; i < length; i++) note(origins, at, at + taken);
      at += taken;
      from = at;
    }
    if (end > from) keep(from, end);
    return out.subarray(0, length);
  };
}

function note({ starts, ends }: Origins, start: number, end: number): void {
  starts.push(start);
  ends.push(end);
}

const NEAR = 16;

/** As `indexOf`, up to an end. A call into the runtime costs more than some bytes of looking. */
export function nextByte(bytes: Buffer, byte: number, from: number, end: number): number {
  const near = Math.min(end, from + NEAR);
  for (let at = from; at < near; at++) if (bytes[at] === byte) return at;
  const at = near < end ? bytes.indexOf(byte, near) : -1;
  return at < end ? at : -1;
}

/** Without its zero bytes: ASCII and Latin-1 in UTF-16 or UTF-32 of either order. */
export const withoutZeros: Decoder = (bytes, start, end, origins) => {
  const out = Buffer.allocUnsafe(end - start);
  let length = 0;
  for (let at = start; at < end; at++) {
    const byte = bytes[at] as number;
    if (byte === 0) continue;
    out[length++] = byte;
    // The zero that belongs to it, in little-endian order.
    if (origins !== undefined) note(origins, at, bytes[at + 1] === 0 ? at + 2 : at + 1);
  }
  return out.subarray(0, length);
};

const BASE64 = new Uint8Array(256);
for (const char of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_') BASE64[char.charCodeAt(0)] = 1;

/** Of base64 or of base64url. */
export const isBase64 = (byte: number): boolean => BASE64[byte] === 1;

/** Base64 and base64url over line ends, whose groups of four begin `skip` characters after the start. */
export function base64(skip: number): Decoder {
  return (bytes, start, end, origins) => {
    const decoded = Buffer.from(bytes.toString('latin1', start + skip, end), 'base64');
    if (origins !== undefined) {
      const places: number[] = [];
      for (let at = start + skip; at < end; at++) if (isBase64(bytes[at] as number)) places.push(at);
      for (let i = 0; i < decoded.length; i++)
        note(
          origins,
          places[Math.floor((i * 8) / 6)] as number,
          (places[Math.ceil((i * 8 + 8) / 6) - 1] as number) + 1,
        );
    }
    return decoded;
  };
}

/**
 * Pairs of hex digits without anything between them, but perhaps hyphens; `skip` characters come before the first pair.
 */
export function hex(skip: number): Decoder {
  return (bytes, start, end, origins) => {
    const text = bytes.toString('latin1', start + skip, end);
    const decoded = Buffer.from(text.includes('-') ? text.replaceAll('-', '') : text, 'hex');
    if (origins !== undefined) {
      const places: number[] = [];
      for (let at = start + skip; at < end; at++) if (bytes[at] !== 0x2d) places.push(at);
      for (let i = 0; i < decoded.length; i++)
        note(origins, places[2 * i] as number, (places[2 * i + 1] as number) + 1);
    }
    return decoded;
  };
}

/**
 * Numbers with something between them, as bytes: `[116,111,107]`, `74 6f 6b`, `0x74, 0x6f`. Of a number the last bits
 * count.
 */
export function numbers(radix: 10 | 16): Decoder {
  return (bytes, start, end, origins) => {
    const out = Buffer.allocUnsafe(((end - start) >> 1) + 1);
    let length = 0;
    let from = -1;
    let value = 0;
    for (let at = start; at <= end; at++) {
      const byte = at < end ? (bytes[at] as number) : 0;
      if (isHex(byte) || byte === 0x78 || byte === 0x58) {
        if (from === -1) from = at;
        // `0x` begins anew.
        value = isHex(byte) ? value * radix + digitOf(byte) : 0;
      } else if (from !== -1) {
        out[length++] = value;
        if (origins !== undefined) note(origins, from, at);
        from = -1;
        value = 0;
      }
    }
    return out.subarray(0, length);
  };
}

const digitOf = (byte: number): number => (byte < 0x3a ? byte - 0x30 : (byte & 0xdf) - 0x37);
