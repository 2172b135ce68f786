// The stream that an agent keeps open (MCP 2025 revisions, GET), made of one stream of each server. It begins with the
// first server that offers a stream and lasts as long as the agent does. When a server ends its stream, as it may at
// any time, the gateway asks for it again at the same place: the agent, whose own stream goes on, would not ask. Event
// ids say where every server's stream is.

import { type HeaderList, header } from '../../domain/headers.ts';
import type { InboundRequest } from '../../domain/request.ts';
import type { ResponseSink } from '../../domain/upstream.ts';
import { createEventReader, formatEvent, type ServerEvent } from '../event-stream.ts';
import { allEventId, answerEventId, readEventId } from './events.ts';

export interface SharedStreamOptions {
  readonly sink: ResponseSink;
  readonly servers: readonly string[];
  /** Where each server's stream was when the agent last had it. */
  readonly places: Readonly<Record<string, string>>;
  /** One server's stream, until it ends. Never rejects. */
  follow(server: string, headers: HeaderList, sink: ResponseSink): Promise<void>;
  readonly onClosed: InboundRequest['onClosed'];
}

const LARGEST_EVENT = 16 * 1024 * 1024;
const HEAD: HeaderList = ['content-type', 'text/event-stream', 'cache-control', 'no-store', 'x-accel-buffering', 'no'];
/** Until a server is asked again: at first, and at most while it does not answer. */
const AGAIN_MS = 1_000;
const AGAIN_MOST_MS = 60_000;

/** Gives the status that the agent got, when it is over. */
export async function serveSharedStream({
  sink,
  servers,
  places,
  follow,
  onClosed,
}: SharedStreamOptions): Promise<number> {
  const at: Record<string, string> = { ...places };
  const agent = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  let gone = false;
  const forget = onClosed(() => {
    gone = true;
    agent.resolve();
  });
  const part = (server: string) => {
    const from = at[server];
    const piece = partOf(sink, begun.resolve, (event) => tell(server, event));
    return {
      piece,
      ended: follow(server, from === undefined ? [] : ['last-event-id', answerEventId(server, from)], piece),
    };
  };

  function tell(server: string, event: ServerEvent): boolean {
    const place = event.id === undefined ? undefined : readEventId(event.id);
    if (place?.of === 'answer') at[server] = place.id;
    const { id: _, ...rest } = event;
    return sink.write(formatEvent(place === undefined ? rest : { ...rest, id: allEventId(at) }));
  }

  async function keep(server: string, first: ReturnType<typeof part>): Promise<void> {
    let waitMs = AGAIN_MS;
    for (let now = first; ; now = part(server)) {
      await now.ended;
      await begun.promise;
      if (gone || !sink.started || now.piece.refused) return;
      waitMs = now.piece.opened ? AGAIN_MS : Math.min(2 * waitMs, AGAIN_MOST_MS);
      await Promise.race([agent.promise, later(waitMs)]);
      if (gone) return;
    }
  }

  const first = servers.map((server) => ({ server, now: part(server) }));
  void Promise.all(first.map(({ now }) => now.ended)).then(() => begun.resolve());
  await Promise.all(first.map(({ server, now }) => keep(server, now)));
  forget();
  if (sink.started) {
    sink.end();
    return 200;
  }
  // MCP 2025-11-25, transports: a server that offers no stream says so.
  sink.whole(405, ['allow', 'POST, DELETE', 'cache-control', 'no-store'], '');
  return 405;
}

const later = (ms: number): Promise<void> => new Promise((resolve) => void setTimeout(resolve, ms).unref());

interface StreamPart extends ResponseSink {
  /** The server has a stream. */
  readonly opened: boolean;
  /** The server has no stream, or the agent may not have it (any more). Asking again is no use. */
  readonly refused: boolean;
}

function partOf(sink: ResponseSink, begin: () => void, tell: (event: ServerEvent) => boolean): StreamPart {
  let status = 0;
  let opened = false;
  let broken = false;
  let writable = true;
  const events = createEventReader(LARGEST_EVENT, (event) => {
    writable = tell(event) && writable;
  });
  return {
    get started() {
      return status !== 0;
    },
    get opened() {
      return opened;
    },
    get refused() {
      return status === 401 || status === 403 || status === 405;
    },
    head(code, headers) {
      status = code;
      opened = code === 200 && (header(headers, 'content-type') ?? '').startsWith('text/event-stream');
      if (!opened) return;
      if (!sink.started) sink.head(200, HEAD);
      begin();
    },
    write(chunk) {
      writable = true;
      if (opened && !broken) broken = !events.push(chunk);
      return writable;
    },
    onDrain: (callback) => sink.onDrain(callback),
    whole(code) {
      status = code;
    },
    end() {},
    abort() {},
  };
}
