import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { callIssuer } from '../../src/credentials/issuer-call.ts';
import { fetchTrusting } from '../../src/upstream/issuer-fetch.ts';
import { createCertificates, hasOpenssl, pemOf } from '../support/certificates.ts';

describe.skipIf(!hasOpenssl())('an issuer with an authority of its own (skipped where openssl is absent)', () => {
  it('is reached through that authority alone, and its redirects are not followed', async () => {
    const certificates = createCertificates();
    const other = createCertificates();
    const server = createServer(certificates.issue(['IP:127.0.0.1']), (_request, response) => {
      response.writeHead(302, { location: 'https://127.0.0.1:1/' }).end('{"token":"literal"}');
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const request = {
      method: 'GET',
      url: `https://127.0.0.1:${(server.address() as AddressInfo).port}/`,
      headers: {},
    } as const;
    const trusting = (ca: string) => ({ timeoutMs: 5_000, fetch: fetchTrusting(pemOf(ca)) });
    try {
      expect(await callIssuer(trusting(certificates.ca), request)).toEqual({
        status: 302,
        text: '{"token":"literal"}',
      });
      await expect(callIssuer(trusting(other.ca), request)).rejects.toMatchObject({
        code: 'credential_unavailable',
      });
      await expect(callIssuer({ timeoutMs: 5_000, fetch }, request)).rejects.toMatchObject({
        code: 'credential_unavailable',
      });
    } finally {
      server.close();
      server.closeAllConnections();
      certificates.remove();
      other.remove();
    }
  });
});
