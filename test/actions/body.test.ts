import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { GatewayError } from '../../src/errors.ts';
import { sendRaw } from '../support/raw-http.ts';
import { API, classifying, type Handle, startServer, type TestServer } from './server.ts';

async function withServer<T>(handle: Handle, use: (server: TestServer) => Promise<T>, pace = {}): Promise<T> {
  const server = await startServer(handle, { hosts: 'any', pace });
  try {
    return await use(server);
  } finally {
    await server.close();
  }
}

const head = (...lines: string[]) =>
  ['POST /api/a HTTP/1.1', 'Host: a', 'Connection: close', ...lines, '', ''].join('\r\n');
const buffered: Handle = async ({ body }) => Buffer.from(await body.buffer(100)).toString();
const code = ({ body }: { body: string }) => (JSON.parse(body) as { code: string }).code;

async function open(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

describe('buffer', () => {
  it('puts chunks together', async () => {
    const answer = await withServer(buffered, ({ port }) =>
      sendRaw(port, `${head('Transfer-Encoding: chunked')}3\r\nabc\r\n`, '2\r\nde\r\n0\r\n\r\n'),
    );
    expect(answer.body).toBe('"abcde"');
  });

  it('refuses a declared length over the limit before a byte of the body is there', async () => {
    const answer = await withServer(buffered, ({ port }) => sendRaw(port, head('Content-Length: 101')));
    expect(code(answer)).toBe('payload_too_large');
  });

  it('refuses a chunked body as soon as it grows over the limit', async () => {
    const answer = await withServer(buffered, ({ port }) =>
      sendRaw(port, `${head('Transfer-Encoding: chunked')}c8\r\n${'x'.repeat(200)}\r\n`),
    );
    expect(code(answer)).toBe('payload_too_large');
  });

  it('takes a body of exactly the limit', async () => {
    const answer = await withServer(buffered, ({ port }) =>
      sendRaw(port, head('Content-Length: 100') + 'x'.repeat(100)),
    );
    expect(answer.status).toBe(200);
  });

  it('reads a body only once', async () => {
    const twice: Handle = async ({ body }) => {
      await body.buffer(100);
      return body.buffer(100).catch((error: unknown) => error instanceof TypeError);
    };
    expect((await withServer(twice, ({ port }) => sendRaw(port, `${head('Content-Length: 1')}x`))).body).toBe('true');
  });

  it('answers 100 Continue only when the body is wanted', async () => {
    const asked = `${head('Expect: 100-continue', 'Content-Length: 3')}`;
    const wanted = await withServer(buffered, async ({ port }) => {
      const socket = await open(port);
      socket.write(asked);
      const [interim] = (await once(socket, 'data')) as [Buffer];
      socket.write('abc');
      const [final] = (await once(socket, 'data')) as [Buffer];
      return [interim.toString(), final.toString()];
    });
    expect(wanted[0]).toBe('HTTP/1.1 100 Continue\r\n\r\n');
    expect(wanted[1]).toMatch(/^HTTP\/1\.1 200 .*"abc"$/s);
    const refused = await withServer(
      async () => {
        throw new GatewayError('unauthenticated', 'No identity.');
      },
      ({ port }) => sendRaw(port, asked),
    );
    expect(refused.text).toMatch(/^HTTP\/1\.1 401 /);
    const tooLarge = await withServer(buffered, ({ port }) =>
      sendRaw(port, head('Expect: 100-continue', 'Content-Length: 3000')),
    );
    expect(tooLarge.text).toMatch(/^HTTP\/1\.1 413 /);
    const unread = await withServer(classifying(API, 'json'), ({ port }) =>
      sendRaw(port, head('Expect: 100-continue', 'Content-Length: 3', 'Content-Type: text/plain')),
    );
    expect(unread.text).toMatch(/^HTTP\/1\.1 415 /);
  });

  it('gives up on a sender that is silent', async () => {
    const answer = await withServer(buffered, ({ port }) => sendRaw(port, `${head('Content-Length: 5')}ab`), {
      silenceMs: 50,
    });
    expect(code(answer)).toBe('request_timeout');
  });

  it('gives up on a sender that drips', async () => {
    const answer = await withServer(
      buffered,
      async ({ port }) => {
        const socket = await open(port);
        socket.write(head('Content-Length: 90'));
        const drip = setInterval(() => socket.write('x'), 10);
        const [data] = (await once(socket, 'data')) as [Buffer];
        clearInterval(drip);
        socket.destroy();
        return data.toString();
      },
      { windowMs: 60, silenceMs: 5000, minBytesPerSecond: 10_000 },
    );
    expect(answer).toMatch(/^HTTP\/1\.1 408 /);
  });

  it.each([
    ['resets the connection', (socket: Socket) => void socket.resetAndDestroy()],
    ['closes the connection', (socket: Socket) => void socket.end()],
    ['breaks the chunked framing', (socket: Socket) => void socket.write('zz\r\n')],
  ])('says client_closed when the sender %s', async (_what, leave) => {
    const outcome = Promise.withResolvers<unknown>();
    const reading = Promise.withResolvers<void>();
    const handle: Handle = async ({ body }) => {
      const read = body.buffer(100);
      reading.resolve();
      await read.then(outcome.resolve, outcome.resolve);
    };
    await withServer(handle, async ({ port }) => {
      const socket = await open(port);
      socket.write(`${head('Transfer-Encoding: chunked')}2\r\nab\r\n`);
      await reading.promise;
      leave(socket);
      expect(await outcome.promise).toMatchObject({ code: 'client_closed' });
      socket.destroy();
    });
  });
});

describe('stream', () => {
  it('gives the bytes as they come, and makes the sender wait while nobody takes them', async () => {
    const total = 32 * 1024 * 1024;
    const started = Promise.withResolvers<void>();
    const go = Promise.withResolvers<void>();
    const handle: Handle = async ({ body }) => {
      let size = 0;
      for await (const chunk of body.stream()) {
        if (size === 0) {
          started.resolve();
          await go.promise;
        }
        size += chunk.byteLength;
      }
      return size;
    };
    await withServer(
      handle,
      async ({ port, server }) => {
        server.once('connection', (socket) => socket.setNoDelay(true));
        const socket = await open(port);
        socket.write(head(`Content-Length: ${total}`));
        socket.write(Buffer.alloc(total));
        await started.promise;
        // Kernel buffers and two high-water marks hold a few megabytes; the rest has to be waiting here.
        expect(socket.writableLength + (total - socket.bytesWritten)).toBeGreaterThan(0);
        expect(socket.writableNeedDrain).toBe(true);
        go.resolve();
        const answer: Buffer[] = [];
        socket.on('data', (chunk) => answer.push(chunk));
        await once(socket, 'close');
        expect(Buffer.concat(answer).toString()).toMatch(new RegExp(`${total}$`));
      },
      // The consumer's own pause does not count against the sender.
      { silenceMs: 2000, windowMs: 1 },
    );
  });
});
