import { describe, expect, it } from 'vitest';
import { collectOutcome, createTaskOutcomes } from '../../../src/mcp/tasks/outcomes.ts';
import type { RpcOutcome } from '../../../src/mcp/tasks/views.ts';

function collect() {
  const ended: RpcOutcome[] = [];
  return { ended, sink: collectOutcome((outcome) => void ended.push(outcome)) };
}

const JSON_TYPE = ['content-type', 'application/json'];
const EVENTS = ['content-type', 'text/event-stream; charset=utf-8'];
const event = (message: object): string => `data: ${JSON.stringify(message)}\n\n`;

describe('the answer to a call that runs as a task', () => {
  it('is the one message of a JSON body, in pieces that end within a character', () => {
    const { ended, sink } = collect();
    const bytes = Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: 1, result: { text: 'Zürich 世界' } }));
    sink.head(200, JSON_TYPE);
    for (const byte of bytes) sink.write(Uint8Array.of(byte));
    sink.end();
    expect(ended).toEqual([{ result: { text: 'Zürich 世界' } }]);
  });

  it('is the response in an event stream, whatever comes before and after it', () => {
    const { ended, sink } = collect();
    sink.head(200, EVENTS);
    sink.write(event({ jsonrpc: '2.0', method: 'notifications/progress', params: {} }));
    expect(ended).toEqual([]);
    sink.write(event({ jsonrpc: '2.0', id: 1, result: { n: 1 } }));
    expect(ended).toHaveLength(1);
    sink.write(event({ jsonrpc: '2.0', id: 1, result: { n: 2 } }));
    sink.end();
    expect(ended).toEqual([{ result: { n: 1 } }]);
  });

  it('is an error where there is none: no message, another form, or what needs the client in the middle', () => {
    for (const [headers, body, words] of [
      [JSON_TYPE, '[]', 'no JSON-RPC message'],
      [['content-type', 'text/html'], '<p>', 'HTTP status 200'],
      [EVENTS, ': nothing\n\n', 'no JSON-RPC message'],
      [
        JSON_TYPE,
        '{"jsonrpc":"2.0","id":1,"result":{"resultType":"input_required","requestState":"x"}}',
        'asks for more input',
      ],
      [
        JSON_TYPE,
        '{"jsonrpc":"2.0","id":1,"result":{"resultType":"task","taskId":"t-1","status":"working"}}',
        'It is t-1.',
      ],
      [
        JSON_TYPE,
        '{"jsonrpc":"2.0","id":1,"result":{"task":{"taskId":"bad id","status":"working"}}}',
        'a task of its own',
      ],
    ] as const) {
      const { ended, sink } = collect();
      sink.whole(200, [...headers], body);
      expect(ended).toHaveLength(1);
      expect(JSON.stringify(ended[0])).toContain(words);
      expect(ended[0]).toHaveProperty('error');
      expect(JSON.stringify(ended[0])).not.toContain('bad id');
    }
  });

  it('is an error when it breaks off, once; a response that came whole before that counts', () => {
    const broken = collect();
    broken.sink.head(200, JSON_TYPE);
    broken.sink.write('{"jsonrpc":"2.0","id":1,"result":{}}');
    broken.sink.abort();
    broken.sink.end();
    expect(broken.ended).toMatchObject([{ error: { data: { code: 'upstream_aborted' } } }]);
    const late = collect();
    late.sink.head(200, EVENTS);
    late.sink.write(event({ jsonrpc: '2.0', id: 1, result: { n: 1 } }));
    late.sink.abort();
    expect(late.ended).toEqual([{ result: { n: 1 } }]);
  });
});

describe('outcomes', () => {
  it('are kept when the execution is over, and whoever waits is woken', async () => {
    const outcomes = createTaskOutcomes();
    const end = outcomes.begin('t', undefined);
    const waiting = outcomes.running('t');
    const drained = outcomes.drain(60_000);
    expect(outcomes.get('t')).toBeUndefined();
    end({ result: {} });
    await Promise.all([waiting, drained]);
    expect(outcomes.get('t')).toEqual({ result: {} });
    expect(outcomes.running('t')).toBeUndefined();
  });

  it('do not hold a shutdown up for longer than its grace', async () => {
    const outcomes = createTaskOutcomes();
    outcomes.begin('t', undefined);
    await outcomes.drain(5);
    expect(outcomes.running('t')).toBeDefined();
  });
});
