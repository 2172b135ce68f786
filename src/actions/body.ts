// The body of a request over node:http: read at most once, whole or piece by piece, and never faster than it is
// consumed. Trusts node:http for the framing. Refuses bodies over the limit (before reading, when the length is
// declared), senders that are silent or too slow, and a second reading. `100 Continue` is sent only when the body is
// wanted, so after identity and decision.

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { RequestBody } from '../domain/request.ts';
import { GatewayError } from '../errors.ts';

export interface BodyPace {
  /**
   * Least bytes per second, averaged over `windowMs` of waiting for the sender; time in which nobody reads does not
   * count. Default 1024.
   */
  readonly minBytesPerSecond?: number;
  /** Default 10 000. */
  readonly windowMs?: number;
  /** Longest wait for the next byte. Default 10 000. */
  readonly silenceMs?: number;
}

export const EMPTY_BODY: RequestBody = {
  empty: true,
  buffer: () => Promise.resolve(new Uint8Array(0)),
  async *stream() {},
};

interface IncomingBody {
  readonly incoming: IncomingMessage;
  /** Absent where no interim answer can be given. */
  readonly response: ServerResponse | undefined;
  /** The declared Content-Length, in bytes. */
  readonly length: number | undefined;
  /** The client sent `Expect: 100-continue` and sends nothing before it is answered. */
  readonly awaitsContinue: boolean;
  readonly pace: BodyPace;
}

/** A body that is not known to be empty. See RequestBody for what its methods throw. */
export function openBody(body: IncomingBody): RequestBody {
  let taken = false;
  let underway = true;
  let seen: ((piece: Uint8Array) => void) | undefined;
  const take = (): AsyncGenerator<Uint8Array, void, undefined> => {
    if (taken) throw new TypeError('the body was read already');
    taken = true;
    if (body.awaitsContinue) body.response?.writeContinue();
    const pieces = readAtPace(body.incoming, body.pace, () => {
      underway = false;
    });
    return seen === undefined ? pieces : shown(pieces, seen);
  };
  return {
    empty: false,
    get underway() {
      return underway;
    },
    ...(body.length === undefined ? {} : { length: body.length }),
    stream: take,
    watch(see) {
      seen = see;
    },
    buffer: async (limit) => {
      if (body.length !== undefined && body.length > limit) throw tooLarge(limit);
      return collect(take(), limit);
    },
  };
}

async function* shown(
  pieces: AsyncGenerator<Uint8Array, void, undefined>,
  see: (piece: Uint8Array) => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const piece of pieces) {
    see(piece);
    yield piece;
  }
}

async function collect(chunks: AsyncIterable<Uint8Array>, limit: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of chunks) {
    size += chunk.byteLength;
    if (size > limit) throw tooLarge(limit);
    parts.push(chunk);
  }
  return parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts, size);
}

/** Takes what has arrived, then waits for more; node:http stops reading from the socket while nobody takes. */
async function* readAtPace(
  incoming: IncomingMessage,
  pace: BodyPace,
  ended: () => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { minBytesPerSecond = 1024, windowMs = 10_000, silenceMs = 10_000 } = pace;
  let wake = (): void => {};
  const onEvent = (): void => wake();
  incoming.on('readable', onEvent).on('end', onEvent).on('close', onEvent).on('error', onEvent);
  let waitedMs = 0;
  let received = 0;
  try {
    for (;;) {
      const chunk: Buffer | null = incoming.read();
      if (chunk !== null) {
        received += chunk.byteLength;
        yield chunk;
        continue;
      }
      if (incoming.readableEnded) {
        ended();
        return;
      }
      if (incoming.destroyed || incoming.errored !== null)
        throw new GatewayError('client_closed', 'The client went away while it was sending the body.');
      if (waitedMs >= windowMs) {
        if (received * 1000 < minBytesPerSecond * waitedMs) throw tooSlow();
        waitedMs = 0;
        received = 0;
      }
      const since = performance.now();
      let timer: NodeJS.Timeout | undefined;
      const silent = await new Promise<boolean>((resolve) => {
        wake = () => resolve(false);
        timer = setTimeout(resolve, silenceMs, true);
      });
      clearTimeout(timer);
      if (silent) throw tooSlow();
      waitedMs += performance.now() - since;
    }
  } finally {
    incoming.off('readable', onEvent).off('end', onEvent).off('close', onEvent);
    // The error listener stays: a reset after this point must not become an uncaught exception.
  }
}

function tooLarge(limit: number): GatewayError {
  return new GatewayError(
    'payload_too_large',
    `The body is larger than ${limit} bytes, the most that is read before a decision.`,
  );
}

function tooSlow(): GatewayError {
  return new GatewayError('request_timeout', 'The body arrived too slowly.');
}
