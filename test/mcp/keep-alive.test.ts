// Kind: a stream that the gateway holds open and that looks dead to what stands between. On virtual time.

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ResponseSink } from '../../src/domain/upstream.ts';
import { createEventReader } from '../../src/mcp/event-stream.ts';
import { keptAlive } from '../../src/mcp/keep-alive.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function rig() {
  const written: string[] = [];
  let closed = (): void => {};
  const inner: ResponseSink = {
    started: false,
    head() {},
    write: (chunk) => written.push(String(chunk)) > 0,
    onDrain() {},
    whole() {},
    end() {},
    abort() {},
  };
  const sink = keptAlive(inner, {
    everyMs: 10_000,
    onClosed: (callback) => {
      closed = callback;
      return () => {};
    },
  });
  return { sink, written, leave: () => closed() };
}

const EVENTS = ['content-type', 'text/event-stream; charset=utf-8'];

describe('a stream of events', () => {
  it('gets a comment now and then, between its events, which no client takes for an event', () => {
    const { sink, written } = rig();
    sink.head(200, EVENTS);
    sink.write('data: 1\n\n');
    vi.advanceTimersByTime(25_000);
    sink.write('data: 2\n\n');
    expect(written).toEqual(['data: 1\n\n', ': keep-alive\n\n', ': keep-alive\n\n', 'data: 2\n\n']);
    const seen: (string | undefined)[] = [];
    createEventReader(1_000, ({ data }) => void seen.push(data)).push(written.join(''));
    expect(seen).toEqual(['1', '2']);
  });

  it.each([
    ['it ends', (sink: ResponseSink) => sink.end()],
    ['it breaks off', (sink: ResponseSink) => sink.abort()],
  ])('gets none after %s', (_when, stop) => {
    const { sink, written } = rig();
    sink.head(200, EVENTS);
    stop(sink);
    vi.advanceTimersByTime(60_000);
    expect(written).toEqual([]);
  });

  it('gets none after its agent went away', () => {
    const { sink, written, leave } = rig();
    sink.head(200, EVENTS);
    leave();
    vi.advanceTimersByTime(60_000);
    expect(written).toEqual([]);
  });
});

it.each([
  ['JSON', 200, ['content-type', 'application/json']],
  ['an error', 400, EVENTS],
  ['nothing', 200, []],
])('%s gets none', (_what, status, headers) => {
  const { sink, written } = rig();
  sink.head(status, headers);
  vi.advanceTimersByTime(60_000);
  expect(written).toEqual([]);
});
