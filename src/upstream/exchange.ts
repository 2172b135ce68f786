// One call on the wire: what undici tells of it, turned into an answer in the agent's sink. Small answers of known length are collected and
// written at once, the rest goes through as it comes, and a slow agent slows the upstream down.
// Trusts neither side: the head is filtered, interim answers are swallowed, an upgrade that nobody asked for is refused. What fails before the
// agent has a byte is left to whoever called to tell; after that the agent's connection is cut.

import { isAscii } from 'node:buffer';
import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';
import type { HeaderList } from '../domain/headers.ts';
import type { Outgoing, ResponseSink, Sent } from '../domain/upstream.ts';
import { asGatewayError, GatewayError } from '../errors.ts';
import { codingsOf, type DecodedBody, decodeBody, withoutCoding } from './decoding.ts';
import { type Progress, upstreamFault } from './faults.ts';
import { answerHead, isNoCoding } from './response-headers.ts';
import type { BodyScrub, Scrubber } from './scrub.ts';

/** Answers with a declared length up to this are written in one piece, bytes. */
const COLLECTED_BYTES = 64 * 1024;
/** Interim answers (RFC 9110 section 15.2) that one call may bring; each of them starts the head's timeout anew. */
const INTERIM_ANSWERS = 16;
const TEXT =
  /^(?:text\/|multipart\/)|[/+](?:json|xml|yaml|x-yaml|toml|javascript|ecmascript|x-javascript|graphql|ndjson|x-ndjson|jsonl|json-seq|x-www-form-urlencoded)$/;

export interface ExchangeOptions {
  readonly method: string;
  readonly sink: ResponseSink;
  /** Fields of the gateway's own on the answer. */
  readonly responseHeaders: HeaderList;
  readonly scrubber: Scrubber | undefined;
  readonly mayStream: Outgoing['mayStream'];
  readonly mustRead: boolean;
  /** Called exactly once. */
  ended(error: GatewayError | undefined, sent: Sent | undefined): void;
}

