// What the tests of the forwarder share: calls as the pipeline would hand them in, a sink that remembers, and a real
// node:http front.

import { EventEmitter, once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Action } from '../../src/domain/action.ts';
import type { Credential, Injection } from '../../src/domain/credential.ts';
import type { HeaderList } from '../../src/domain/headers.ts';
import { type Metrics, noMetrics } from '../../src/domain/metrics.ts';
import type { InboundRequest, RequestBody } from '../../src/domain/request.ts';
import { Secret } from '../../src/domain/secret.ts';
import type { Forwarder, Outgoing, ResponseSink } from '../../src/domain/upstream.ts';
import { GatewayError } from '../../src/errors.ts';
import type { Resolve } from '../../src/upstream/address-guard.ts';
import { createForwarder } from '../../src/upstream/forward.ts';
import { createTargets, type Targets, type UpstreamOptions } from '../../src/upstream/targets.ts';
import { failureOf } from '../support/failures.ts';

export function upstreamOptions(url: string, extra: Partial<UpstreamOptions> = {}): UpstreamOptions {
  return {
    name: 'api',
    url,
    allowPlaintext: false,
    connectTimeoutMs: 5000,
    headersTimeoutMs: 20_000,
    bodyTimeoutMs: 20_000,
    websocket: false,
    ...extra,
  };
}

export interface Rig extends AsyncDisposable {
  readonly forwarder: Forwarder;
  readonly targets: Targets;
  /** What was counted: status or error code of each call. */
  readonly counted: (number | string | undefined)[];
}

export function createRig(url: string, extra: Partial<UpstreamOptions> = {}, resolve?: Resolve): Rig {
  const targets = createTargets(new Map([['api', upstreamOptions(url, extra)]]), resolve);
  const counted: (number | string | undefined)[] = [];
  const metrics: Metrics = { ...noMetrics, upstream: (_name, _method, status, error) => counted.push(error ?? status) };
  const forwarder = createForwarder({ targets, metrics });
  return { forwarder, targets, counted, [Symbol.asyncDispose]: () => forwarder.close() };
}

const NO_BODY: RequestBody = { empty: true, buffer: async () => new Uint8Array(), stream: async function* () {} };

export interface CallParts {
  readonly url: string;
  readonly method?: string;
  readonly target?: string;
  readonly headers?: HeaderList;
  /** A buffered body. */
  readonly body?: string | Uint8Array;
  /** A body that nothing has read. */
  readonly stream?: RequestBody;
  readonly action?: Partial<Action>;
  readonly injection?: { readonly in: 'header' | 'query'; readonly name: string; readonly value: string };
  readonly secrets?: readonly string[];
  readonly outgoing?: Partial<Outgoing>;
  onClosed?: InboundRequest['onClosed'];
}

export function outgoing({
  url,
  method = 'GET',
  target = '/',
  headers = [],
  body,
  stream,
  action,
  injection,
  secrets = [],
  outgoing: extra,
  onClosed,
}: CallParts): Outgoing {
  const [path = '/', query] = target.split('?');
  return {
    request: {
      ...{
        id: 'r',
        receivedAt: 0,
        method,
        target: `/api${target}`,
        mount: 'api',
        path,
        headers,
        peer: { address: '127.0.0.1' },
      },
      ...(query !== undefined && { query }),
      body: stream ?? NO_BODY,
      onClosed: onClosed ?? (() => () => {}),
    },
    action: {
      ...{
        protocol: 'http',
        upstream: 'api',
        authority: new URL(url).host,
        method,
        target,
        path,
        boundHeaders: [],
        streamed: stream !== undefined,
      },
      ...(body !== undefined && { body: { bytes: Buffer.from(body), digest: '' } }),
      ...action,
    },
    ...(injection && { credential: credentialOf({ ...injection, value: new Secret(injection.value) }, secrets) }),
    ...{ boundHeadersOnly: false, requestHeaders: [], responseHeaders: [], ...extra },
  };
}

