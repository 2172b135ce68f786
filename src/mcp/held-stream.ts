// The event stream in which a held call's agent waits: a progress notification now and then, so that no client's clock runs out, and
// at the end the answer, whatever its form was. It takes the place of the call's sink; what writes into it need not know.
// Trusts the caller to begin it once. An answer that is not JSON, or failed, becomes a JSON-RPC error: HTTP has spoken already.

import type { HeaderList } from '../domain/headers.ts';
import { header } from '../domain/headers.ts';
import type { ResponseSink } from '../domain/upstream.ts';
import { formatEvent } from './event-stream.ts';
import { COMMENT } from './keep-alive.ts';
import { noMessage, rpcError } from './refusal.ts';

export interface HeldStreamOptions {
  readonly sink: ResponseSink;
  readonly rpcId: string | number;
  readonly progressToken: string | number;
  readonly holdId: string;
  /** Between two notifications, ms. */
  readonly everyMs: number;
}

export interface HeldStream {
  /** Where the answer goes from now on. `started` is false until it begins. */
  readonly sink: ResponseSink;
  /** No more notifications: people have decided. Until the answer begins, comments keep the stream from looking dead. */
  stop(): void;
}

export function openHeldStream({ sink, rpcId, progressToken, holdId, everyMs }: HeldStreamOptions): HeldStream {
  sink.head(200, ['content-type', 'text/event-stream', 'cache-control', 'no-store', 'x-accel-buffering', 'no', 'countersign-hold', holdId]);
  let told = 0;
  const tell = (): void => {
    told++;
    // Small, so that the upstream's own progress, which starts again, still increases.
    const params = { progressToken, progress: told / 1000, message: `Waiting for a human decision on ${holdId}. Nothing was executed yet.` };
    sink.write(formatEvent({ data: JSON.stringify({ jsonrpc: '2.0', method: 'notifications/progress', params }) }));
  };
  tell();
  const timer = setInterval(tell, everyMs).unref();
  let comments: NodeJS.Timeout | undefined;
  let begun = false;
  const answer = answerInto(sink, rpcId, () => {
    begun = true;
    clearInterval(comments);
  });
  return {
    sink: answer,
    stop() {
      clearInterval(timer);
      if (!begun) comments = setInterval(() => sink.write(COMMENT), everyMs).unref();
    },
  };
}

type Form = 'none' | 'events' | 'json' | 'other';

/** `begins` is called when the answer begins, or breaks off before that. */
function answerInto(sink: ResponseSink, rpcId: string | number, begins: () => void): ResponseSink {
  let form: Form = 'none';
  let status = 0;
  const begin = (code: number, headers: HeaderList): void => {
    begins();
    status = code;
    form = formOf(code, headers);
    if (form === 'json') sink.write('data: ');
  };
  const finish = (): void => {
    if (form === 'json') sink.write('\n\n');
    if (form === 'other') sink.write(formatEvent({ data: JSON.stringify(failure(rpcId, status)) }));
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
      begins();
      sink.abort(because);
    },
  };
}

function formOf(status: number, headers: HeaderList): Form {
  const type = header(headers, 'content-type')?.toLowerCase() ?? '';
  if (type.startsWith('application/json')) return 'json';
  return type.startsWith('text/event-stream') && status === 200 ? 'events' : 'other';
}

/** Line ends in JSON are only ever white space; a data line must not have them. Byte-wise, so that a piece may end within a character. */
function oneLine(chunk: Uint8Array | string): Uint8Array {
  const bytes = Buffer.from(chunk as string);
  for (let i = 0; i < bytes.length; i++) if (bytes[i] === 0x0a || bytes[i] === 0x0d) bytes[i] = 0x20;
  return bytes;
}

function failure(id: string | number, status: number) {
  return { jsonrpc: '2.0', id, error: rpcError(noMessage(status), 'call') };
}
