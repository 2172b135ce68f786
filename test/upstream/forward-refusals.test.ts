// Answers that the gateway refuses, upstreams that it cannot reach, and a reload under open calls.

import { describe, expect, it } from 'vitest';
import { rawAnswer, startRawUpstream } from '../support/raw-upstream.ts';
import { createRig, outgoing, recordingSink, refusalOf, upstreamOptions } from './harness.ts';

const SECRET = 'ghs_0123456789abcdefABCDEF+/=';

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
    expect(await refusalOf({ url: upstream.origin })).toMatchObject({ code });
    await upstream.close();
  });

  it('refuses what does not decompress while a secret would have to be looked for, and passes it otherwise', async () => {
    const upstream = await startRawUpstream(
      rawAnswer('zzzz', ['content-type: application/json', 'content-encoding: gzip']),
    );
    expect(
      await refusalOf({ url: upstream.origin, injection: { in: 'header', name: 'x-key', value: SECRET } }),
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
    expect(await refusalOf({ url: silent.origin })).toMatchObject({ code: 'upstream_aborted' });
    const short = await startRawUpstream((socket) =>
      socket.end('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this'),
    );
    expect(await refusalOf({ url: short.origin })).toMatchObject({ code: 'upstream_aborted' });
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
    expect(await refusalOf({ url: upstream.origin, method: 'GET' })).toMatchObject({ code: 'upstream_aborted' });
    expect(upstream.received).toHaveLength(1);
    await upstream.close();
  });

  it('gives up on an upstream that does not answer, and on one that stops half-way', async () => {
    const mute = await startRawUpstream(() => {});
    expect(await refusalOf({ url: mute.origin }, { headersTimeoutMs: 50 })).toMatchObject({ code: 'upstream_timeout' });
    const stuck = await startRawUpstream('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this');
    expect(await refusalOf({ url: stuck.origin }, { bodyTimeoutMs: 50 })).toMatchObject({ code: 'upstream_timeout' });
    await Promise.all([mute.close(), stuck.close()]);
  });

  it('says that nothing was sent when nobody listens', async () => {
    const gone = await startRawUpstream('');
    await gone.close();
    expect(await refusalOf({ url: gone.origin })).toMatchObject({ code: 'upstream_unreachable' });
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
