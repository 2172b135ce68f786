import { describe, expect, it } from 'vitest';
import type { GatewayError } from '../../src/errors.ts';
import { rawAnswer, startRawUpstream } from '../support/raw-upstream.ts';
import { type CallParts, createRig, outgoing, recordingSink, upstreamOptions } from './harness.ts';

const SECRET = 'ghs_0123456789abcdefABCDEF+/=';

/** Sends one call to an upstream that answers `ok` and gives what the upstream received. */
async function receivedFrom(parts: Omit<CallParts, 'url'>, extra = {}): Promise<string> {
  const upstream = await startRawUpstream(rawAnswer('ok'));
  await using rig = createRig(upstream.origin, extra);
  try {
    await rig.forwarder.send(outgoing({ url: upstream.origin, ...parts }), recordingSink());
    return (upstream.received[0] ?? '').replace(`127.0.0.1:${upstream.port}`, 'UPSTREAM');
  } finally {
    await upstream.close();
  }
}

async function failureOf(parts: CallParts, extra = {}): Promise<GatewayError> {
  await using rig = createRig(parts.url, extra);
  return await rig.forwarder.send(outgoing(parts), recordingSink()).then(
    () => expect.unreachable('the call went through'),
    (error) => error,
  );
}

describe('what the upstream receives', () => {
  it('gets the exact target and none of the agent’s host, framing, identity or proxy fields', async () => {
    const received = await receivedFrom(
      {
        target: '/v1/items/%7Ea;x=1?q=%20a&b',
        headers: [
          ...[
            'host',
            'gateway.example',
            'authorization',
            'Bearer agent',
            'cookie',
            'a=b',
            'x-api-key',
            'k',
            'x-agent-token',
            't',
          ],
          ...[
            'connection',
            'keep-alive, x-nominated',
            'x-nominated',
            'gone',
            'keep-alive',
            'timeout=5',
            'te',
            'trailers',
            'upgrade',
            'h2c',
            'http2-settings',
            'A',
          ],
          ...[
            'x-forwarded-for',
            '1.2.3.4',
            'x_forwarded_for',
            '1.2.3.4',
            'forwarded',
            'for=x',
            'via',
            '1.1 x',
            'x-real-ip',
            '1.1.1.1',
            'expect',
            '100-continue',
          ],
          ...[
            'traceparent',
            '00-aa-bb-01',
            'tracestate',
            'a=b',
            'baggage',
            'c=d',
            'countersign-task',
            't',
            'countersign_task',
            't',
          ],
          ...['x-http-method-override', 'DELETE', 'content-length', '0', 'proxy-authorization', 'Basic x'],
          ...['accept', 'application/json', 'x-note', 'one', 'x-note', 'two', 'accept-encoding', 'gzip'],
        ],
      },
      { agentToken: 'x-agent-token' },
    );
    expect(received).toBe(
      [
        ...['GET /v1/items/%7Ea;x=1?q=%20a&b HTTP/1.1', 'host: UPSTREAM', 'connection: keep-alive'],
        ...['accept: application/json', 'x-note: one', 'x-note: two', 'accept-encoding: gzip', '', ''],
      ].join('\r\n'),
    );
  });

  it('gets the approved bytes with their length, and of a held call only the bound fields and the media type', async () => {
    const received = await receivedFrom({
      method: 'POST',
      headers: ['content-type', 'text/plain', 'x-unbound', 'no', 'if-match', 'no'],
      body: '{"a":1}',
      action: { boundHeaders: ['if-match', '"v1"'], contentType: 'application/json' },
      outgoing: { boundHeadersOnly: true },
    });
    expect(received).toBe(
      'POST / HTTP/1.1\r\nhost: UPSTREAM\r\nconnection: keep-alive\r\nif-match: "v1"\r\ncontent-type: application/json\r\ncontent-length: 7\r\n\r\n{"a":1}',
    );
  });

  it('gets no length and no transfer-encoding with a GET, HEAD or DELETE that has no body, and length 0 with a POST', async () => {
    for (const method of ['GET', 'HEAD', 'DELETE', 'OPTIONS'])
      expect(await receivedFrom({ method })).not.toMatch(/content-length|transfer-encoding/i);
    expect(await receivedFrom({ method: 'POST' })).toContain('\r\ncontent-length: 0\r\n');
  });

  it('gets the injected credential in place of the agent’s field, once', async () => {
    const received = await receivedFrom({
      headers: ['authorization', 'Bearer agent', 'private-key', 'agent', 'accept-encoding', 'gzip, br'],
      injection: { in: 'header', name: 'Private-Key', value: SECRET },
      secrets: [SECRET],
    });
    expect(received).toBe(
      `GET / HTTP/1.1\r\nhost: UPSTREAM\r\nconnection: keep-alive\r\naccept-encoding: identity\r\nprivate-key: ${SECRET}\r\n\r\n`,
    );
  });

  it('gets a query credential appended and encoded', async () => {
    const injection = { in: 'query', name: 'api key', value: 'a&b=c d#é' } as const;
    expect(await receivedFrom({ target: '/x', injection })).toMatch(/^GET \/x\?api%20key=a%26b%3Dc%20d%23%C3%A9 HTTP/);
    expect(await receivedFrom({ target: '/x?y=1', injection })).toMatch(
      /^GET \/x\?y=1&api%20key=a%26b%3Dc%20d%23%C3%A9 HTTP/,
    );
  });

  it('gets the gateway’s own fields instead of the agent’s', async () => {
    const own = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const received = await receivedFrom({
      headers: ['traceparent', 'forged', 'x-own', 'forged'],
      outgoing: { requestHeaders: ['traceparent', own, 'x-own', 'ours'] },
    });
    expect(received).toContain(`\r\ntraceparent: ${own}\r\nx-own: ours\r\n`);
    expect(received).not.toContain('forged');
  });

  it('gets nothing when the query already has the credential’s parameter, however it is spelled', async () => {
    const upstream = await startRawUpstream(rawAnswer('ok'));
    for (const target of ['/?key=x', '/?a=1&KEY=x', '/?%6bey', '/?a;key=1', '/?key[]=1', '/?+key=1']) {
      const injection = { in: 'query', name: 'key', value: SECRET } as const;
      expect(await failureOf({ url: upstream.origin, target, injection })).toMatchObject({ code: 'bad_request' });
    }
    for (const target of ['//evil.example/x', 'http://evil.example/', '/a#b', 'a']) {
      expect(await failureOf({ url: upstream.origin, target })).toMatchObject({ code: 'bad_path' });
    }
    const broken = { in: 'header', name: 'x-key', value: 'a\r\nx: y' } as const;
    const error = await failureOf({ url: upstream.origin, injection: broken });
    expect(error).toMatchObject({ code: 'credential_unavailable' });
    expect(error.message).not.toContain('a\r\n');
    expect(upstream.received).toEqual([]);
    await upstream.close();
  });

  it('gets nothing when the action is for another authority than the configured one', async () => {
    const upstream = await startRawUpstream(rawAnswer('ok'));
    expect(await failureOf({ url: upstream.origin, action: { authority: 'elsewhere.example' } })).toMatchObject({
      code: 'upstream_unreachable',
    });
    expect(await failureOf({ url: upstream.origin, action: { upstream: 'removed' } })).toMatchObject({
      code: 'upstream_unreachable',
    });
    expect(upstream.received).toEqual([]);
    await upstream.close();
  });
});

