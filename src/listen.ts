// What every listener of the gateway has in common: bounds against slow and oversize clients, TLS where it is configured,
// and an orderly end. Client certificates are asked for here and judged by identity/: node's own verdict is not enough for X.509-SVIDs.

import { constants } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { TlsOptions } from 'node:tls';
import type { SecretSource } from './domain/secret.ts';

export interface ListenOptions {
  readonly address: { readonly host: string; readonly port: number };
  /** PEM. The key is read once, when the listener starts. */
  readonly tls?: {
    readonly certificate: string;
    readonly key: SecretSource;
    /** Whether clients may or must show a certificate. Default none. */
    readonly clientCertificates?: 'none' | 'accept' | 'require';
  };
  /** Largest header section, bytes; default 16 KiB. */
  readonly headerBytes?: number;
}

export interface Listening {
  readonly port: number;
  /** Stops accepting; resolves when every connection has ended, or has been cut after `graceMs`. */
  close(graceMs: number): Promise<void>;
}

/** Time for a request's head to arrive, ms. Bodies have their own minimum rate (actions/body.ts). */
const HEAD_TIMEOUT_MS = 10_000;
const KEEP_ALIVE_MS = 75_000;
const IDLE_SWEEP_MS = 50;

/** A server without handlers that listens nowhere yet. */
export function createBoundedServer({ tls, headerBytes = 16 * 1024 }: ListenOptions): Server {
  const bounds = {
    maxHeaderSize: headerBytes,
    headersTimeout: HEAD_TIMEOUT_MS,
    // A held call may wait longer than any whole-request limit; slow senders are caught by the head timeout and the body's minimum rate.
    requestTimeout: 0,
    keepAliveTimeout: KEEP_ALIVE_MS,
    connectionsCheckingInterval: 2_000,
    // A request without a body gets no stream machinery of its own.
    optimizeEmptyRequests: true,
  };
  if (tls === undefined) return createServer(bounds);
  const { certificate: cert, key, clientCertificates = 'none' } = tls;
  const own = { ...bounds, cert, key: key.read().reveal(), minVersion: 'TLSv1.2' } as const;
  if (clientCertificates === 'none') return createTlsServer(own);
  const server = createTlsServer({ ...own, ...ASK_FOR_CERTIFICATES });
  if (clientCertificates === 'require') {
    server.on('secureConnection', (socket) => {
      if (socket.getPeerX509Certificate() === undefined) socket.destroy();
    });
  }
  return server;
}

/**
 * Without authorities node builds no path of its own, and so hands over every certificate that the client sent. Without tickets no connection
 * is resumed: a resumed one would come without its certificate.
 */
const ASK_FOR_CERTIFICATES: TlsOptions = {
  requestCert: true,
  rejectUnauthorized: false,
  ca: [],
  minVersion: 'TLSv1.3',
  secureOptions: constants.SSL_OP_NO_TICKET,
};

/** Begins to listen. Rejects when the address is taken. */
export async function listen(server: Server, { address }: ListenOptions): Promise<Listening> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(address.port, address.host, () => {
      server.removeListener('error', reject);
      resolve();
    });
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: (graceMs) =>
      new Promise((resolve) => {
        const cut = setTimeout(() => {
          for (const socket of sockets) socket.destroy();
        }, graceMs);
        // A kept-alive connection becomes idle when its last answer is out, and would otherwise hold the end up for the whole grace.
        const sweep = setInterval(() => server.closeIdleConnections(), IDLE_SWEEP_MS);
        server.close(() => {
          clearTimeout(cut);
          clearInterval(sweep);
          resolve();
        });
        server.closeIdleConnections();
      }),
  };
}
