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
    expect(acceptFields(['X-A', '1', 'Connection', 'x-a , close', 'X-a', '2', 'X-B', '3']).headers).toEqual([
      'x-b',
      '3',
    ]);
  });

  it('counts __proto__ as a name with underscores', () => {
    expect(acceptFields(['__proto__', 'a', 'x-b', '1']).headers).toEqual(['x-b', '1']);
  });
});

// Pins the kind "a field that comes twice": equal copies are one value, what decides nothing passes, and what decides
// stays strict.
describe('a field that comes twice', () => {
  const refused = (raw: readonly string[]) =>
    expect(() => acceptFields(raw), raw.join(' ')).toThrow(expect.objectContaining({ code: 'bad_header' }));
  const TRACE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

  it.each(['User-Agent', 'Referer', 'Date', 'From'])(
    'and says something of the sender alone passes as it came: %s',
    (name) => {
      expect(acceptFields([name, 'a', name.toUpperCase(), 'b']).headers).toEqual([
        name.toLowerCase(),
        'a',
        name.toLowerCase(),
        'b',
      ]);
    },
  );

  it.each(['Mcp-Protocol-Version', 'Mcp-Method', 'Mcp-Session-Id', 'Mcp-Name', 'Mcp-Param-Region'])(
    'in equal copies is one value: %s',
    (name) => {
      expect(acceptFields([name, 'v', name.toLowerCase(), 'v', name, 'v']).headers).toEqual([name.toLowerCase(), 'v']);
      refused([name, 'v', name, 'w']);
      refused([name, 'v', name, 'V']);
    },
  );

  it.each(['2025-11-25, 2025-11-25', '2025-11-25,2025-11-25', '2025-11-25 , 2025-11-25,2025-11-25'])(
    'joined to a list of copies is one value: %s',
    (list) => {
      expect(acceptFields(['Mcp-Protocol-Version', list]).headers).toEqual(['mcp-protocol-version', '2025-11-25']);
      expect(acceptFields(['Mcp-Protocol-Version', list, 'Mcp-Protocol-Version', '2025-11-25']).headers).toEqual([
        'mcp-protocol-version',
        '2025-11-25',
      ]);
      refused(['Mcp-Protocol-Version', list, 'Mcp-Protocol-Version', '2025-06-18']);
    },
  );

  it('stays as it is where the list is of other values, or a comma belongs to the value', () => {
    for (const raw of [
      ['mcp-protocol-version', '2025-11-25, 2025-06-18'],
      ['mcp-name', 'a, a'],
      ['mcp-param-x', 'a, a'],
    ]) {
      expect(acceptFields(raw).headers).toEqual(raw);
    }
  });

  it('and is a traceparent means that there is none', () => {
    expect(acceptFields(['traceparent', TRACE]).headers).toEqual(['traceparent', TRACE]);
    expect(acceptFields(['traceparent', TRACE, 'x-a', '1', 'Traceparent', TRACE, 'TRACEPARENT', 'x']).headers).toEqual([
      'x-a',
      '1',
    ]);
  });

  it.each([
    'Authorization',
    'Content-Type',
    'Content-Encoding',
    'Idempotency-Key',
    'Countersign-Task',
    'Origin',
    'Range',
    'If-Range',
    'Expect',
    'DPoP',
    'Content-MD5',
  ])('and decides is refused, in equal copies too: %s', (name) => refused([name, 'a', name, 'a']));

  it.each([
    ['x.agent.id', 'x!forwarded!for'],
    ['x_agent.id', 'x~real~ip'],
  ])('under a name that CGI reads as another is not passed: %s, %s', (...names) => {
    expect(acceptFields(names.flatMap((name) => [name, 'a'])).headers).toEqual([]);
  });

  it('under a name that CGI reads as one that decides is refused', () => {
    for (const name of ['content.type', 'idempotency~key', 'x.http.method.override', 'mcp_method', 'x_method'])
      refused([name, 'a']);
    expect(acceptFields(['x-amz-meta-my.key', 'a']).headers).toEqual(['x-amz-meta-my.key', 'a']);
  });
});

describe('forwardableHeaders', () => {
  it('withholds what is configured besides what never travels', () => {
    const headers = [
      'host',
      'a',
      'x-agent-token',
      'secret',
      'content-length',
      '3',
      'expect',
      '100-continue',
      'user-agent',
      'curl',
    ];
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
    expect(boundHeaders(headers, ['x-bound'])).toEqual([
      'accept',
      'a',
      'if-match',
      'b',
      'if-match',
      'a',
      'mcp-session-id',
      's',
      'x-bound',
      '1',
    ]);
  });

  it('never binds a credential, even when it is configured', () => {
    expect(
      boundHeaders(
        ['authorization', 'Bearer x', 'cookie', 'a', 'x-token', 't'],
        ['authorization', 'cookie', 'x-token'],
        ['x-token'],
      ),
    ).toEqual([]);
  });

  it('does not depend on how long the caller wants to wait', () => {
    const bind = (prefer: string) => boundHeaders(['prefer', prefer, 'accept', 'a'], []);
    expect(bind('wait=1')).toEqual(bind('respond-async'));
  });
});
