// The stream that an agent keeps open (MCP 2025 revisions, GET), made of one of each server's. It begins with the first server that offers one and
// ends with the last; a server that offers none, or ends its own, takes nothing from the others. Event ids say where every server's stream is.

import { type HeaderList, header } from '../domain/headers.ts';
import type { ResponseSink } from '../domain/upstream.ts';
import { createEventReader, formatEvent, type ServerEvent } from './event-stream.ts';
import { allEventId, readEventId } from './joint-events.ts';

const LARGEST_EVENT = 16 * 1024 * 1024;
const HEAD: HeaderList = ['content-type', 'text/event-stream', 'cache-control', 'no-store', 'x-accel-buffering', 'no'];

export interface JointStream {
  /** Where one server's stream goes. */
  sinkFor(server: string): ResponseSink;
  /** Every server's stream has ended: gives the status that the agent got. */
  end(): number;
}

/** `places` is where each server's stream was when the agent last had it. */
export function openJointStream(sink: ResponseSink, places: Readonly<Record<string, string>>): JointStream {
  const at: Record<string, string> = { ...places };

  function tell(server: string, event: ServerEvent): boolean {
    const place = event.id === undefined ? undefined : readEventId(event.id);
    if (place?.of === 'answer') at[server] = place.id;
    const { id: _, ...rest } = event;
    return sink.write(formatEvent(place === undefined ? rest : { ...rest, id: allEventId(at) }));
  }

  return {
    sinkFor(server) {
      let started = false;
      let writable = true;
      const events = createEventReader(LARGEST_EVENT, (event) => {
        writable = tell(server, event) && writable;
      });
      let open = false;
      return {
        get started() {
          return started;
        },
        head(status, headers) {
          started = true;
          open = status === 200 && (header(headers, 'content-type') ?? '').startsWith('text/event-stream');
          if (open && !sink.started) sink.head(200, HEAD);
        },
        write(chunk) {
          writable = true;
          if (open && !events.push(chunk)) open = false;
          return writable;
        },
        onDrain: (callback) => sink.onDrain(callback),
        whole() {
          started = true;
        },
        end() {},
        abort() {},
      };
    },
    end() {
      if (sink.started) {
        sink.end();
        return 200;
      }
      // MCP 2025-11-25, transports: a server that offers no stream says so.
      sink.whole(405, ['allow', 'POST, DELETE', 'cache-control', 'no-store'], '');
      return 405;
    },
  };
}
