// Reads the upstream's answer message by message: each JSON-RPC message is parsed and judged, and then passed on,
// changed or left out. It stands between the forwarder and the agent's sink. Trusts nothing of the upstream: an answer
// of several messages at once, one that is still compressed, and one that is larger than the limit are refused, because
// what cannot be read cannot be judged.

import { fieldPairs, type HeaderList, header, headerValues, keepFields } from '../domain/headers.ts';
import type { JsonObject } from '../domain/json.ts';
import { writeJson } from '../domain/json-source.ts';
import { isCoded } from '../domain/normal-forms/fields.ts';
import type { ResponseSink } from '../domain/upstream.ts';
import { wrapSink } from '../domain/wrap-sink.ts';
import { GatewayError } from '../errors.ts';
import { createEventReader, type EventReader, formatEvent, type ServerEvent } from './event-stream.ts';
import { LARGEST_MESSAGE, readMessage, withoutMark } from './read-message.ts';

/** Judges one message: the same value passes it on as it came, another value replaces it, undefined leaves it out. */
export type JudgeMessage = (message: JsonObject) => JsonObject | undefined;

export interface JudgedAnswerOptions {
  readonly judge: JudgeMessage;
  /** The answer to send where the upstream's cannot be read, or where its only message is left out. */
  instead(): JsonObject;
  /** The id of an event as the agent sees it; default: the server's own. */
  eventId?(id: string): string;
}

export function judgedAnswer(
  sink: ResponseSink,
  { judge, instead, eventId = (id) => id }: JudgedAnswerOptions,
): ResponseSink {
  let events: EventReader | undefined;
  let collected: { status: number; headers: HeaderList; chunks: Buffer[]; size: number } | undefined;
  let writable = true;

  const onEvent = (event: ServerEvent): void => {
    const named = event.id === undefined || event.id === '' ? event : { ...event, id: eventId(event.id) };
    const kept = judgeEvent(named, judge);
    if (kept !== undefined) writable = sink.write(formatEvent(kept)) && writable;
  };
  return wrapSink(sink, {
    head(status, headers) {
      const type = mediaTypeOf(headers);
      if (isEncoded(headers))
        throw new GatewayError('upstream_protocol', 'The upstream compressed an answer that has to be read.');
      if (type === 'text/event-stream') {
        events = createEventReader(LARGEST_MESSAGE, onEvent);
        sink.head(status, withoutLength(headers));
      } else if (type === 'application/json') collected = { status, headers, chunks: [], size: 0 };
      else sink.head(status, headers);
    },
    write(chunk) {
      if (events !== undefined) {
        writable = true;
        if (!events.push(chunk)) throw tooLarge();
        return writable;
      }
      if (collected === undefined) return sink.write(chunk);
      collected.chunks.push(Buffer.from(chunk as string));
      collected.size += chunk.length;
      if (collected.size > LARGEST_MESSAGE) throw tooLarge();
      return true;
    },
    whole(status, headers, body) {
      const judged =
        body.length > 0 && mediaTypeOf(headers) === 'application/json'
          ? judgeBody(body, headers, judge, instead)
          : body;
      sink.whole(status, judged === body ? headers : withoutLength(headers), judged);
    },
    end() {
      if (collected === undefined) {
        sink.end();
        return;
      }
      const { status, headers, chunks } = collected;
      sink.whole(status, withoutLength(headers), judgeBody(Buffer.concat(chunks), headers, judge, instead));
    },
  });
}

const tooLarge = (): GatewayError =>
  new GatewayError('upstream_protocol', 'The upstream’s answer is larger than what is read of one.');

function judgeBody(
  body: Uint8Array | string,
  headers: HeaderList,
  judge: JudgeMessage,
  instead: () => JsonObject,
): Uint8Array | string {
  const text = typeof body === 'string' ? body : Buffer.from(body).toString('utf8');
  const message = isEncoded(headers) ? undefined : readMessage(text);
  const judged = message && judge(message);
  if (judged === message && judged !== undefined && withoutMark(text) === text) return body;
  // Bytes, because a text in a sink holds ASCII only.
  return Buffer.from(writeJson(judged ?? instead()));
}

function judgeEvent(event: ServerEvent, judge: JudgeMessage): ServerEvent | undefined {
  if (event.data === undefined || event.data === '') return event;
  const message = readMessage(event.data);
  const judged = message && judge(message);
  if (judged === message && judged !== undefined) return { ...event, data: withoutMark(event.data) };
  // The id stays, so that a client that resumes from here gets no event twice.
  if (judged === undefined)
    return event.id === undefined
      ? undefined
      : { id: event.id, ...(event.retry !== undefined && { retry: event.retry }), data: '' };
  return { ...event, data: writeJson(judged) };
}

function mediaTypeOf(headers: HeaderList): string {
  return (header(headers, 'content-type') ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
}

function isEncoded(headers: HeaderList): boolean {
  return headerValues(headers, 'content-encoding').some(isCoded);
}

/** Fields of an answer that was read as UTF-8 and is written again. */
function withoutLength(headers: HeaderList): HeaderList {
  const kept = keepFields(headers, (name) => name !== 'content-length' && name !== 'content-encoding');
  return [...fieldPairs(kept)].flatMap(([name, value]) => [
    name,
    name === 'content-type' && /charset/i.test(value) ? (value.split(';', 1)[0] as string).trim() : value,
  ]);
}
