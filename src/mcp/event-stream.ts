// Server-sent events (HTML Living Standard section 9.2): read strictly by its rules, written in one canonical form, so that what the
// agent's parser sees is exactly what was judged here. Trusts nothing; an event larger than the limit ends the stream.

import { StringDecoder } from 'node:string_decoder';

export interface ServerEvent {
  readonly event?: string;
  readonly id?: string;
  readonly retry?: string;
  /** Lines joined with line feeds; absent when the event has no data field. */
  readonly data?: string;
}

/** Splits a stream. `push` and `flush` call `onEvent` for each event that is complete; `false` from `push` means one became too large. */
export interface EventReader {
  push(chunk: Uint8Array | string): boolean;
}

export function createEventReader(limit: number, onEvent: (event: ServerEvent) => void): EventReader {
  const decoder = new StringDecoder('utf8');
  let rest = '';
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
      rest += typeof chunk === 'string' ? chunk : decoder.write(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
      if (first && rest !== '') {
        if (rest.startsWith('\uFEFF')) rest = rest.slice(1);
        first = false;
      }
      let at = 0;
      for (;;) {
        const end = nextLineEnd(rest, at);
        // A carriage return at the end may be half of a line end.
        if (end === -1 || (rest[end] === '\r' && end === rest.length - 1)) break;
        line(rest.slice(at, end));
        at = rest[end] === '\r' && rest[end + 1] === '\n' ? end + 2 : end + 1;
      }
      rest = rest.slice(at);
      return rest.length + size <= limit;
    },
  };
}

function nextLineEnd(text: string, from: number): number {
  const feed = text.indexOf('\n', from);
  const carriage = text.indexOf('\r', from);
  if (feed === -1 || carriage === -1) return Math.max(feed, carriage);
  return Math.min(feed, carriage);
}

/** The canonical text of one event. */
export function formatEvent({ event, id, retry, data }: ServerEvent): string {
  let text = '';
  if (event !== undefined) text += `event: ${event}\n`;
  if (id !== undefined) text += `id: ${id}\n`;
  if (retry !== undefined) text += `retry: ${retry}\n`;
  for (const line of data?.split('\n') ?? []) text += `data: ${line}\n`;
  return `${text}\n`;
}
