// The event stream in which the agent of a held call waits. It carries progress notifications, so that no client times
// out, then comments until the upstream has answered, and at the end the answer in any form. It replaces the call's
// sink; the steps that write into it need not know. Trusts the caller to begin it once. An answer that is not JSON, or
// failed, becomes a JSON-RPC error: the status 200 has already been sent.

import { type HeaderList, header } from '../domain/headers.ts';
import type { InboundRequest } from '../domain/request.ts';
import type { ResponseSink } from '../domain/upstream.ts';
import { formatMessage, MESSAGE_START } from './event-stream.ts';
import { COMMENT } from './keep-alive.ts';
import { noMessage, rpcError } from './refusal.ts';

export interface HeldStreamOptions {
  readonly sink: ResponseSink;
  readonly rpcId: string | number;
  readonly progressToken: string | number;
  readonly holdId: string;
  /** Between two notifications, or comments, ms. */
  readonly everyMs: number;
  /** The agent went away. */
  readonly onClosed: InboundRequest['onClosed'];
}

export interface HeldStream {
  /** The sink of the answer from now on. `started` is false until the answer begins. */
  readonly sink: ResponseSink;
  /** The hold is decided: no more notifications. */
  stop(): void;
}

export function openHeldStream({
  sink,
  rpcId,
  progressToken,
  holdId,
  everyMs,
  onClosed,
}: HeldStreamOptions): HeldStream {
  sink.head(200, [
    'content-type',
    'text/event-stream',
    'cache-control',
    'no-store',
    'x-accel-buffering',
    'no',
    'countersign-hold',
    holdId,
  ]);
  let told = 0;
  const tell = (): void => {
    told++;
    // Small, so that the upstream's own progress still counts as an increase.
    const params = {
      progressToken,
      progress: told / 1000,
      message: `Waiting for a human decision on ${holdId}. Nothing was executed yet.`,
    };
    sink.write(formatMessage({ jsonrpc: '2.0', method: 'notifications/progress', params }));
  };
  tell();
  let decided = false;
  const timer = setInterval(() => (decided ? sink.write(COMMENT) : tell()), everyMs).unref();
  const forget = onClosed(() => clearInterval(timer));
  const silence = (): void => {
    clearInterval(timer);
    forget();
  };
  return {
    sink: answerInto(sink, rpcId, silence),
    stop() {
      decided = true;
    },
  };
}

type StreamForm = 'none' | 'events' | 'json' | 'other';

/** `silence` is called before the first byte of the answer: nothing may stand within its events. */
function answerInto(sink: ResponseSink, rpcId: string | number, silence: () => void): ResponseSink {
  let form: StreamForm = 'none';
  let status = 0;
  const begin = (code: number, headers: HeaderList): void => {
    status = code;
    form = formOf(code, headers);
    // An answer of another form is written only when it is complete.
    if (form !== 'other') silence();
    if (form === 'json') sink.write(MESSAGE_START);
  };
  const finish = (): void => {
    silence();
    if (form === 'json') sink.write('\n\n');
    if (form === 'other') sink.write(formatMessage(failure(rpcId, status)));
    sink.end();
  };
  const piece = (chunk: Uint8Array | string): boolean => {
    if (form === 'other') return true;
    return sink.write(form === 'json' ? oneLine(chunk) : chunk);
  };
  return {
    get started() {
      return form !== 'none';
    },
    head: begin,
    write: piece,
    onDrain: (callback) => sink.onDrain(callback),
    whole(code, headers, body) {
      begin(code, headers);
      if (body.length > 0) piece(body);
      finish();
    },
    end: finish,
    abort(because) {
      silence();
      sink.abort(because);
    },
  };
}

function formOf(status: number, headers: HeaderList): StreamForm {
  const type = header(headers, 'content-type')?.toLowerCase() ?? '';
  if (type.startsWith('application/json')) return 'json';
  return type.startsWith('text/event-stream') && status === 200 ? 'events' : 'other';
}

/**
 * Line ends in JSON are only ever white space; a data line must not have them. It works on bytes, so that a piece may
 * end within a character.
 */
function oneLine(chunk: Uint8Array | string): Uint8Array {
  const bytes = Buffer.from(chunk as string);
  for (let i = 0; i < bytes.length; i++) if (bytes[i] === 0x0a || bytes[i] === 0x0d) bytes[i] = 0x20;
  return bytes;
}

function failure(id: string | number, status: number) {
  return { jsonrpc: '2.0', id, error: rpcError(noMessage(status), 'call') };
}
