import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { afterEach, describe, expect, it } from 'vitest';
import { startRawUpstream } from '../support/raw-upstream.ts';
import { createRig, outgoing, recordingSink, startFront } from './harness.ts';

const MIB = 1024 * 1024;
const cleanups: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function startUpstream(handle: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  const server = createServer(handle);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanups.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function startChain(url: string) {
  const rig = createRig(url);
  cleanups.push(() => rig.forwarder.close());
  const front = await startFront(rig.forwarder, url);
  cleanups.push(() => front.close());
  return { rig, front };
}

/** Chunks of 64 KiB; says how far it was asked to go. */
function source(bytes: number) {
  const state = { produced: 0 };
  const stream = new Readable({
    read() {
      if (state.produced >= bytes) return void this.push(null);
      state.produced += 65_536;
      this.push(Buffer.alloc(65_536, state.produced / 65_536));
    },
  });
  return { state, stream };
}

describe('streaming', () => {
  it('stops reading the upstream while the agent does not read, and brings everything once it does', async () => {
    const { state, stream } = source(64 * MIB);
    const url = await startUpstream((_request, response) => void stream.pipe(response));
    const { front } = await startChain(url);
    const [answer] = (await once(request({ port: front.port }).end(), 'response')) as [IncomingMessage];
    // Nobody reads: production must come to a stand, long before the end.
    let before = -1;
    while (state.produced !== before) {
      before = state.produced;
      for (let turn = 0; turn < 200; turn++) await new Promise(setImmediate);
    }
    expect(state.produced).toBeLessThan(32 * MIB);
    let received = 0;
    for await (const chunk of answer) received += chunk.length;
    expect(received).toBe(64 * MIB);
  });

  it('stops reading the agent while the upstream does not read, and brings everything once it does', async () => {
    const { state, stream } = source(64 * MIB);
    let received = 0;
    const arrived = Promise.withResolvers<() => void>();
    const url = await startUpstream((incoming, response) => {
      arrived.resolve(() => {
        incoming.on('data', (chunk) => {
          received += chunk.length;
        });
        incoming.on('end', () => response.end(String(received)));
      });
    });
    const { front } = await startChain(url);
    const sending = request({ port: front.port, method: 'POST' });
    stream.pipe(sending);
    const release = await arrived.promise;
    let before = -1;
    while (state.produced !== before || state.produced === 0) {
      before = state.produced;
      for (let turn = 0; turn < 200; turn++) await new Promise(setImmediate);
    }
    expect(state.produced).toBeLessThan(32 * MIB);
    release();
    const [answer] = (await once(sending, 'response')) as [IncomingMessage];
    expect(Buffer.concat(await answer.toArray()).toString()).toBe(String(64 * MIB));
  });

  it('sends a streamed body with its declared length, or in chunks, with methods of every kind', async () => {
    const bodies: string[] = [];
    const url = await startUpstream(async (incoming, response) => {
      const text = Buffer.concat(await incoming.toArray()).toString('latin1');
      bodies.push(
        `${incoming.method} ${incoming.headers['content-length'] ?? incoming.headers['transfer-encoding']} ${text.length}`,
      );
      response.end();
    });
    const { front } = await startChain(url);
    for (const method of ['POST', 'DELETE', 'OPTIONS', 'PATCH']) {
      for (const headers of [
        { 'content-length': '100000' },
        { 'content-length': '10' },
        { 'transfer-encoding': 'chunked' },
      ]) {
        const sending = request({ port: front.port, method, headers });
        sending.end(Buffer.alloc(Number(headers['content-length'] ?? 100_000), 'x'));
        const [answer] = (await once(sending, 'response')) as [IncomingMessage];
        expect(answer.statusCode).toBe(200);
        answer.resume();
      }
    }
    expect(bodies).toEqual(
      ['POST', 'DELETE', 'OPTIONS', 'PATCH'].flatMap((method) => [
        `${method} 100000 100000`,
        `${method} 10 10`,
        `${method} chunked 100000`,
      ]),
    );
  });

  it('passes each event of a stream before the next exists, with and without a secret to look for', async () => {
    for (const injection of [undefined, { in: 'header', name: 'x-key', value: 'secret-0123456789' } as const]) {
      let next = (_text: string): void => {};
      const url = await startUpstream((_request, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        next = (text) => void response.write(text);
        next('data: one\n\n');
      });
      const rig = createRig(url);
      cleanups.push(() => rig.forwarder.close());
      const sink = recordingSink();
      const ended = rig.forwarder.send(outgoing({ url, ...(injection && { injection }) }), sink);
      await sink.until('data: one\n\n');
      next('data: two\n\n');
      await sink.until('data: two\n\n');
      expect(sink.calls).toEqual(['head']);
      await rig.forwarder.close();
      await expect(ended).rejects.toMatchObject({ code: 'upstream_aborted' });
    }
  });

  it('passes the head of a stream whose first event is still to come', async () => {
    const url = await startUpstream((_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
    });
    const { front } = await startChain(url);
    const [answer] = (await once(request({ port: front.port }).end(), 'response')) as [IncomingMessage];
    expect(answer.headers['content-type']).toBe('text/event-stream');
    answer.destroy();
  });
});

describe('breaking off', () => {
  it('closes the upstream’s connection when the agent goes away, before and during the answer', async () => {
    for (const answer of ['', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n']) {
      const upstream = await startRawUpstream(answer);
      const { front, rig } = await startChain(upstream.origin);
      const sending = request({ port: front.port });
      sending.on('error', () => {});
      sending.end();
      const failed = once(front.ended, 'failed');
      if (answer === '') while (upstream.received.length === 0) await new Promise(setImmediate);
      else await once(sending, 'response');
      sending.destroy();
      expect((await failed)[0]).toMatchObject({ code: 'client_closed' });
      await upstream.closed(0);
      expect(rig.counted).toEqual(['client_closed']);
      await upstream.close();
    }
  });

  it('sends nothing when the agent has gone before there is a connection', async () => {
    const upstream = await startRawUpstream('');
    const rig = createRig(upstream.origin);
    cleanups.push(() => rig.forwarder.close());
    let leave = (): void => {};
    const onClosed = (callback: () => void) => {
      leave = callback;
      return () => {};
    };
    const sent = rig.forwarder.send(outgoing({ url: upstream.origin, onClosed }), recordingSink());
    leave();
    await expect(sent).rejects.toMatchObject({ code: 'client_closed' });
    while (upstream.received.length === 0) await new Promise(setImmediate);
    await upstream.closed(0);
    expect(upstream.received).toEqual(['']);
    await upstream.close();
  });

  it('closes the upstream’s connection when the agent’s body breaks off', async () => {
    const upstream = await startRawUpstream(() => {});
    const rig = createRig(upstream.origin);
    cleanups.push(() => rig.forwarder.close());
    const stream = async function* () {
      yield Buffer.from('half');
      throw Object.assign(new Error('gone'), { code: 'ECONNRESET' });
    };
    const parts = { empty: false, buffer: async () => Buffer.alloc(0), stream };
    await expect(
      rig.forwarder.send(outgoing({ url: upstream.origin, method: 'POST', stream: parts }), recordingSink()),
    ).rejects.toMatchObject({
      name: 'GatewayError',
    });
    await upstream.closed(0);
    expect(upstream.received[0]).not.toContain('0\r\n\r\n');
    await upstream.close();
  });

  it('cuts the agent’s connection when the upstream breaks off half-way', async () => {
    const upstream = await startRawUpstream((socket) =>
      socket.end('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n'),
    );
    const { front } = await startChain(upstream.origin);
    const [answer] = (await once(request({ port: front.port }).end(), 'response')) as [IncomingMessage];
    await expect(answer.toArray()).rejects.toMatchObject({ code: 'ECONNRESET' });
    expect(answer.complete).toBe(false);
    await upstream.close();
  });

  it('gives the answer of an upstream that does not wait for the body', async () => {
    const upstream = await startRawUpstream(
      'HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\nconnection: close\r\n\r\nbig',
    );
    const rig = createRig(upstream.origin);
    cleanups.push(() => rig.forwarder.close());
    let finished = (): void => {};
    const never = new Promise<void>((resolve) => {
      finished = resolve;
    });
    const stream = async function* () {
      yield Buffer.alloc(1024);
      await never;
    };
    const parts = { empty: false, buffer: async () => Buffer.alloc(0), stream };
    const sink = recordingSink();
    await rig.forwarder.send(outgoing({ url: upstream.origin, method: 'POST', stream: parts }), sink);
    expect(sink).toMatchObject({ status: 413, text: 'big' });
    finished();
    await upstream.close();
  });
});
