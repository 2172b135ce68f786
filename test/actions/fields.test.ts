import { describe, expect, it } from 'vitest';
import { acceptFields, boundHeaders, forwardableHeaders } from '../../src/actions/fields.ts';

describe('acceptFields', () => {
  it('lower-cases names and keeps order and repeats', () => {
    expect(acceptFields(['Host', 'a', 'X-B', '1', 'Accept', 'a', 'X-B', '2'])).toEqual({
      headers: ['host', 'a', 'x-b', '1', 'accept', 'a', 'x-b', '2'],
      chunked: false,
      webSocket: false,
    });
  });

  it('says that the message is chunked or wants a WebSocket, and keeps neither field', () => {
    expect(acceptFields(['Transfer-Encoding', 'Chunked', 'Upgrade', 'websocket', 'Connection', 'upgrade'])).toEqual({
      headers: [],
      chunked: true,
      webSocket: true,
    });
  });

  it('drops a nominated field that stands before the Connection field', () => {
    expect(acceptFields(['X-A', '1', 'Connection', 'x-a , close', 'X-a', '2', 'X-B', '3']).headers).toEqual(['x-b', '3']);
  });

  it('counts __proto__ as a name with underscores', () => {
    expect(acceptFields(['__proto__', 'a', 'x-b', '1']).headers).toEqual(['x-b', '1']);
  });
});

describe('forwardableHeaders', () => {
  it('withholds what is configured besides what never travels', () => {
    const headers = ['host', 'a', 'x-agent-token', 'secret', 'content-length', '3', 'expect', '100-continue', 'user-agent', 'curl'];
    expect(forwardableHeaders(headers, ['x-agent-token'])).toEqual(['user-agent', 'curl']);
  });

  it.each([
    ['wait=50', undefined],
    ['respond-async, wait=10', undefined],
    ['return=minimal, wait=10', 'return=minimal'],
    ['WAIT = 5, handling=lenient;x="a, wait=1"', 'handling=lenient;x="a, wait=1"'],
    ['x="a\\", wait=2", y', 'x="a\\", wait=2", y'],
    ['waiting=1', 'waiting=1'],
  ])('takes out of "Prefer: %s" what is said to the gateway', (value, left) => {
    expect(forwardableHeaders(['prefer', value])).toEqual(left === undefined ? [] : ['prefer', left]);
  });
});

describe('boundHeaders', () => {
  it('keeps the allow-list, Mcp-* and configured fields, sorted by name, repeats in order', () => {
    const headers = [
      'x-bound',
      '1',
      'user-agent',
      'curl',
      'mcp-session-id',
      's',
      'if-match',
      'b',
      'accept',
      'a',
      'if-match',
      'a',
      'authorization',
      'Bearer x',
      'x-other',
      '2',
    ];
    expect(boundHeaders(headers, ['x-bound'])).toEqual(['accept', 'a', 'if-match', 'b', 'if-match', 'a', 'mcp-session-id', 's', 'x-bound', '1']);
  });

  it('never binds a credential, even when it is configured', () => {
    expect(boundHeaders(['authorization', 'Bearer x', 'cookie', 'a', 'x-token', 't'], ['authorization', 'cookie', 'x-token'], ['x-token'])).toEqual([]);
  });

  it('does not depend on how long the caller wants to wait', () => {
    const bind = (prefer: string) => boundHeaders(['prefer', prefer, 'accept', 'a'], []);
    expect(bind('wait=1')).toEqual(bind('respond-async'));
  });
});
