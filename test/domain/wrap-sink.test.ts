import { beforeEach, expect, test } from 'vitest';
import type { ResponseSink } from '../../src/domain/upstream.ts';
import { wrapSink } from '../../src/domain/wrap-sink.ts';
import { GatewayError } from '../../src/errors.ts';

let calls: unknown[][];
let started: boolean;
let inner: ResponseSink;

beforeEach(() => {
  calls = [];
  started = false;
  inner = {
    get started() {
      return started;
    },
    head: (...args) => void calls.push(['head', ...args]),
    write: (...args) => calls.push(['write', ...args]) > 0,
    onDrain: (...args) => void calls.push(['onDrain', ...args]),
    whole: (...args) => void calls.push(['whole', ...args]),
    end: (...args) => void calls.push(['end', ...args]),
    abort: (...args) => void calls.push(['abort', ...args]),
  };
});

function useAll(sink: ResponseSink): void {
  sink.head(200, ['a', 'b']);
  sink.write('piece');
  sink.onDrain(drained);
  sink.whole(201, [], 'body');
  sink.end();
  sink.abort(fault);
}

const drained = (): void => {};
const fault = new GatewayError('upstream_aborted', 'It broke off.');

test('what is not overridden reaches the inner sink with all it was given', () => {
  const sink = wrapSink(inner, {});
  useAll(sink);
  expect(calls).toEqual([
    ['head', 200, ['a', 'b']],
    ['write', 'piece'],
    ['onDrain', drained],
    ['whole', 201, [], 'body'],
    ['end'],
    ['abort', fault],
  ]);
  expect(sink.started).toBe(false);
  started = true;
  expect(sink.started).toBe(true);
});

test('an override takes the place of the inner method, and nothing passes it by itself', () => {
  const seen: string[] = [];
  const sink = wrapSink(inner, {
    get started() {
      return true;
    },
    head: () => void seen.push('head'),
    write: () => seen.push('write') < 0,
    onDrain: () => void seen.push('onDrain'),
    whole: () => void seen.push('whole'),
    end: () => void seen.push('end'),
    abort: () => void seen.push('abort'),
  });
  useAll(sink);
  expect(calls).toEqual([]);
  expect(seen).toEqual(['head', 'write', 'onDrain', 'whole', 'end', 'abort']);
  expect(sink.started).toBe(true);
  expect(sink.write('piece')).toBe(false);
});