describe('what the agent receives', () => {
  async function answerTo(answer: string | Buffer, parts: Omit<CallParts, 'url'> = {}) {
    const upstream = await startRawUpstream(answer);
    await using rig = createRig(upstream.origin);
    const sink = recordingSink();
    try {
      const sent = await rig.forwarder.send(outgoing({ url: upstream.origin, ...parts }), sink);
      return { sent, sink, upstream };
    } finally {
      await upstream.close();
    }
  }

  it('gets a small answer in one piece with its length, the upstream’s fields and the gateway’s own', async () => {
    const fields = ['X-Note: one', 'x-note: two', 'Content-Type: text/plain', 'ETag: "a"'];
    const { sink, sent } = await answerTo(rawAnswer('héllo', fields), {
      outgoing: { responseHeaders: ['countersign-hold', 'h1'] },
    });
    expect(sink.calls).toEqual(['whole']);
    expect(sink.headers).toEqual([
      ...['x-note', 'one', 'x-note', 'two', 'content-type', 'text/plain', 'etag', '"a"'],
      'countersign-hold',
      'h1',
      'content-length',
      '6',
    ]);
    expect(sink.body.toString()).toBe('héllo');
    expect(sent).toEqual({ status: 200, complete: true });
  });

  it('gets no hop-by-hop, nominated or cookie field, and nothing in the gateway’s name', async () => {
    const fields = [
      ...[
        'Connection: keep-alive, X-Hop',
        'X-Hop: 1',
        'Keep-Alive: timeout=9',
        'Proxy-Authenticate: Basic',
        'Set-Cookie: a=b',
        'Alt-Svc: h2="evil:443"',
      ],
      ...[
        'Countersign-Hold: forged',
        'Proxy-Status: Countersign; error=x',
        'Proxy-Status: cdn; hit',
        'Authorization: Bearer x',
      ],
    ];
    const { sink } = await answerTo(rawAnswer('ok', fields));
    expect(sink.headers).toEqual(['proxy-status', 'cdn; hit', 'content-length', '2']);
  });

  it('gets a redirect as it is: nothing follows it', async () => {
    const elsewhere = await startRawUpstream(rawAnswer('you were led'));
    const { sink, upstream } = await answerTo(rawAnswer('', [`location: ${elsewhere.origin}/steal`], '302 Found'), {
      injection: { in: 'header', name: 'authorization', value: `Bearer ${SECRET}` },
    });
    expect(sink.status).toBe(302);
    expect(sink.headers).toContain(`${elsewhere.origin}/steal`);
    expect(elsewhere.received).toEqual([]);
    expect(upstream.received).toHaveLength(1);
    await elsewhere.close();
  });

  it('does not get interim answers', async () => {
    const { sink } = await answerTo(
      Buffer.concat([Buffer.from('HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n'), rawAnswer('ok')]),
    );
    expect(sink.status).toBe(200);
    expect(sink.text).toBe('ok');
  });

  it('gets the length of the body that a HEAD stands for, and no length with a 204', async () => {
    const head = await answerTo('HTTP/1.1 200 OK\r\ncontent-length: 1234\r\n\r\n', { method: 'HEAD' });
    expect(head.sink).toMatchObject({ headers: ['content-length', '1234'], text: '' });
    const empty = await answerTo('HTTP/1.1 204 No Content\r\n\r\n');
    expect(empty.sink).toMatchObject({ status: 204, headers: [], text: '' });
  });

  it('gets an answer whose bytes arrive one by one', async () => {
    const upstream = await startRawUpstream((socket) => {
      const bytes = rawAnswer('{"a":"bc"}', ['content-type: application/json']);
      const next = (i: number): void =>
        void (i < bytes.length && socket.write(bytes.subarray(i, i + 1), () => setImmediate(next, i + 1)));
      next(0);
    });
    await using rig = createRig(upstream.origin);
    const sink = recordingSink();
    await rig.forwarder.send(outgoing({ url: upstream.origin }), sink);
    expect(sink.text).toBe('{"a":"bc"}');
    await upstream.close();
  });

  it('gets the secret scrubbed from fields and text, and the right length', async () => {
    const injection = { in: 'header', name: 'authorization', value: `Bearer ${SECRET}` } as const;
    const body = `{"echo":"Bearer ${SECRET}","é":1}`;
    const { sink } = await answerTo(
      rawAnswer(body, [
        'content-type: application/json',
        `x-echo: <${SECRET}>`,
        `location: /?t=${encodeURIComponent(SECRET)}`,
      ]),
      {
        injection,
      },
    );
    expect(sink.body.toString()).toBe('{"echo":"Bearer [scrubbed]","é":1}');
    expect(sink.headers).toEqual([
      ...['content-type', 'application/json', 'x-echo', '<[scrubbed]>', 'location', '/api/?t=[scrubbed]'],
      'content-length',
      '35',
    ]);
  });

  it('gets the secret scrubbed from a stream whose chunks split it, and from binary bodies', async () => {
    const injection = { in: 'header', name: 'x-key', value: SECRET } as const;
    const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`;
    const head = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-type: text/plain\r\n\r\n';
    const { sink } = await answerTo(
      `${head}${chunk(`a ${SECRET.slice(0, 9)}`)}${chunk(`${SECRET.slice(9)} b gh`)}${chunk('x')}0\r\n\r\n`,
      { injection },
    );
    expect(sink.text).toBe('a [scrubbed] b ghx');
    const binary = await answerTo(rawAnswer(SECRET, ['content-type: image/png']), { injection });
    expect(binary.sink.text).toBe('[scrubbed]');
  });
});

describe('answers that are refused', () => {
  const cases: [string, string | Buffer, string][] = [
    ['bytes that are not HTTP', 'SSH-2.0-OpenSSH\r\n\r\n', 'upstream_protocol'],
    [
      'two different lengths',
      'HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nokk',
      'upstream_protocol',
    ],
    [
      'a length beside chunks',
      'HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
      'upstream_protocol',
    ],
    ['a field name with a space', 'HTTP/1.1 200 OK\r\nx a: b\r\ncontent-length: 0\r\n\r\n', 'upstream_protocol'],
    [
      'a control character in a value',
      'HTTP/1.1 200 OK\r\nx-a: b\x01c\r\ncontent-length: 0\r\n\r\n',
      'upstream_protocol',
    ],
    ['a NUL in a value', 'HTTP/1.1 200 OK\r\nx-a: b\0c\r\ncontent-length: 0\r\n\r\n', 'upstream_protocol'],
    [
      'a bare CR that would split',
      'HTTP/1.1 200 OK\r\nx-a: b\rset-cookie: c\r\ncontent-length: 0\r\n\r\n',
      'upstream_protocol',
    ],
    ['a head without end', `HTTP/1.1 200 OK\r\nx-a: ${'b'.repeat(40_000)}`, 'upstream_protocol'],
    [
      'an upgrade that nobody asked for',
      'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n',
      'upstream_protocol',
    ],
    ['a 101 without an upgrade', 'HTTP/1.1 101 Switching Protocols\r\n\r\n', 'upstream_protocol'],
    ['interim answers without end', 'HTTP/1.1 102 Processing\r\n\r\n'.repeat(40), 'upstream_protocol'],
    ['a status that HTTP does not have', 'HTTP/1.1 999 Odd\r\ncontent-length: 0\r\n\r\n', 'upstream_protocol'],
    [
      'a chunk size that is none',
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: x\r\n\r\nzz\r\n',
      'upstream_protocol',
    ],
  ];
  it.each(cases)('refuses %s', async (_name, answer, code) => {
    const upstream = await startRawUpstream(answer);
    expect(await failureOf({ url: upstream.origin })).toMatchObject({ code });
    await upstream.close();
  });

  it('refuses what does not decompress while a secret would have to be looked for, and passes it otherwise', async () => {
    const upstream = await startRawUpstream(
      rawAnswer('zzzz', ['content-type: application/json', 'content-encoding: gzip']),
    );
    expect(
      await failureOf({ url: upstream.origin, injection: { in: 'header', name: 'x-key', value: SECRET } }),
    ).toMatchObject({ code: 'upstream_protocol' });
    await using rig = createRig(upstream.origin);
    const sink = recordingSink();
    await rig.forwarder.send(outgoing({ url: upstream.origin }), sink);
    expect(sink).toMatchObject({
      text: 'zzzz',
      headers: ['content-type', 'application/json', 'content-encoding', 'gzip', 'content-length', '4'],
    });
    await upstream.close();
  });

  it('says that an answer broke off before its head was passed on, and after', async () => {
    const silent = await startRawUpstream((socket) => socket.destroy());
    expect(await failureOf({ url: silent.origin })).toMatchObject({ code: 'upstream_aborted' });
    const short = await startRawUpstream((socket) =>
      socket.end('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this'),
    );
    expect(await failureOf({ url: short.origin })).toMatchObject({ code: 'upstream_aborted' });
    const long = await startRawUpstream((socket) =>
      socket.end('HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\nonly this'),
    );
    await using rig = createRig(long.origin);
    const sink = recordingSink();
    await expect(rig.forwarder.send(outgoing({ url: long.origin }), sink)).rejects.toMatchObject({
      code: 'upstream_aborted',
    });
    expect(sink.calls).toEqual(['head', 'abort']);
    expect(rig.counted).toEqual(['upstream_aborted']);
    await Promise.all([silent.close(), short.close(), long.close()]);
  });

  it('sends a call once, whatever happens to its connection', async () => {
    const upstream = await startRawUpstream((socket) => socket.destroy());
    expect(await failureOf({ url: upstream.origin, method: 'GET' })).toMatchObject({ code: 'upstream_aborted' });
    expect(upstream.received).toHaveLength(1);
    await upstream.close();
  });

  it('gives up on an upstream that does not answer, and on one that stops half-way', async () => {
    const mute = await startRawUpstream(() => {});
    expect(await failureOf({ url: mute.origin }, { headersTimeoutMs: 50 })).toMatchObject({ code: 'upstream_timeout' });
    const stuck = await startRawUpstream('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this');
    expect(await failureOf({ url: stuck.origin }, { bodyTimeoutMs: 50 })).toMatchObject({ code: 'upstream_timeout' });
    await Promise.all([mute.close(), stuck.close()]);
  });

  it('says that nothing was sent when nobody listens', async () => {
    const gone = await startRawUpstream('');
    await gone.close();
    expect(await failureOf({ url: gone.origin })).toMatchObject({ code: 'upstream_unreachable' });
  });
});

describe('a reload', () => {
  it('keeps the pool of an upstream that did not change, and closes that of one that did', async () => {
    const upstream = await startRawUpstream(rawAnswer('ok'));
    const url = upstream.origin;
    await using rig = createRig(url);
    const pool = rig.targets.get('api')?.pool;
    rig.targets.reconfigure(new Map([['api', upstreamOptions(`${url}/base`, { websocket: true })]]));
    expect(rig.targets.get('api')).toMatchObject({ options: { websocket: true } });
    expect(rig.targets.get('api')?.url.pathname).toBe('/base');
    expect(rig.targets.get('api')?.pool).toBe(pool);
    rig.targets.reconfigure(new Map([['api', upstreamOptions(url, { bodyTimeoutMs: 1234 })]]));
    expect(rig.targets.get('api')?.pool).not.toBe(pool);
    expect(pool?.closed).toBe(true);
    expect(await rig.forwarder.send(outgoing({ url }), recordingSink())).toMatchObject({ status: 200 });
    await upstream.close();
  });

  it('lets a call end that is under way when its upstream is removed', async () => {
    let answer = (): void => {};
    let arrived = (): void => {};
    const atUpstream = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    const upstream = await startRawUpstream((socket) => {
      answer = () => void socket.write(rawAnswer('late'));
      arrived();
    });
    await using rig = createRig(upstream.origin);
    const sink = recordingSink();
    const sent = rig.forwarder.send(outgoing({ url: upstream.origin }), sink);
    await atUpstream;
    rig.targets.reconfigure(new Map());
    answer();
    expect(await sent).toEqual({ status: 200, complete: true });
    expect(sink.text).toBe('late');
    await upstream.closed(0);
    await upstream.close();
  });

  it('changes nothing when one entry is refused', async () => {
    const upstream = await startRawUpstream(rawAnswer('ok'));
    await using rig = createRig(upstream.origin);
    expect(() =>
      rig.targets.reconfigure(new Map([['bad', upstreamOptions('http://plain.example', { name: 'bad' })]])),
    ).toThrow(/upstream bad/);
    expect(await rig.forwarder.send(outgoing({ url: upstream.origin }), recordingSink())).toMatchObject({
      status: 200,
    });
    await upstream.close();
  });
});