function credentialOf(injection: Injection, secrets: readonly string[]): Credential {
  return {
    ...{ id: 'cred_1', name: 'key', provider: 'static', revocability: 'none', granted: {}, exclusive: false },
    injection,
    secrets: secrets.map((text) => new Secret(text)),
  };
}

export interface RecordingSink extends ResponseSink {
  status: number;
  headers: HeaderList;
  readonly chunks: Buffer[];
  readonly calls: string[];
  /** Resolves when the body so far contains the text. */
  until(text: string): Promise<void>;
  readonly body: Buffer;
  readonly text: string;
}

export function recordingSink(): RecordingSink {
  const events = new EventEmitter();
  const add = (chunk: Uint8Array | string): void => {
    sink.chunks.push(Buffer.from(chunk));
    events.emit('data');
  };
  const sink: RecordingSink = {
    ...{ status: 0, headers: [], chunks: [], calls: [] },
    get started() {
      return sink.status !== 0;
    },
    get body() {
      return Buffer.concat(sink.chunks);
    },
    get text() {
      return sink.body.toString('latin1');
    },
    head(status, headers) {
      Object.assign(sink, { status, headers });
      sink.calls.push('head');
    },
    write(chunk) {
      add(chunk);
      return true;
    },
    onDrain() {},
    whole(status, headers, body) {
      Object.assign(sink, { status, headers });
      sink.calls.push('whole');
      add(body);
    },
    end: () => void sink.calls.push('end'),
    abort: () => void sink.calls.push('abort'),
    async until(text) {
      while (!sink.text.includes(text)) await once(events, 'data');
    },
  };
  return sink;
}

/** A front on a real socket, with the sink that a server over node:http has. `fronts` hears how each call ended. */
export async function startFront(
  forwarder: Forwarder,
  url: string,
): Promise<{ server: Server; port: number; ended: EventEmitter; close(): Promise<void> }> {
  const ended = new EventEmitter();
  const server = createServer((incoming, response) => {
    const { method = 'GET', url: target = '/' } = incoming;
    const headers = incoming.rawHeaders.map((text, i) => (i % 2 === 0 ? text.toLowerCase() : text));
    const length = incoming.headers['content-length'];
    const empty = length === undefined && incoming.headers['transfer-encoding'] === undefined;
    const stream: RequestBody = {
      empty,
      ...(length !== undefined && { length: Number(length) }),
      buffer: async () => Buffer.concat(await incoming.toArray()),
      stream: () => incoming,
    };
    const sink: ResponseSink = {
      get started() {
        return response.headersSent;
      },
      head(status, fields) {
        response.writeHead(status, fields as string[]);
        response.flushHeaders();
      },
      write: (chunk) => response.write(chunk),
      onDrain: (callback) => void response.once('drain', callback),
      whole(status, fields, body) {
        response.writeHead(status, fields as string[]);
        response.end(body);
      },
      end: () => void response.end(),
      abort: () => void response.destroy(),
    };
    const onClosed = (callback: () => void) => {
      incoming.socket.once('close', callback);
      return () => void incoming.socket.removeListener('close', callback);
    };
    forwarder.send(outgoing({ url, method, target, headers, stream, onClosed }), sink).then(
      (sent) => ended.emit('sent', sent),
      (error) => {
        if (!response.headersSent) response.writeHead(error.status ?? 500).end(error.code);
        ended.emit('failed', error);
      },
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    server,
    port: (server.address() as AddressInfo).port,
    ended,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Sends one call that must be refused, and gives the refusal. */
export async function refusalOf(parts: CallParts, extra = {}): Promise<GatewayError> {
  await using rig = createRig(parts.url, extra);
  const failure = await failureOf(Promise.resolve(rig.forwarder.send(outgoing(parts), recordingSink())));
  if (!(failure instanceof GatewayError)) throw failure;
  return failure;
}
