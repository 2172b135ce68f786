// One call on the wire: turns the events of undici into an answer in the agent's sink. Small answers of known length
// are collected and written at once. Everything else is passed on as it comes, and a slow agent slows the upstream
// down. Trusts neither side: the head is filtered, interim answers are swallowed, an upgrade that nobody asked for is
// refused. A failure before the agent has a byte goes to the caller; after that the sink ends what it has begun.

import { isAscii } from 'node:buffer';
import type { IncomingHttpHeaders } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Dispatcher } from 'undici';
import type { HeaderList } from '../domain/headers.ts';
import type { Outgoing, ResponseSink, Sent } from '../domain/upstream.ts';
import { asGatewayError, GatewayError } from '../errors.ts';
import type { AnswerSource } from './answer-addresses.ts';
import { contentDecoder, decodedFields } from './content-coding.ts';
import { type Progress, upstreamFault } from './faults.ts';
import { answerHead } from './response-headers.ts';
import type { BodyScrub, Scrubber } from './scrub/scrubber.ts';

/** Answers with a declared length up to this are written in one piece, bytes. */
const COLLECTED_BYTES = 64 * 1024;
/** Interim answers (RFC 9110 section 15.2) that one call may bring; each of them starts the head's timeout anew. */
const INTERIM_ANSWERS = 16;

export interface ExchangeOptions {
  readonly method: string;
  readonly sink: ResponseSink;
  /** Fields of the gateway's own on the answer. */
  readonly responseHeaders: HeaderList;
  readonly scrubber: Scrubber | undefined;
  readonly mayStream: Outgoing['mayStream'];
  readonly mustRead: boolean;
  readonly source: AnswerSource;
  /** Called exactly once. */
  ended(error: GatewayError | undefined, sent: Sent | undefined): void;
}

/** A class, because undici calls these methods on one object per call, on the hot path. */
export class Exchange implements Dispatcher.DispatchHandler {
  readonly #options: ExchangeOptions;
  #progress: Progress = 'waiting';
  #over = false;
  #controller: Dispatcher.DispatchController | undefined;
  #status = 0;
  #interim = 0;
  #headers: string[] = [];
  #scrubWhole = false;
  #stream: BodyScrub | undefined;
  #decoder: Duplex | undefined;
  #chunks: Buffer[] = [];

  constructor(options: ExchangeOptions) {
    this.#options = options;
  }

