// Server-sent events (HTML Living Standard section 9.2): read strictly by the standard and written in one canonical
// form, so that the agent's parser sees exactly what was judged here. Trusts nothing; an event larger than the limit
// ends the stream.

import { StringDecoder } from 'node:string_decoder';

export interface ServerEvent {
  readonly event?: string;
  readonly id?: string;
  readonly retry?: string;
  /** Lines joined with line feeds; absent when the event has no data field. */
  readonly data?: string;
}

/**
 * Splits a stream. `push` and `flush` call `onEvent` for each complete event; `push` gives `false` when an event is too
 * large.
 */
export interface EventReader {
  push(chunk: Uint8Array | string): boolean;
}

export function createEventReader(limit: number, onEvent: (event: ServerEvent) => void): EventReader {
  const decoder = new StringDecoder('utf8');
  let begun: string[] = [];
  let begunLength = 0;
  let carriage = false;
  let first = true;
  let fields: { event?: string; id?: string; retry?: string } = {};
  let data: string[] = [];
  let size = 0;

  function line(text: string): void {
    if (text === '') {
      if (data.length > 0 || fields.id !== undefined || fields.retry !== undefined) {
        onEvent({ ...fields, ...(data.length > 0 && { data: data.join('\n') }) });
      }
      fields = {};
      data = [];
      size = 0;
      return;
    }
    size += text.length;
    const colon = text.indexOf(':');
    if (colon === 0) return;
    const name = colon === -1 ? text : text.slice(0, colon);
    const value = colon === -1 ? '' : text.slice(text[colon + 1] === ' ' ? colon + 2 : colon + 1);
    if (name === 'data') data.push(value);
    else if (name === 'event' || name === 'retry') fields[name] = value;
    else if (name === 'id' && !value.includes('\0')) fields.id = value;
  }

  return {
    push(chunk) {
      let text =
        typeof chunk === 'string'
          ? chunk
          : decoder.write(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
      if (first && text !== '') {
        if (text.startsWith('\uFEFF')) text = text.slice(1);
        first = false;
      }
      // A carriage return at the end may be half of a line end, so it waits for the next piece.
      if (carriage) text = `\r${text}`;
      carriage = text.endsWith('\r');
      if (carriage) text = text.slice(0, -1);
      let at = 0;
      for (let end = nextLineEnd(text, 0); end !== -1; end = nextLineEnd(text, at)) {
        line(begun.join('') + text.slice(at, end));
        begun = [];
        begunLength = 0;
        at = text[end] === '\r' && text[end + 1] === '\n' ? end + 2 : end + 1;
      }
      // Pieces of a line are searched once, and joined when the line ends.
      if (at < text.length) begun.push(text.slice(at));
      begunLength += text.length - at;
      return begunLength + size <= limit;
    },
  };
}

const LINE_END = /[\r\n]/g;

/** One search for both line ends, since a text may have many of one and none of the other. */
function nextLineEnd(text: string, from: number): number {
  LINE_END.lastIndex = from;
  return LINE_END.exec(text)?.index ?? -1;
}

/** A message from the gateway itself. It gives the event its default name, since some clients accept no other. */
export function formatMessage(message: object): string {
  return `${MESSAGE_START}${JSON.stringify(message)}\n\n`;
}

/** The beginning of such an event; the message on one line and an empty line follow. */
export const MESSAGE_START = 'event: message\ndata: ';

/** The canonical text of one event. */
export function formatEvent({ event, id, retry, data }: ServerEvent): string {
  let text = '';
  if (event !== undefined) text += `event: ${event}\n`;
  if (id !== undefined) text += `id: ${id}\n`;
  if (retry !== undefined) text += `retry: ${retry}\n`;
  for (const line of data?.split('\n') ?? []) text += `data: ${line}\n`;
  return `${text}\n`;
}
