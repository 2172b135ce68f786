// Subcalls: the calls that the gateway makes to the servers of a shared mount while it serves an agent's call. They
// open sessions, ask each server for its part of a list, and pass on what concerns all. Each subcall goes the whole way
// of a call, for the same caller: decided, recorded, with the credential of its server, and never held. Time and size
// are bounded. If one server does not answer, only its part is missing.

import { randomUUID } from 'node:crypto';
import { Call } from '../../domain/call.ts';
import type { Clock } from '../../domain/clock.ts';
import { type HeaderList, header, withoutField } from '../../domain/headers.ts';
import { isJsonObject, type Json, type JsonObject } from '../../domain/json.ts';
import { locate, writeJson } from '../../domain/json-source.ts';
import type { InboundRequest } from '../../domain/request.ts';
import type { RuntimeConfig } from '../../domain/runtime-config.ts';
import { sharedServerName } from '../../domain/server-names.ts';
import type { Armed } from '../../domain/stages.ts';
import { traceparent } from '../../domain/trace.ts';
import type { ResponseSink } from '../../domain/upstream.ts';
import { createEventReader, type EventReader } from '../event-stream.ts';
import { readMessage } from '../read-message.ts';
import { bodyOf } from './route.ts';
import type { SharedSessions } from './session.ts';

/** What a server answered, or why it did not. */
export interface Reply {
  /** HTTP; 0 when there was no answer in time. */
  readonly status: number;
  readonly headers: HeaderList;
  readonly result?: JsonObject;
  readonly error?: { readonly code: number; readonly message: string; readonly data?: Json };
}

export interface SubcallOptions {
  readonly mount: string;
  readonly server: string;
  readonly method: 'POST' | 'GET' | 'DELETE';
  readonly message?: JsonObject;
  /** Further fields, in place of the agent's. */
  readonly headers?: HeaderList;
  /** Fields of the agent's that do not go along. */
  readonly without?: readonly string[];
}

export interface Subcalls {
  /** One message and its answer. Never rejects. */
  ask(armed: Armed, options: SubcallOptions, withinMs: number): Promise<Reply>;
  /** An answer that goes on as it comes, until it ends or the agent goes away. Never rejects. */
  follow(armed: Armed, options: SubcallOptions, sink: ResponseSink): Promise<void>;
}

/** Of one server's part of a list, characters. */
const LARGEST_REPLY = 4 * 1024 * 1024;

export interface SubcallParts {
  /** The pipeline. */
  run(call: Call): Promise<void>;
  /** What is in force when a subcall begins, however long ago its call arrived. */
  runtime(): RuntimeConfig;
  readonly clock: Clock;
  readonly sessions: Pick<SharedSessions, 'of' | 'bind'>;
}

export function createSubcalls({ run, runtime, clock, sessions }: SubcallParts): Subcalls {
  const start = (
    armed: Armed,
    options: SubcallOptions,
    sink: ResponseSink,
    onClosed: InboundRequest['onClosed'],
  ): Promise<void> => {
    const request = requestFor(armed, options, clock.now(), onClosed);
    const session = options.message?.method === 'initialize' ? undefined : sessions.of(armed.request);
    if (session !== undefined) sessions.bind(request, session);
    return run(
      new Call({
        id: request.id,
        receivedAt: request.receivedAt,
        method: options.method,
        runtime: runtime(),
        sink,
        subcall: {
          mount: sharedServerName(options.mount, options.server),
          identified: { principal: armed.principal, ...(armed.token && { token: armed.token }) },
        },
        parse: () => request,
      }),
    );
  };

  return {
    async ask(armed, options, withinMs) {
      const closed = createClosing();
      const collector = collectReply(options.message?.id);
      const forget = armed.request.onClosed(closed.close);
      const timer = setTimeout(closed.close, withinMs);
      const done = start(armed, options, collector.sink, closed.onClosed);
      const inTime = await Promise.race([collector.answered, done.then(() => true as const), closed.closed]);
      clearTimeout(timer);
      forget();
      // Nobody reads a stream that goes on after the answer. Its end is awaited no longer than the answer was.
      if (inTime) void Promise.race([done, later(withinMs)]).then(closed.close);
      return collector.reply();
    },
    async follow(armed, options, sink) {
      await start(armed, options, sink, (callback) => armed.request.onClosed(callback));
    },
  };
}

