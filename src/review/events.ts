// Server-sent events about holds, for one signed-in reviewer. An event says only that a hold changed, and only holds
// that name the reviewer are sent. Nothing is kept for absent listeners: every stream opens with `snapshot`, which
// means "load the list now". A stream is closed when its listener does not keep up, when the token has run out, or when
// the reviewer opens too many streams. The listener then reconnects and starts again.

import type { EpochMs } from '../domain/clock.ts';
import type { Hold } from '../domain/hold.ts';
import type { HoldStore } from '../domain/hold-store.ts';
import type { Reviewer } from '../domain/reviewer.ts';
import { type Eligibility, isNamed } from './permissions.ts';

const HEARTBEAT_MS = 15_000;
/** Events that may wait for a slow listener. */
const BACKLOG = 256;
const STREAMS_PER_REVIEWER = 8;
/** setTimeout's largest delay. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export interface EventStreams {
  /** Opens a stream for this reviewer, closed at `expiresAt` at the latest. */
  open(reviewer: Reviewer, expiresAt: EpochMs): ReadableStream<Uint8Array>;
}

/**
 * When the token ends, by its own `exp`. Only for a token that was verified a moment ago; a token without `exp` ends
 * now.
 */
export function tokenExpiry(authorizationValues: readonly string[]): EpochMs {
  try {
    const payload = JSON.parse(
      Buffer.from(authorizationValues[0]?.split('.')[1] ?? '', 'base64url').toString('utf8'),
    ) as { exp?: unknown };
    return typeof payload.exp === 'number' ? payload.exp * 1000 : 0;
  } catch {
    return 0;
  }
}

/** Streams over the store's changes until `closing` is aborted. */
export function createEventStreams(holds: HoldStore, eligibility: Eligibility, closing: AbortSignal): EventStreams {
  const open = new Map<string, (() => void)[]>();
  const encoder = new TextEncoder();

  return {
    open(reviewer, expiresAt) {
      const mine = open.get(reviewer.id) ?? [];
      if (mine.length >= STREAMS_PER_REVIEWER) mine[0]?.();

      let end = () => {};
      return new ReadableStream<Uint8Array>(
        {
          start(controller) {
            const send = (text: string) => {
              if ((controller.desiredSize ?? 0) <= 0) return end();
              controller.enqueue(encoder.encode(text));
            };
            const unsubscribe = holds.subscribe((hold) => {
              if (isNamed(eligibility, hold, reviewer)) send(formatEvent(hold));
            });
            const heartbeat = setInterval(send, HEARTBEAT_MS, ': still here\n\n').unref();
            const expiry = setTimeout(
              () => end(),
              Math.min(Math.max(expiresAt - holds.now(), 0), LONGEST_TIMER_MS),
            ).unref();
            let ended = false;
            end = () => {
              if (ended) return;
              ended = true;
              unsubscribe();
              clearInterval(heartbeat);
              clearTimeout(expiry);
              closing.removeEventListener('abort', end);
              forget(open, reviewer.id, end);
              try {
                controller.close();
              } catch {
                // The listener has gone: there is nothing left to close.
              }
            };
            open.set(reviewer.id, [...(open.get(reviewer.id) ?? []), end]);
            closing.addEventListener('abort', end);
            send('retry: 3000\nevent: snapshot\ndata: {"reload":true}\n\n');
            if (closing.aborted) end();
          },
          cancel() {
            end();
          },
        },
        { highWaterMark: BACKLOG },
      );
    },
  };
}

function forget(open: Map<string, (() => void)[]>, reviewerId: string, end: () => void): void {
  const rest = (open.get(reviewerId) ?? []).filter((other) => other !== end);
  if (rest.length > 0) open.set(reviewerId, rest);
  else open.delete(reviewerId);
}

function formatEvent(hold: Hold): string {
  const data = {
    id: hold.id,
    state: hold.state,
    version: hold.version,
    bindingDigest: hold.bindingDigest,
    deadline: new Date(hold.deadline).toISOString(),
    votes: hold.votes.length,
  };
  return `id: ${hold.id}.${hold.version}\nevent: hold\ndata: ${JSON.stringify(data)}\n\n`;
}
