// The stream in which a held call's agent waits, from its first notification to the answer. Kinds: a stream that looks
// dead to what stands between, also when people have decided and the tool is at work; frames that a client does not
// take because they do not name their event. On virtual time.

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ResponseSink } from '../../src/domain/upstream.ts';
import { createEventReader, type ServerEvent } from '../../src/mcp/event-stream.ts';
import { openHeldStream } from '../../src/mcp/held-stream.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const COMMENT = ': keep-alive\n\n';
const ANSWER = { jsonrpc: '2.0', id: 7, result: { content: [] } };
const JSON_TYPE = ['content-type', 'application/json'];
const EVENTS = ['content-type', 'text/event-stream'];

function rig() {
  let written: Buffer[] = [];
  let closed = (): void => {};
  const inner: ResponseSink = {
    started: false,
    head() {},
    write(chunk) {
      return written.push(Buffer.from(chunk as string)) > 0;
    },
    onDrain() {},
    whole() {},
    end() {},
    abort() {},
  };
  const stream = openHeldStream({
    ...{ sink: inner, rpcId: 7, progressToken: 'p', holdId: 'hold_1', everyMs: 10_000 },
    onClosed(callback) {
      closed = callback;
      return () => {
        closed = () => {};
      };
    },
  });
  /** What was written since it was asked last. */
  const news = (): string => {
    const text = Buffer.concat(written).toString('utf8');
    written = [];
    return text;
  };
  return { ...stream, news, leave: () => closed() };
}

function eventsIn(text: string): ServerEvent[] {
  const events: ServerEvent[] = [];
  createEventReader(10_000, (event) => void events.push(event)).push(text);
  return events;
}

/** Every frame on its own says which event it is, and nothing else is in it. */
function expectNamed(text: string, frames: number): void {
  const events = eventsIn(text);
  expect(events).toHaveLength(frames);
  for (const { event, data } of events)
    expect([event, JSON.parse(data ?? '')]).toMatchObject(['message', { jsonrpc: '2.0' }]);
}

it('tells of the wait until it is decided, and gives comments from then on until the upstream has answered', () => {
  const { sink, stop, news } = rig();
  vi.advanceTimersByTime(25_000);
  expectNamed(news(), 3);
  stop();
  vi.advanceTimersByTime(30_000);
  expect(news()).toBe(COMMENT.repeat(3));
  sink.whole(200, JSON_TYPE, JSON.stringify(ANSWER));
  const answer = news();
  expectNamed(answer, 1);
  expect(JSON.parse(eventsIn(answer)[0]?.data ?? '')).toEqual(ANSWER);
  vi.advanceTimersByTime(60_000);
  expect(news()).toBe('');
});

describe.each<[string, (sink: ResponseSink) => void]>([
  ['a whole answer', (sink) => sink.whole(200, JSON_TYPE, JSON.stringify(ANSWER))],
  ['an answer in pieces', (sink) => sink.head(200, JSON_TYPE)],
  ['a stream of events', (sink) => sink.head(200, EVENTS)],
  ['an answer that broke off', (sink) => sink.abort()],
  ['an end without an answer', (sink) => sink.end()],
  ['a refusal in another form', (sink) => sink.whole(503, ['content-type', 'text/html'], '<p>')],
])('%s', (_what, begin) => {
  it.each([
    ['after the decision', true],
    ['before it', false],
  ])('ends notifications and comments: %s', (_when, decided) => {
    const { sink, stop, news } = rig();
    if (decided) stop();
    begin(sink);
    if (!decided) stop();
    news();
    vi.advanceTimersByTime(60_000);
    expect(news()).toBe('');
  });
});

it('gives comments too while an answer comes of which nothing is passed on', () => {
  const { sink, stop, news } = rig();
  stop();
  news();
  sink.head(502, ['content-type', 'text/html']);
  sink.write('<p>');
  vi.advanceTimersByTime(20_000);
  expect(news()).toBe(COMMENT.repeat(2));
  sink.end();
  const failure = news();
  expectNamed(failure, 1);
  expect(JSON.parse(eventsIn(failure)[0]?.data ?? '')).toMatchObject({ id: 7, error: { code: expect.any(Number) } });
});

it.each([
  ['waiting', false],
  ['its tool at work', true],
])('is silent when its agent went away with the call %s', (_what, decided) => {
  const { stop, news, leave } = rig();
  if (decided) stop();
  leave();
  news();
  vi.advanceTimersByTime(60_000);
  expect(news()).toBe('');
});

it('keeps an answer of several lines and odd pieces in one named frame', () => {
  const { sink, stop, news } = rig();
  stop();
  news();
  const answer = { ...ANSWER, result: { content: [{ type: 'text', text: 'Grüße' }] } };
  sink.head(200, JSON_TYPE);
  for (const byte of Buffer.from(JSON.stringify(answer, null, 2))) sink.write(Uint8Array.of(byte));
  sink.end();
  const events = eventsIn(news());
  expect(events.map(({ event, data }) => [event, JSON.parse(data ?? '')])).toEqual([['message', answer]]);
});
