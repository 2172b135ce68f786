import { once } from 'node:events';
import { createServer, type Server } from 'node:https';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Certificates, createCertificates, hasOpenssl, pemOf } from '../support/certificates.ts';
import { createRig, outgoing, recordingSink } from './harness.ts';

describe.skipIf(!hasOpenssl())('TLS to the upstream (skipped where openssl is absent)', () => {
  let certificates: Certificates;
  let other: Certificates;
  const servers: Server[] = [];

  beforeAll(() => {
    certificates = createCertificates();
    other = createCertificates();
  });
  afterAll(() => {
    for (const server of servers) server.closeAllConnections();
    for (const server of servers) server.close();
    certificates.remove();
    other.remove();
  });

  async function startTls(names: readonly string[], days?: number): Promise<{ url: string; requests: string[] }> {
    const requests: string[] = [];
    const server = createServer(certificates.issue(names, days), (request, response) => {
      requests.push(`${request.headers.host} ${request.url}`);
      response.end('secure');
    });
    servers.push(server);
    server.on('tlsClientError', () => {});
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return { url: `https://localhost:${(server.address() as AddressInfo).port}`, requests };
  }

  async function call(url: string, ca: string | undefined) {
    await using rig = createRig(url, ca === undefined ? {} : { tls: { ca: pemOf(ca) } });
    const sink = recordingSink();
    const outcome = await rig.forwarder.send(outgoing({ url, target: '/x' }), sink).catch((error) => error.code);
    return { outcome, text: sink.text };
  }

  it('accepts a certificate of the configured authority for the configured name', async () => {
    const { url, requests } = await startTls(['DNS:localhost']);
    expect(await call(url, certificates.ca)).toEqual({ outcome: { status: 200, complete: true }, text: 'secure' });
    expect(requests).toEqual([`${new URL(url).host} /x`]);
  });

  it('shows the client certificate of the moment, and connects to nothing while there is none', async () => {
    const seen: string[] = [];
    const server = createServer(
      { ...certificates.issue(['DNS:localhost']), ca: certificates.ca, requestCert: true, rejectUnauthorized: true },
      (request, response) => {
        seen.push((request.socket as TLSSocket).getPeerX509Certificate()?.subject ?? 'none');
        response.writeHead(200, { connection: 'close' }).end('mutual');
      },
    );
    servers.push(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = `https://localhost:${(server.address() as AddressInfo).port}`;
    let current: { certificate: string; key: string } | undefined;
    const rotate = (): void => {
      const { cert, key } = certificates.issue(['URI:spiffe://prod.test/gateway']);
      current = { certificate: cert, key };
    };
    await using rig = createRig(url, {
      tls: { ca: pemOf(certificates.ca), clientCertificate: { name: 'own', feed: { current: () => current } } },
    });
    const send = async () => {
      const sink = recordingSink();
      return rig.forwarder.send(outgoing({ url, target: '/x' }), sink).then(
        () => sink.text,
        (error) => error.code,
      );
    };
    expect(await send()).toBe('upstream_tls');
    rotate();
    expect(await send()).toBe('mutual');
    rotate();
    expect(await send()).toBe('mutual');
    expect(new Set(seen).size).toBe(2);
  });

  it('sends nothing over a connection that stands once the certificate that it was made with is withdrawn', async () => {
    let requests = 0;
    let connections = 0;
    const { cert, key } = certificates.issue(['URI:spiffe://prod.test/gateway']);
    const options = {
      ...certificates.issue(['DNS:localhost']),
      ca: certificates.ca,
      requestCert: true,
      rejectUnauthorized: true,
    };
    const server = createServer(options, (_request, response) => {
      requests += 1;
      response.end('mutual');
    });
    server.on('secureConnection', () => (connections += 1));
    servers.push(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = `https://localhost:${(server.address() as AddressInfo).port}`;
    let current: { certificate: string; key: string } | undefined = { certificate: cert, key };
    await using rig = createRig(url, {
      tls: { ca: pemOf(certificates.ca), clientCertificate: { name: 'own', feed: { current: () => current } } },
    });
    const send = () =>
      rig.forwarder.send(outgoing({ url, target: '/x' }), recordingSink()).then(
        ({ status }) => status,
        (error) => error.code,
      );
    for (let i = 0; i < 6; i++) expect(await send()).toBe(200);
    expect(connections).toBeLessThan(6);
    current = undefined;
    for (let i = 0; i < 6; i++) expect(await send()).toBe('upstream_tls');
    expect(requests).toBe(6);
  });

  it('refuses a certificate for another name, of an unknown authority, or past its time, and sends nothing', async () => {
    const wrongName = await startTls(['DNS:elsewhere.example']);
    expect(await call(wrongName.url, certificates.ca)).toEqual({ outcome: 'upstream_tls', text: '' });
    const unknown = await startTls(['DNS:localhost']);
    expect(await call(unknown.url, undefined)).toEqual({ outcome: 'upstream_tls', text: '' });
    expect(await call(unknown.url, other.ca)).toEqual({ outcome: 'upstream_tls', text: '' });
    const expired = await startTls(['DNS:localhost'], -1);
    expect(await call(expired.url, certificates.ca)).toEqual({ outcome: 'upstream_tls', text: '' });
    expect([wrongName, unknown, expired].flatMap(({ requests }) => requests)).toEqual([]);
  });

  it('verifies even when the environment says not to', async () => {
    const before = process.env.NODE_TLS_REJECT_UNAUTHORIZED;
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
    try {
      const { url, requests } = await startTls(['DNS:localhost']);
      expect(await call(url, undefined)).toMatchObject({ outcome: 'upstream_tls' });
      expect(requests).toEqual([]);
    } finally {
      if (before === undefined) delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
      else process.env.NODE_TLS_REJECT_UNAUTHORIZED = before;
    }
  });

  it('refuses an upstream that does not speak TLS', async () => {
    const plain = createTcpServer((socket) => socket.on('error', () => {}).end('HTTP/1.1 200 OK\r\n\r\n'));
    plain.listen(0, '127.0.0.1');
    await once(plain, 'listening');
    expect(await call(`https://localhost:${(plain.address() as AddressInfo).port}`, certificates.ca)).toMatchObject({
      outcome: 'upstream_tls',
    });
    plain.close();
  });
});
