// Calls that run as tasks, and their results. Results stay in memory for a while, because a client may ask for one
// twice. The store knows how each hold ended; the answer itself is only here, and a client that asks later is told that
// it is gone. Refuses to keep answers that are too large.

import { LRUCache } from 'lru-cache';
import type { Call } from '../../domain/call.ts';
import { type HeaderList, header } from '../../domain/headers.ts';
import { isJsonObject } from '../../domain/json.ts';
import { locate } from '../../domain/json-source.ts';
import type { HandOut } from '../../domain/protocol-handler.ts';
import type { ResponseSink } from '../../domain/upstream.ts';
import { GatewayError } from '../../errors.ts';
import { createEventReader, type ServerEvent } from '../event-stream.ts';
import { readMessage } from '../read-message.ts';
import { noMessage, rpcError } from '../refusal.ts';
import type { RpcOutcome } from './views.ts';

export interface TaskOutcomes {
  /**
   * Says that the task is being executed, until the returned function is called with its result; undefined keeps
   * nothing.
   */
  begin(taskId: string, handOut: HandOut | undefined): (outcome: RpcOutcome | undefined) => void;
  /** Resolves when the execution is over; undefined when there is none. */
  running(taskId: string): Promise<void> | undefined;
  /** The result of an execution, while it is kept. */
  get(taskId: string): RpcOutcome | undefined;
  /** Must be done before a kept result is given to this call. Throws `store_unavailable`. */
  handOut(taskId: string, by: Call): Promise<void>;
  /** Resolves when no execution is left, or after `graceMs`. */
  drain(graceMs: number): Promise<void>;
}

/** How long an answer is kept, ms. */
export const KEPT_MS = 15 * 60_000;
const KEPT_BYTES = 128 * 1024 * 1024;
/** Larger than any that answer-sink.ts lets through. */
const LARGEST_ANSWER = 20 * 1024 * 1024;

interface KeptOutcome {
  readonly outcome: RpcOutcome;
  readonly handOut: HandOut | undefined;
}

export function createTaskOutcomes(): TaskOutcomes {
  const kept = new LRUCache<string, KeptOutcome>({ maxSize: KEPT_BYTES, maxEntrySize: LARGEST_ANSWER, ttl: KEPT_MS });
  const running = new Map<string, Promise<void>>();
  return {
    begin(taskId, handOut) {
      const { promise, resolve } = Promise.withResolvers<void>();
      running.set(taskId, promise);
      return (outcome) => {
        if (outcome !== undefined) kept.set(taskId, { outcome, handOut }, { size: JSON.stringify(outcome).length });
        running.delete(taskId);
        resolve();
      };
    },
    running: (taskId) => running.get(taskId),
    get: (taskId) => kept.get(taskId)?.outcome,
    async handOut(taskId, by) {
      await kept.get(taskId)?.handOut?.(by);
    },
    async drain(graceMs) {
      let timer: NodeJS.Timeout | undefined;
      const grace = new Promise((resolve) => {
        timer = setTimeout(resolve, graceMs);
      });
      await Promise.race([Promise.all(running.values()), grace]);
      clearTimeout(timer);
    },
  };
}

/**
 * Reads an upstream's answer to one call to its end, and calls back once: also for an answer that broke off, which is
 * an error then.
 */
export function collectOutcome(ended: (outcome: RpcOutcome) => void): ResponseSink {
  let found: RpcOutcome | undefined;
  let status = 0;
  let events: ReturnType<typeof createEventReader> | undefined;
  let text: string[] | undefined;
  let over = false;
  const finish = (broken: boolean): void => {
    if (over) return;
    over = true;
    if (text !== undefined && !broken) found = readOutcome(Buffer.from(text.join(''), 'latin1').toString('utf8'));
    // A message that arrived completely counts, even if the stream breaks after it.
    ended(found ?? { error: rpcError(broken ? BROKEN : noMessage(status), 'call') });
  };
  const keepFirst = ({ data = '' }: ServerEvent): void => {
    found ??= readOutcome(data);
    // Servers should end the stream after the response, but some do not.
    if (found !== undefined) finish(false);
  };
  const begin = (code: number, headers: HeaderList): void => {
    status = code;
    const type = header(headers, 'content-type')?.toLowerCase() ?? '';
    if (type.startsWith('application/json')) text = [];
    else if (type.startsWith('text/event-stream')) events = createEventReader(LARGEST_ANSWER, keepFirst);
  };
  const piece = (chunk: Uint8Array | string): void => {
    // A piece may end within a character, so latin1 keeps every byte until all are there. A string is ASCII only.
    text?.push(typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString('latin1'));
    events?.push(chunk);
  };
  return {
    started: false,
    head: begin,
    write(chunk) {
      piece(chunk);
      return true;
    },
    onDrain: (callback) => callback(),
    whole(code, headers, body) {
      begin(code, headers);
      // A whole text may be a judged answer that was written again, which may have more than ASCII.
      piece(typeof body === 'string' ? Buffer.from(body, 'utf8') : body);
      finish(false);
    },
    end: () => finish(false),
    abort: () => finish(true),
  };
}

/**
 * The final message of a call's answer. A task of the gateway cannot carry a message that asks the client for
 * something.
 */
function readOutcome(text: string): RpcOutcome | undefined {
  const message = readMessage(text);
  if (message === undefined) return undefined;
  locate(message, 1);
  const { result, error } = message;
  if (isJsonObject(error)) return { error };
  if (!isJsonObject(result)) return undefined;
  if (result.resultType === 'input_required')
    return {
      error: rpcError(refusal('asks for more input before it goes on: send such a call without tasks'), 'call'),
    };
  const own = result.resultType === 'task' ? result : isJsonObject(result.task) ? result.task : undefined;
  if (own === undefined) return { result };
  const named = typeof own.taskId === 'string' && /^[\w.:-]{1,128}$/.test(own.taskId) ? ` It is ${own.taskId}.` : '';
  return {
    error: rpcError(refusal(`made a task of its own of this call: ask for that with tasks/get.${named}`), 'call'),
  };
}

const BROKEN = new GatewayError('upstream_aborted', 'The upstream’s answer broke off, or is too large to be read.');

function refusal(what: string): GatewayError {
  return new GatewayError('upstream_protocol', `The server ${what}`);
}
