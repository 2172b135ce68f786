import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createEventStreams, tokenExpiry } from '../../src/review/events.ts';
import { approve, openHoldBy } from '../support/holds/bench.ts';
import { actionOf, decisionOf, manualClock, requirementOf, reviewerOf } from '../support/holds/values.ts';
import { openReviewPlane, type ReviewPlane } from '../support/review-plane.ts';

let plane: ReviewPlane;
beforeEach(async () => {
  // Streams end with their token, so both need one time.
  plane = await openReviewPlane({}, manualClock(Date.now()));
});
afterEach(() => plane.close());

/** Reads a stream of events one by one. */
async function listen(as: 'alice' | 'mallory') {
  const abort = new AbortController();
  const response = await plane.call(as, '/api/v1/events', { signal: abort.signal });
  const reader = (response.body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  return {
    response,
    abort,
    /** The next event's fields, or undefined when the stream has ended. */
    async next(): Promise<Record<string, string> | undefined> {
      while (!text.includes('\n\n')) {
        const { done, value } = await reader.read();
        if (done) return undefined;
        text += value;
      }
      const end = text.indexOf('\n\n');
      const lines = text.slice(0, end).split('\n');
      text = text.slice(end + 2);
      return Object.fromEntries(
        lines.map((line) => [line.slice(0, line.indexOf(': ')), line.slice(line.indexOf(': ') + 2)]),
      );
    },
  };
}

describe('the event stream', () => {
  it('begins by asking for a fresh look, then tells of each change with an id of its own', async () => {
    const stream = await listen('alice');
    expect(stream.response.headers.get('content-type')).toBe('text/event-stream');
    expect(await stream.next()).toMatchObject({ event: 'snapshot' });
    const hold = await openHoldBy(plane.bench);
    const opened = await stream.next();
    expect(opened).toMatchObject({ event: 'hold', id: `${hold.id}.1` });
    expect(JSON.parse(opened?.data ?? '')).toMatchObject({
      id: hold.id,
      state: 'PENDING',
      version: 1,
      bindingDigest: hold.bindingDigest,
    });
    await approve(plane.bench, hold);
    expect(JSON.parse((await stream.next())?.data ?? '')).toMatchObject({ id: hold.id, state: 'APPROVED', votes: 1 });
    stream.abort.abort();
  });

  it('tells nobody of holds that do not name them', async () => {
    const stream = await listen('mallory');
    await stream.next();
    await openHoldBy(plane.bench, { action: actionOf({}, '1') });
    const mine = await openHoldBy(plane.bench, {
      action: actionOf({}, '2'),
      decision: decisionOf({ requirements: [requirementOf({ reviewers: ['user:mallory'] })] }),
    });
    expect(JSON.parse((await stream.next())?.data ?? '')).toMatchObject({ id: mine.id });
    stream.abort.abort();
  });

  it('lets go of a listener that has gone away', async () => {
    const { holds } = plane.bench.store;
    const gone = Promise.withResolvers<void>();
    const { subscribe } = holds;
    vi.spyOn(holds, 'subscribe').mockImplementation((listener) => {
      const end = subscribe(listener);
      return () => {
        end();
        gone.resolve();
      };
    });
    const stream = await listen('alice');
    await stream.next();
    stream.abort.abort();
    await gone.promise;
  });

  it('ends when the gateway drains', async () => {
    const stream = await listen('alice');
    await stream.next();
    plane.drain();
    expect(await stream.next()).toBeUndefined();
  });

  it('ends a reviewer’s oldest stream when they open too many', async () => {
    const first = await listen('alice');
    await first.next();
    const others = [];
    for (let i = 0; i < 8; i++) others.push(await listen('alice'));
    expect(await first.next()).toBeUndefined();
    for (const other of others) other.abort.abort();
  });
});

describe('streams by themselves', () => {
  const eligibility = { isEligible: () => true, conflictOf: () => undefined, requirementsOf: () => [requirementOf()] };
  const endOf = async (stream: ReadableStream<Uint8Array>) => {
    let text = '';
    for await (const chunk of stream.pipeThrough(new TextDecoderStream())) text += chunk;
    return text;
  };

  it('are over at once for a token that has run out', async () => {
    const streams = createEventStreams(plane.bench.store.holds, eligibility, new AbortController().signal);
    expect(await endOf(streams.open(reviewerOf('alice'), Date.now() - 1))).toContain('event: snapshot');
  });

  it('do not pile up events for a listener that reads nothing', async () => {
    const streams = createEventStreams(plane.bench.store.holds, eligibility, new AbortController().signal);
    const stream = streams.open(reviewerOf('alice'), Date.now() + 60_000);
    for (let i = 0; i < 300; i++) await openHoldBy(plane.bench, { action: actionOf({}, `${i}`) });
    const text = await endOf(stream);
    expect(text.match(/event: hold/g)?.length).toBeLessThan(300);
  });

  it('take the end of a token from its own claim, and nothing from anything else', () => {
    const token = ['e30', Buffer.from('{"exp":1800000000}').toString('base64url'), 'x'].join('.');
    expect(tokenExpiry([`Bearer ${token}`])).toBe(1_800_000_000_000);
    for (const other of [
      [],
      ['Bearer x'],
      ['Bearer a.b.c'],
      [`Bearer e30.${Buffer.from('{"exp":"1"}').toString('base64url')}.x`],
    ])
      expect(tokenExpiry(other)).toBe(0);
  });
});
