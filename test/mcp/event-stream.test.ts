import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createEventReader, formatEvent, type ServerEvent } from '../../src/mcp/event-stream.ts';

function read(text: string | Uint8Array, cut = 1_000_000, limit = 1_000_000): ServerEvent[] {
  const events: ServerEvent[] = [];
  const reader = createEventReader(limit, (event) => events.push(event));
  const bytes = Buffer.from(text as string);
  for (let i = 0; i < bytes.length; i += cut)
    if (!reader.push(bytes.subarray(i, i + cut))) throw new Error('too large');
  return events;
}

describe('an event stream', () => {
  it('is read by the rules of the standard, whatever ends its lines', () => {
    for (const end of ['\n', '\r\n', '\r']) {
      const lines = [
        '\uFEFFevent: message',
        ': comment',
        'id: 7',
        'id: 8\u0000',
        'data: {"a":',
        'data:1}',
        '',
        'data',
        '',
        'retry: 5',
        '',
        'id: x',
        '',
        '',
      ];
      expect(read(`${lines.join(end)}\n`)).toEqual([
        { event: 'message', id: '7', data: '{"a":\n1}' },
        { data: '' },
        { retry: '5' },
        { id: 'x' },
      ]);
    }
  });

  it('sees the message that a bare carriage return would hide from a reader of lines', () => {
    expect(read('data: {"harmless":1}\r\rdata: {"method":"sampling/createMessage"}\n\n')).toHaveLength(2);
  });

  it('comes out the same however it is cut, also within a character', () => {
    const line = fc.string({ unit: fc.constantFrom('a', 'é', '🙂', ':', ' ', '{') });
    fc.assert(
      fc.property(
        fc.array(fc.array(line, { minLength: 1, maxLength: 3 }), { maxLength: 4 }),
        fc.integer({ min: 1, max: 5 }),
        (events, cut) => {
          const written = events.map((lines) => ({ data: lines.join('\n') }));
          expect(read(written.map(formatEvent).join(''), cut)).toEqual(written);
        },
      ),
    );
  });

  it('is refused when one event is larger than the limit', () => {
    expect(() => read(`data: ${'x'.repeat(100)}`, 10, 50)).toThrow('too large');
    expect(() => read('data: xxxxxxxxxx\n'.repeat(10), 10, 50)).toThrow('too large');
    expect(read('data: xxxxxxxxxx\n\n'.repeat(10), 10, 50)).toHaveLength(10);
  });
});
