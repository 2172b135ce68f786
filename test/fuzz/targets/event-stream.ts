// Server-sent events. However the stream is cut, the events are those that a plain reading of the whole text gives
// (HTML Living Standard section 9.2.6); written and read again, they are the same.

import { isDeepStrictEqual } from 'node:util';
import { createEventReader, formatEvent, type ServerEvent } from '../../../src/mcp/event-stream.ts';
import { fromPieces } from '../inputs.ts';
import { demand, type Target } from '../target.ts';

const LIMIT = 1_000_000;

function read(bytes: Uint8Array, cut: number): ServerEvent[] {
  const events: ServerEvent[] = [];
  const reader = createEventReader(LIMIT, (event) => events.push(event));
  for (let at = 0; at < bytes.length; at += cut) reader.push(bytes.subarray(at, at + cut));
  return events;
}

/** The standard, over a text that is all there. */
function readWhole(text: string): ServerEvent[] {
  const events: ServerEvent[] = [];
  let fields: Record<string, string> = {};
  let data: string[] = [];
  // What follows the last line end is no line yet; a carriage return at the very end may be half of one.
  const lines = text
    .replace(/^\uFEFF/, '')
    .replace(/\r$/, '')
    .split(/\r\n|\n|\r/)
    .slice(0, -1);
  for (const line of lines) {
    if (line === '') {
      if (data.length > 0 || 'id' in fields || 'retry' in fields)
        events.push({ ...fields, ...(data.length > 0 && { data: data.join('\n') }) });
      [fields, data] = [{}, []];
      continue;
    }
    const [, name = '', value = ''] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? [];
    if (name === 'data') data.push(value);
    else if (name === 'event' || name === 'retry' || (name === 'id' && !value.includes('\0'))) fields[name] = value;
  }
  return events;
}

export const eventStream: Target = {
  name: 'event-stream',
  drives: 'the reading of server-sent events',
  inputs: fromPieces([
    'data: ',
    'data:',
    'data',
    'event: message',
    'id: 7',
    'id:',
    'retry: 5',
    ':',
    ': ping',
    ' ',
    '\n',
    '\r',
    '\r\n',
    '\n\n',
    '\r\r',
    '{"a":1}',
    '\uFEFF',
    'é',
    '🙂',
    '\0',
    'Data: x',
  ]),
  read: (text) => void read(new TextEncoder().encode(text), Number.POSITIVE_INFINITY),
  check(text) {
    const bytes = new TextEncoder().encode(text);
    const events = read(bytes, Number.POSITIVE_INFINITY);
    const whole = readWhole(new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes));
    demand(isDeepStrictEqual(events, whole), 'A plain reading of the whole gives other events.');
    if (bytes.length < 20_000)
      for (const cut of [1, 2, 3, 7])
        demand(isDeepStrictEqual(read(bytes, cut), events), `Cut into pieces of ${cut} bytes it gives other events.`);
    const written = new TextEncoder().encode(events.map(formatEvent).join(''));
    demand(
      isDeepStrictEqual(read(written, Number.POSITIVE_INFINITY), events),
      'The events do not come back from a round trip.',
    );
  },
};
