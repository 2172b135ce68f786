// Sends a cleared call to its upstream, once, through undici's dispatch: re-framed from parsed parts, never copied from
// the wire. Follows no redirect, repeats nothing, keeps no copy. Trusts that the action is what was decided on, and
// refuses one whose upstream has moved since.

import { Readable } from 'node:stream';
import type { SignatureInjection } from '../domain/credential.ts';
import type { Metrics } from '../domain/metrics.ts';
import type { Forwarder, Outgoing, ResponseSink, Sent } from '../domain/upstream.ts';
import { asGatewayError, GatewayError } from '../errors.ts';
import { Exchange } from './exchange.ts';
import { signedFields, toldLeftBehind, upstreamFields, upstreamTarget } from './request-headers.ts';
import { scrubberFor } from './scrub/scrubber.ts';
import { ownCertificate, type Target, type Targets } from './targets.ts';

export interface ForwarderOptions {
  /** Shared with the WebSocket pass; reloads swap what is in it. */
  readonly targets: Targets;
  readonly metrics: Metrics;
}

/**
 * Streamed bodies of a declared length up to this are read first, bytes: one write, and no upstream connection waits
 * for a slow agent.
 */
const COLLECTED_BYTES = 64 * 1024;

type Body = Uint8Array | Readable | null;

export function createForwarder({ targets, metrics }: ForwarderOptions): Forwarder {
  const transmit = (
    outgoing: Outgoing,
    sink: ResponseSink,
    body: Body,
    leftBehind: string[],
    signed?: string[],
  ): Promise<Sent> =>
    // Not async, so that each call makes one promise only.
    new Promise((resolve, reject) => {
      try {
        const { action, request, credential, responseHeaders } = outgoing;
        const target = targetOf(targets, outgoing);
        const path = upstreamTarget(outgoing);
        const scrubber = credential === undefined ? undefined : scrubberFor(credential);
        const headers = signed ?? upstreamFields(outgoing, target.options, scrubber?.scrubsBodies === true, leftBehind);
        if (body instanceof Readable && request.body.length !== undefined)
          headers.push('content-length', String(request.body.length));

        const startedAt = performance.now();
        let forget = (): void => {};
        const ended = (error: GatewayError | undefined, sent: Sent | undefined): void => {
          forget();
          if (body instanceof Readable) body.destroy();
          metrics.upstream(
            action.upstream,
            action.method,
            sent?.status,
            error?.code,
            (performance.now() - startedAt) / 1000,
          );
          if (sent !== undefined) resolve(sent);
          else reject(error);
        };
        const exchange = new Exchange({
          method: action.method,
          sink,
          responseHeaders:
            leftBehind.length === 0 ? responseHeaders : [...responseHeaders, ...toldLeftBehind(leftBehind)],
          scrubber,
          mayStream: outgoing.mayStream,
          mustRead: outgoing.mustRead === true,
          source: { url: target.url, upstream: action.upstream, path },
          ended,
        });
        const stopped = [
          request.onClosed(() =>
            exchange.abort(new GatewayError('client_closed', 'The agent went away while the upstream was at work.')),
          ),
          outgoing.onAbandoned?.((because) => exchange.abort(because)),
        ];
        forget = () => {
          for (const each of stopped) each?.();
        };
        // What undici refuses to write, it reports through the exchange; it does not throw.
        target.pool.dispatch({ path, method: action.method, headers, body }, exchange);
      } catch (thrown) {
        reject(asGatewayError(thrown).knowing('no'));
      }
    });

  const sign = async (outgoing: Outgoing, injection: SignatureInjection, leftBehind: string[]): Promise<string[]> => {
    const { options } = targetOf(targets, outgoing);
    const fields = upstreamFields(
      outgoing,
      options,
      outgoing.credential !== undefined && scrubberFor(outgoing.credential).scrubsBodies,
      leftBehind,
    );
    return signedFields(injection, outgoing, upstreamTarget(outgoing), fields);
  };

  return {
    send(outgoing, sink) {
      const injection = outgoing.credential?.injection;
      const leftBehind: string[] = [];
      // Signed first: a body that cannot be signed is not even read.
      if (injection?.in === 'signature') {
        const ready = sign(outgoing, injection, leftBehind).then(async (fields) => ({
          fields,
          body: await bodyOf(outgoing),
        }));
        return ready.then(({ fields, body }) => transmit(outgoing, sink, body, leftBehind, fields), unsent);
      }
      const body = bodyOf(outgoing);
      return body instanceof Promise
        ? body.then((bytes) => transmit(outgoing, sink, bytes, leftBehind), unsent)
        : transmit(outgoing, sink, body, leftBehind);
    },
    close: () => targets.close(),
  };
}

/** For what failed before the call was handed to a connection. */
function unsent(thrown: unknown): never {
  throw asGatewayError(thrown).knowing('no');
}

/**
 * Where the action goes under the configuration in force. Throws `upstream_unreachable`, and `upstream_tls` while the
 * gateway has no client certificate to show there.
 */
export function targetOf(targets: Targets, { action }: Outgoing): Target {
  const target = targets.get(action.upstream);
  if (target === undefined || target.authority !== action.authority) {
    throw new GatewayError('upstream_unreachable', 'The upstream was moved or removed while the call was under way.');
  }
  ownCertificate(target.options);
  return target;
}

/** The approved bytes, or the agent's body as it arrives. */
function bodyOf({ action, request }: Outgoing): Body | Promise<Body> {
  if (action.body !== undefined) return action.body.bytes;
  if (!action.streamed || request.body.empty) return null;
  const { length } = request.body;
  if (length !== undefined && length <= COLLECTED_BYTES) return request.body.buffer(length);
  const stream = Readable.from(request.body.stream());
  // Its errors reach the exchange through undici; after the exchange is over nobody else listens.
  stream.on('error', () => {});
  return stream;
}
