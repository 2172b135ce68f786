// Takes the content coding off an answer that has to be read on its way: to judge its messages, or to look for a secret in it. The upstream is
// asked for none (`accept-encoding: identity`), and some servers compress all the same. Works as the pieces come, off the main thread.
// Refuses codings it does not know, what does not decode, and what grows past all measure.

import type { Transform } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate, createInflateRaw, createZstdDecompress } from 'node:zlib';
import type { HeaderList } from '../domain/headers.ts';
import { GatewayError } from '../errors.ts';

/** What may come out whatever went in, bytes, and how many times as much as went in may come out beyond that. */
const ALWAYS_BYTES = 16 * 1024 * 1024;
const MOST_GROWTH = 64;
/** Codings on top of each other. */
const MOST_CODINGS = 2;

export interface DecodedBody {
  /** Takes the next piece; false asks for a pause until the callback of `onDrain`. */
  push(chunk: Buffer): boolean;
  onDrain(callback: () => void): void;
  /** All pieces were given. */
  end(): void;
  /** No more pieces come out. */
  destroy(): void;
  /** The reader of what comes out can take more again. */
  resume(): void;
}

export interface DecodedReader {
  /** A piece of the plain body; false asks for a pause until `resume`. */
  piece(chunk: Buffer): boolean;
  end(): void;
  /** Called at most once, and nothing after it. */
  failed(error: GatewayError): void;
}

type Coding = 'gzip' | 'deflate' | 'br' | 'zstd';
const NAMES: Readonly<Record<string, Coding>> = { gzip: 'gzip', 'x-gzip': 'gzip', deflate: 'deflate', br: 'br', zstd: 'zstd' };

/** The codings of an answer, in the order in which they were applied. Throws `upstream_protocol` for one that is not known here. */
export function codingsOf(headers: HeaderList, isNone: (coding: string) => boolean): readonly Coding[] {
  const names = headers.flatMap((name, i) => (i % 2 === 0 && name === 'content-encoding' ? (headers[i + 1] ?? '').split(',') : []));
  const codings = names.map((name) => name.trim().toLowerCase()).filter((name) => !isNone(name));
  const known = codings.flatMap((name) => (Object.hasOwn(NAMES, name) ? [NAMES[name] as Coding] : []));
  if (known.length < codings.length || known.length > MOST_CODINGS) {
    throw new GatewayError('upstream_protocol', 'The upstream’s answer has to be read, and its content coding is not known here.');
  }
  return known;
}

/** Fields that describe the coded bytes and not what the agent gets. */
const OF_CODED = /^(content-encoding|content-length|content-digest|repr-digest|digest|content-md5)$/;

export function withoutCoding(headers: HeaderList): string[] {
  return headers.filter((_, i) => !OF_CODED.test(headers[i - (i % 2)] as string));
}

export function decodeBody(codings: readonly Coding[], reader: DecodedReader): DecodedBody {
  let stages: readonly Transform[] = [];
  let taken = 0;
  let given = 0;
  let over = false;

  const stop = (): void => {
    over = true;
    for (const stage of stages) stage.destroy();
  };
  const fail = (detail: string, cause?: unknown): void => {
    if (over) return;
    stop();
    reader.failed(new GatewayError('upstream_protocol', detail, { cause }));
  };
  const begin = (first: number): void => {
    stages = codings.toReversed().map((coding, i) => decoderOf(coding, i === 0 ? first : undefined));
    for (const stage of stages) stage.on('error', (cause) => fail('The upstream’s answer does not decode as its Content-Encoding says.', cause));
    const last = stages.reduce((from, to) => from.pipe(to));
    last.on('data', (piece: Buffer) => {
      if (over) return;
      given += piece.length;
      if (given > ALWAYS_BYTES + MOST_GROWTH * taken) fail('The upstream’s answer is far larger than its compressed form lets expect.');
      else if (!reader.piece(piece)) last.pause();
    });
    last.on('end', () => {
      if (over) return;
      over = true;
      reader.end();
    });
  };

  return {
    push(chunk) {
      if (over || chunk.length === 0) return true;
      if (stages.length === 0) begin(chunk[0] as number);
      taken += chunk.length;
      return stages[0]?.write(chunk) ?? true;
    },
    onDrain: (callback) => void stages[0]?.once('drain', callback),
    end() {
      if (over) return;
      // An empty body has no coded form.
      if (stages.length === 0) reader.end();
      else stages[0]?.end();
    },
    destroy: stop,
    resume: () => void stages.at(-1)?.resume(),
  };
}

/** `first` tells zlib's form of deflate (RFC 9110 section 8.4.1.2) from the bare one, which many servers send under the same name. */
function decoderOf(coding: Coding, first: number | undefined): Transform {
  switch (coding) {
    case 'gzip':
      return createGunzip();
    case 'br':
      return createBrotliDecompress();
    case 'zstd':
      return createZstdDecompress();
    case 'deflate':
      return first === undefined || (first & 0x0f) === 8 ? createInflate() : createInflateRaw();
  }
}