  /**
   * Ends the call from this side: the connection to the upstream is closed, and a call that still waits for one is
   * never sent.
   */
  abort(reason: GatewayError): void {
    if (this.#over) return;
    this.#end(upstreamFault(reason, this.#progress));
    this.#decoder?.destroy();
    this.#controller?.abort(reason);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#over)
      controller.abort(new GatewayError('client_closed', 'The agent went away before the call was sent.'));
    else this.#progress = 'sent';
  }

  onResponseStarted(): void {
    if (this.#progress === 'sent') this.#progress = 'answering';
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, fields: IncomingHttpHeaders): void {
    if (this.#over) return;
    if (status >= 100 && status < 200) {
      this.#swallow(status);
      return;
    }
    if (status < 200 || status > 599)
      throw new GatewayError('upstream_protocol', 'The upstream answered with a status that HTTP does not have.');
    const { method, scrubber, responseHeaders, source } = this.#options;
    const { headers, length, streamsEvents, codings } = answerHead(fields, responseHeaders, scrubber, source);
    const bodyless = method === 'HEAD' || status === 204 || status === 304;
    const scrubs = scrubber?.scrubsBodies === true && !bodyless && length !== 0;
    const decodes = (scrubs || (this.#options.mustRead && !bodyless)) && codings.length > 0;
    this.#status = status;
    this.#headers = headers;
    if (bodyless || (length !== undefined && length <= COLLECTED_BYTES && !streamsEvents && !decodes)) {
      // RFC 9110 section 8.6: a 204 has no length; that of a HEAD or 304 is the upstream's word on a body that does not
      // come.
      if (bodyless && length !== undefined && status !== 204) headers.push('content-length', String(length));
      this.#scrubWhole = scrubs;
      this.#progress = 'collecting';
      return;
    }
    if (streamsEvents) this.#options.mayStream?.();
    if (scrubs) this.#stream = scrubber.stream(length !== undefined && !decodes);
    if (decodes) {
      this.#headers = decodedFields(headers);
      this.#decoder = this.#decode(codings);
      return;
    }
    if (length !== undefined) headers.push('content-length', String(length));
    this.#begin();
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#over) return;
    if (this.#progress === 'collecting') {
      this.#chunks.push(chunk);
      return;
    }
    if (this.#decoder === undefined) {
      this.#deliver(
        chunk,
        () => controller.pause(),
        () => controller.resume(),
      );
    } else if (!this.#decoder.write(chunk)) {
      controller.pause();
      this.#decoder.once('drain', () => controller.resume());
    }
  }

  /** Trailers are dropped: nothing was decided on them. */
  onResponseEnd(): void {
    if (this.#over) return;
    if (this.#decoder !== undefined) this.#decoder.end();
    else if (this.#progress === 'collecting') {
      this.#writeWhole();
      this.#end(undefined);
    } else this.#finish();
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (this.#over) return;
    this.#fail(error);
  }

  #fail(error: unknown): void {
    const { sink } = this.#options;
    const fault = upstreamFault(error, this.#progress);
    if (sink.started) sink.abort(fault);
    this.#decoder?.destroy();
    this.#end(fault);
  }

  /**
   * What has to be read, or searched for a secret, is decoded first. A part of an encoded body cannot be, nor what
   * nobody here can decode.
   */
  #decode(codings: readonly string[]): Duplex {
    const decoder = this.#status === 206 ? undefined : contentDecoder(codings);
    if (decoder === undefined) {
      throw new GatewayError(
        'upstream_protocol',
        'The upstream’s answer is encoded in a way that cannot be read here.',
      );
    }
    const failed = (error: unknown): void => {
      if (this.#over) return;
      this.#fail(error);
      this.#controller?.abort(asGatewayError(error));
    };
    /** What a sink throws reaches undici out of its own callbacks alone. */
    const guarded = (work: () => void): void => {
      try {
        work();
      } catch (thrown) {
        failed(thrown);
      }
    };
    decoder.on('data', (piece: Buffer) =>
      guarded(() => {
        // Only now is it known that it decodes to something.
        this.#begin();
        const [pause, resume] = [() => void decoder.pause(), () => void decoder.resume()];
        this.#deliver(piece, pause, resume);
      }),
    );
    decoder.on('end', () =>
      guarded(() => {
        this.#begin();
        this.#finish();
      }),
    );
    decoder.on('error', failed);
    return decoder;
  }

  #begin(): void {
    if (this.#over || this.#progress === 'streaming') return;
    this.#progress = 'streaming';
    this.#options.sink.head(this.#status, this.#headers);
  }

  #deliver(chunk: Buffer, pause: () => void, resume: () => void): void {
    if (this.#over) return;
    const piece = this.#stream === undefined ? chunk : this.#stream.push(chunk);
    if (piece.length === 0 || this.#options.sink.write(piece)) return;
    pause();
    this.#options.sink.onDrain(resume);
  }

  #finish(): void {
    if (this.#over) return;
    const rest = this.#stream?.flush();
    if (rest !== undefined && rest.length > 0) this.#options.sink.write(rest);
    this.#options.sink.end();
    this.#end(undefined);
  }

  #swallow(status: number): void {
    if (status === 101)
      throw new GatewayError('upstream_protocol', 'The upstream switched protocols without being asked.');
    if (++this.#interim > INTERIM_ANSWERS)
      throw new GatewayError('upstream_protocol', 'The upstream sends interim answers without end.');
  }

  #writeWhole(): void {
    const { sink, scrubber } = this.#options;
    const [only = NOTHING] = this.#chunks;
    const raw = this.#chunks.length <= 1 ? only : Buffer.concat(this.#chunks);
    const body = this.#scrubWhole && scrubber !== undefined ? scrubber.whole(raw) : raw;
    const bodyless = this.#status === 204 || this.#status === 304 || this.#options.method === 'HEAD';
    if (!bodyless) this.#headers.push('content-length', String(body.length));
    // ASCII is the same bytes in every encoding that a sink might write a string in, and a string shares one socket
    // write with the head.
    sink.whole(this.#status, this.#headers, isAscii(body) ? body.toString('latin1') : body);
  }

  #end(error: GatewayError | undefined): void {
    this.#over = true;
    this.#decoder?.destroy();
    this.#options.ended(error, error === undefined ? { status: this.#status, complete: true } : undefined);
  }
}

const NOTHING = Buffer.alloc(0);
