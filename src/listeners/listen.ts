// What every listener of the gateway has in common: bounds against slow and oversize clients, TLS where it is
// configured, and an orderly end.

import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { endInOrder, isLingering, keepConnectionsInOrder } from './connection.ts';
import { boundConnections } from './connection-bounds.ts';
import { createTlsListener, type ListenTls } from './tls.ts';

export interface ListenOptions {
  readonly address: { readonly host: string; readonly port: number };
  readonly tls?: ListenTls;
  /** Largest header section, bytes; default 16 KiB. */
  readonly headerBytes?: number;
  /** Most connections that are open at a time; default 1024. */
  readonly maxConnections?: number;
  /** Called for each connection that was turned away: the listener is full, and nothing is idle. */
  turnedAway?(): void;
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

/**
 * A server that takes no requests and listens nowhere yet. `takesUpgrade` says which requests to upgrade become an
 * `upgrade` event; the others are plain requests.
 */
export function createBoundedServer(
  { tls, headerBytes = 16 * 1024, maxConnections = 1_024, turnedAway = () => {} }: ListenOptions,
  takesUpgrade: (incoming: IncomingMessage) => boolean = () => false,
): Server {
  const bounds = {
    maxHeaderSize: headerBytes,
    headersTimeout: HEAD_TIMEOUT_MS,
    // A held call may wait longer than any whole-request limit; slow senders are caught by the head timeout and the
    // body's minimum rate.
    requestTimeout: 0,
    keepAliveTimeout: KEEP_ALIVE_MS,
    connectionsCheckingInterval: 2_000,
    // A request without a body gets no stream machinery of its own.
    optimizeEmptyRequests: true,
    shouldUpgradeCallback: takesUpgrade,
  };
  const server = tls === undefined ? createServer(bounds) : createTlsListener(bounds, tls);
  keepConnectionsInOrder(server);
  boundConnections(server, maxConnections, turnedAway);
  return server;
}

/** Begins to listen. Rejects when the address is taken. */
export async function listen(server: Server, { address, tls }: ListenOptions): Promise<Listening> {
  const sockets = new Set<Socket>();
  const follow = (socket: Socket): void => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  };
  server.on('connection', follow);
  if (tls !== undefined) server.on('secureConnection', follow);
  server.on(tls === undefined ? 'connection' : 'secureConnection', endInOrder);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(address.port, address.host, () => {
      server.removeListener('error', reject);
      resolve();
    });
  });
  // If a connection cannot be accepted, for lack of descriptors or memory, only that connection is lost.
  server.on('error', () => {});
  return {
    port: (server.address() as AddressInfo).port,
    close: (graceMs) =>
      new Promise((resolve) => {
        const cut = setTimeout(() => {
          for (const socket of sockets) socket.destroy();
        }, graceMs);
        // A kept-alive connection becomes idle when its last answer is out. If it were not closed then, it would delay
        // the end for the whole grace time.
        const sweep = setInterval(() => {
          server.closeIdleConnections();
          for (const socket of sockets) if (isLingering(socket)) socket.destroy();
        }, IDLE_SWEEP_MS);
        server.close(() => {
          clearTimeout(cut);
          clearInterval(sweep);
          resolve();
        });
        server.closeIdleConnections();
      }),
  };
}
