// Decodes bodies in a content coding (RFC 9110 section 8.4.1) so that they can be searched. The upstream was asked not
// to compress, and some do. How much a small body may grow is bounded. Memory use is one piece, because a slow agent
// slows the decoder down.

import { Duplex, pipeline, Transform } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from 'node:zlib';
import { keepFields } from '../domain/headers.ts';
import { GatewayError } from '../errors.ts';

const DECODERS: Readonly<Record<string, () => Duplex>> = {
  gzip: createGunzip,
  'x-gzip': createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
  zstd: createZstdDecompress,
};
/** Nobody encodes twice for a reason. */
const MOST_CODINGS = 2;
/**
 * What a body may become: so many bytes, and so many more for each encoded byte. Text compresses to a tenth, a bomb to
 * a thousandth.
 */
const FREE_BYTES = 1024 * 1024;
const LARGEST_RATIO = 200;

/** The decoder for codings in the order in which they were applied; undefined for one that is not known here. */
export function contentDecoder(codings: readonly string[]): Duplex | undefined {
  if (codings.length > MOST_CODINGS || !codings.every((coding) => Object.hasOwn(DECODERS, coding))) return undefined;
  let encoded = 0;
  const counted = new Transform({
    transform(chunk: Buffer, _encoding, callback) {
      encoded += chunk.length;
      callback(null, chunk);
    },
  });
  let decoded = 0;
  const bounded = new Transform({
    transform(chunk: Buffer, _encoding, callback) {
      decoded += chunk.length;
      if (decoded <= FREE_BYTES + LARGEST_RATIO * encoded) callback(null, chunk);
      else
        callback(
          new GatewayError(
            'upstream_protocol',
            'The upstream’s answer grows beyond every measure when it is decompressed.',
          ),
        );
    },
  });
  const decoders = codings.toReversed().map((coding) => (DECODERS[coding] as () => Duplex)());
  // Its faults reach whoever listens to the duplex.
  pipeline([counted, ...decoders, bounded], () => {});
  return Duplex.from({ writable: counted, readable: bounded });
}

/** Fields that describe the encoded body. */
const OF_THE_ENCODED: ReadonlySet<string> = new Set([
  'content-encoding',
  'content-digest',
  'repr-digest',
  'digest',
  'content-md5',
  'accept-ranges',
]);

/** The fields of an answer whose body is decoded here. */
export function decodedFields(headers: readonly string[]): string[] {
  return keepFields(headers, (name) => !OF_THE_ENCODED.has(name));
}