const later = (ms: number): Promise<void> => new Promise((resolve) => void setTimeout(resolve, ms).unref());

/** The far end of a call that only this process waits for. */
function createClosing() {
  const callbacks = new Set<() => void>();
  const { promise, resolve } = Promise.withResolvers<false>();
  let over = false;
  return {
    closed: promise,
    close(): void {
      if (over) return;
      over = true;
      resolve(false);
      for (const callback of callbacks) callback();
    },
    onClosed(callback: () => void): () => void {
      if (over) queueMicrotask(callback);
      callbacks.add(callback);
      return () => void callbacks.delete(callback);
    },
  };
}

const REPLACED = [
  'accept',
  'content-length',
  'content-type',
  'expect',
  'idempotency-key',
  'last-event-id',
  'mcp-method',
  'mcp-name',
  'prefer',
  'traceparent',
  'tracestate',
];

function requestFor(
  { request, call }: Armed,
  { method, message, headers = [], without = [] }: SubcallOptions,
  receivedAt: number,
  onClosed: InboundRequest['onClosed'],
): InboundRequest {
  const bytes = message === undefined ? undefined : Buffer.from(writeJson(message));
  const rpcMethod = header(request.headers, 'mcp-method') === undefined ? undefined : message?.method;
  return {
    ...request,
    id: randomUUID(),
    receivedAt,
    method,
    headers: [
      ...withoutField(request.headers, ...REPLACED, ...without),
      ...['accept', method === 'GET' ? 'text/event-stream' : 'application/json, text/event-stream'],
      ...(bytes === undefined ? [] : ['content-type', 'application/json']),
      ...(typeof rpcMethod === 'string' ? ['mcp-method', rpcMethod] : []),
      // The subcall's trace is linked to the call that it is made for.
      ...(call.span === undefined ? [] : ['traceparent', traceparent(call.span.ref)]),
      ...headers,
    ],
    body: bytes === undefined ? { ...bodyOf(new Uint8Array(0)), empty: true } : bodyOf(bytes),
    onClosed,
  };
}

/** A sink that waits for the answer to one message, in JSON or in a stream of events. Other messages are not for it. */
function collectReply(id: Json | undefined) {
  const { promise, resolve } = Promise.withResolvers<true>();
  let status = 0;
  let headers: HeaderList = [];
  let events: EventReader | undefined;
  let size = 0;
  let answer: JsonObject | undefined;

  const take = (json: string): void => {
    if (answer !== undefined) return;
    const message = readMessage(json);
    if (message === undefined || (message.method ?? undefined) !== undefined || message.id !== id) return;
    // Down to the entries of a list.
    locate(message, 3);
    answer = message;
    resolve(true);
  };
  const begin = (code: number, fields: HeaderList): void => {
    status = code;
    headers = fields;
    if ((header(fields, 'content-type') ?? '').startsWith('text/event-stream'))
      events = createEventReader(LARGEST_REPLY, ({ data }) => take(data ?? ''));
  };
  const sink: ResponseSink = {
    get started() {
      return status !== 0;
    },
    head: begin,
    write(chunk) {
      size += chunk.length;
      if (answer === undefined && size <= LARGEST_REPLY) events?.push(chunk);
      return true;
    },
    onDrain() {},
    whole(code, fields, body) {
      begin(code, fields);
      if (body.length <= LARGEST_REPLY) take(Buffer.from(body as string).toString('utf8'));
    },
    end() {},
    abort() {},
  };
  return {
    sink,
    answered: promise,
    reply(): Reply {
      const { result, error } = answer ?? {};
      const failed = isJsonObject(error)
        ? {
            code: Number(error.code),
            message: String(error.message),
            ...(error.data !== undefined && { data: error.data }),
          }
        : undefined;
      return { status, headers, ...(isJsonObject(result) && { result }), ...(failed && { error: failed }) };
    },
  };
}
