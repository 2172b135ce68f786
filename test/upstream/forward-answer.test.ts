// What an agent receives of an answer: the status, the fields and the body, without what the gateway injected.

import { describe, expect, it } from 'vitest';
import { rawAnswer, startRawUpstream } from '../support/raw-upstream.ts';
import { type CallParts, createRig, outgoing, recordingSink } from './harness.ts';

const SECRET = 'ghs_0123456789abcdefABCDEF+/=';

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