/** A class, for once, because undici calls these methods on one object per call and this is the hot path. */
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
  #decoded: DecodedBody | undefined;
  #chunks: Buffer[] = [];

  constructor(options: ExchangeOptions) {
    this.#options = options;
  }

  /** Ends the call from this side: the upstream's connection is closed, a call that still waits for one is never sent. */
  abort(reason: GatewayError): void {
    if (this.#over) return;
    this.#end(upstreamFault(reason, this.#progress));
    this.#decoded?.destroy();
    this.#controller?.abort(reason);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#over) controller.abort(new GatewayError('client_closed', 'The agent went away before the call was sent.'));
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
    if (status < 200 || status > 599) throw new GatewayError('upstream_protocol', 'The upstream answered with a status that HTTP does not have.');
    const { method, scrubber, responseHeaders } = this.#options;
    const { headers, length, mediaType, encoded } = answerHead(fields, responseHeaders, scrubber);
    const bodyless = method === 'HEAD' || status === 204 || status === 304;
    const scrubs = scrubber?.scrubsBodies === true && !bodyless && length !== 0 && (mediaType === '' || TEXT.test(mediaType));
    this.#status = status;
    if (encoded && !bodyless && this.#options.mustRead) {
      this.#decode(headers, mediaType, scrubs);
      return;
    }
    if (scrubs && encoded) {
      throw new GatewayError('upstream_protocol', 'The upstream compressed a text in which its credential would have to be looked for.');
    }
    this.#headers = headers;
    if (bodyless || (length !== undefined && length <= COLLECTED_BYTES && mediaType !== 'text/event-stream')) {
      // RFC 9110 section 8.6: a 204 has no length; that of a HEAD or 304 is the upstream's word on a body that does not come.
      if (bodyless && length !== undefined && status !== 204) headers.push('content-length', String(length));
      this.#scrubWhole = scrubs;
      this.#progress = 'collecting';
      return;
    }
    if (mediaType === 'text/event-stream') this.#options.mayStream?.();
    if (scrubs) this.#stream = scrubber.stream();
    else if (length !== undefined) headers.push('content-length', String(length));
    this.#progress = 'streaming';
    this.#options.sink.head(status, headers);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#over) return;
    if (this.#decoded !== undefined) {
      if (this.#decoded.push(chunk)) return;
      controller.pause();
      this.#decoded.onDrain(() => controller.resume());
      return;
    }
    if (this.#progress === 'collecting') {
      this.#chunks.push(chunk);
      return;
    }
    if (this.#pass(chunk)) return;
    controller.pause();
    this.#options.sink.onDrain(() => controller.resume());
  }

  /** Trailers are dropped: nothing was decided on them. */
  onResponseEnd(): void {
    if (this.#over) return;
    if (this.#decoded !== undefined) this.#decoded.end();
    else this.#finish();
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (this.#over) return;
    const { sink } = this.#options;
    const fault = upstreamFault(error, this.#progress);
    if (sink.started) sink.abort(fault);
    this.#decoded?.destroy();
    this.#end(fault);
  }

  /** Has the coding taken off first. The head waits for the first plain piece: what does not decode at all can still be told. */
  #decode(headers: HeaderList, mediaType: string, scrubs: boolean): void {
    const { sink, scrubber, mayStream } = this.#options;
    const begin = (): void => {
      if (this.#progress === 'streaming') return;
      if (mediaType === 'text/event-stream') mayStream?.();
      this.#progress = 'streaming';
      sink.head(this.#status, this.#headers);
    };
    /** Out of a callback of the decoder nothing can be thrown to undici. */
    const guarded = <T>(work: () => T, otherwise: T): T => {
      try {
        return work();
      } catch (thrown) {
        this.#fail(asGatewayError(thrown));
        return otherwise;
      }
    };
    this.#decoded = decodeBody(codingsOf(headers, isNoCoding), {
      piece: (chunk) =>
        guarded(() => {
          begin();
          const flows = this.#pass(chunk);
          if (!flows) sink.onDrain(() => this.#decoded?.resume());
          return flows;
        }, true),
      end: () =>
        guarded(() => {
          begin();
          this.#finish();
        }, undefined),
      failed: (error) => this.#fail(error),
    });
    this.#progress = 'collecting';
    this.#headers = withoutCoding(headers);
    if (scrubs) this.#stream = scrubber?.stream();
  }

  /** Ends the exchange because of what came in. */
  #fail(error: GatewayError): void {
    if (this.#over) return;
    const { sink } = this.#options;
    if (sink.started) sink.abort(upstreamFault(error, this.#progress));
    this.abort(error);
  }

  /** False when the agent is slower than that. */
  #pass(chunk: Buffer): boolean {
    const piece = this.#stream === undefined ? chunk : this.#stream.push(chunk);
    return piece.length === 0 || this.#options.sink.write(piece);
  }

  #finish(): void {
    const { sink } = this.#options;
    if (this.#progress === 'collecting') this.#writeWhole();
    else {
      const rest = this.#stream?.flush();
      if (rest !== undefined && rest.length > 0) sink.write(rest);
      sink.end();
    }
    this.#end(undefined);
  }

  #swallow(status: number): void {
    if (status === 101) throw new GatewayError('upstream_protocol', 'The upstream switched protocols without being asked.');
    if (++this.#interim > INTERIM_ANSWERS) throw new GatewayError('upstream_protocol', 'The upstream sends interim answers without end.');
  }

  #writeWhole(): void {
    const { sink, scrubber } = this.#options;
    const [only = NOTHING] = this.#chunks;
    const raw = this.#chunks.length <= 1 ? only : Buffer.concat(this.#chunks);
    const body = this.#scrubWhole && scrubber !== undefined ? scrubber.whole(raw) : raw;
    const bodyless = this.#status === 204 || this.#status === 304 || this.#options.method === 'HEAD';
    if (!bodyless) this.#headers.push('content-length', String(body.length));
    // ASCII is the same bytes in every encoding that a sink might write a string in, and a string shares one socket write with the head.
    sink.whole(this.#status, this.#headers, isAscii(body) ? body.toString('latin1') : body);
  }

  #end(error: GatewayError | undefined): void {
    this.#over = true;
    this.#options.ended(error, error === undefined ? { status: this.#status, complete: true } : undefined);
  }
}

const NOTHING = Buffer.alloc(0);
