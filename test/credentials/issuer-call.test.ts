import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { callIssuer, readObject } from '../../src/credentials/issuer-call.ts';

let server: Server | undefined;
afterEach(() => {
  server?.close();
  server?.closeAllConnections();
});

async function ask(answer: RequestListener, timeoutMs = 5_000) {
  server = createServer(answer);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  return callIssuer(
    { timeoutMs, fetch },
    { method: 'POST', url, headers: { authorization: 'secret-literal' }, body: 'secret-literal' },
  );
}

describe('an issuer', () => {
  it('that does not answer in time is given up', async () => {
    await expect(ask(() => {}, 200)).rejects.toMatchObject({
      code: 'credential_unavailable',
      detail: 'The issuer did not answer in time.',
    });
  });

  it('that begins an answer and does not end it is given up too', async () => {
    await expect(ask((_request, response) => void response.writeHead(200).write('{'), 200)).rejects.toMatchObject({
      detail: 'The issuer did not answer in time.',
    });
  });

  it('whose answer is endless is cut off', async () => {
    const flood: RequestListener = (_request, response) => {
      response.on('error', () => {});
      for (let i = 0; i < 10; i++) response.write(Buffer.alloc(64 * 1024, 0x20));
    };
    await expect(ask(flood)).rejects.toMatchObject({ detail: 'The issuer’s answer is too large.' });
  });

  it('that hangs up is told from one that refuses, without a word of what was sent', async () => {
    const hangUp = ask((_request, response) => void response.destroy());
    await expect(hangUp).rejects.toMatchObject({
      code: 'credential_unavailable',
      detail: expect.not.stringContaining('secret-literal'),
    });
  });

  it.each(['', 'null', '[]', '{"a":1,"a":2}', '<html>'])('whose answer is %j gives no object', (text) => {
    expect(() => readObject({ status: 200, text })).toThrow(
      expect.objectContaining({ code: 'credential_unavailable' }),
    );
  });

  it.each(['http://issuer.example.org', 'ftp://127.0.0.1', 'http://127.0.0.1.example.org'])(
    'at %s is refused before anything is sent',
    async (url) => {
      const fetch = () => expect.unreachable('nothing may be sent there');
      await expect(callIssuer({ timeoutMs: 1, fetch }, { method: 'GET', url, headers: {} })).rejects.toMatchObject({
        detail: 'The issuer is neither https nor on loopback.',
      });
    },
  );
});
