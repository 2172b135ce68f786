// Sends a comment now and then (HTML Living Standard section 9.2.6) in every event stream that the gateway holds open.
// Clients ignore comments, and proxies and load balancers do not close the connection. Its caller writes whole events,
// so a comment always stands between two of them.

import { header } from '../domain/headers.ts';
import type { InboundRequest } from '../domain/request.ts';
import type { ResponseSink } from '../domain/upstream.ts';
import { wrapSink } from '../domain/wrap-sink.ts';

export const COMMENT = ': keep-alive\n\n';

export interface KeepAliveOptions {
  /** Between two comments, ms. */
  readonly everyMs: number;
  /** The agent went away. */
  readonly onClosed: InboundRequest['onClosed'];
}

export function keptAlive(sink: ResponseSink, { everyMs, onClosed }: KeepAliveOptions): ResponseSink {
  let timer: NodeJS.Timeout | undefined;
  let forget = (): void => {};
  const stop = (): void => {
    clearInterval(timer);
    forget();
  };
  return wrapSink(sink, {
    head(status, headers) {
      sink.head(status, headers);
      if (status !== 200 || !(header(headers, 'content-type') ?? '').toLowerCase().startsWith('text/event-stream'))
        return;
      timer = setInterval(() => sink.write(COMMENT), everyMs).unref();
      forget = onClosed(stop);
    },
    end() {
      stop();
      sink.end();
    },
    abort(because) {
      stop();
      sink.abort(because);
    },
  });
}
