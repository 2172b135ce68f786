// The TLS side of a listener: its own certificate, from files or from the Workload API, and client certificates. They
// are requested here and verified in identity/, because node's own check is not enough for X.509-SVIDs. Refuses
// connections while there is no certificate to show.

import { constants } from 'node:crypto';
import type { Server } from 'node:http';
import { createServer, type ServerOptions } from 'node:https';
import type { Socket } from 'node:net';
import type { TlsOptions } from 'node:tls';
import { GatewayError } from '../errors.ts';

/** PEM. */
interface CertificatePem {
  readonly certificate: string;
  readonly key: string;
}

/** A certificate that is replaced while the listener runs. */
export interface CertificateFeed {
  /** Undefined when it must not be used any more. */
  current(): CertificatePem | undefined;
  onChange(callback: () => void): () => void;
}

/** Whether clients may or must show a certificate. Default none. */
type ClientCertificates = { readonly clientCertificates?: 'none' | 'accept' | 'require' };

export type ListenTls = ClientCertificates & { readonly feed: CertificateFeed };

/** Time for the TLS handshake, ms. */
const HANDSHAKE_TIMEOUT_MS = 10_000;

/**
 * Without authorities node builds no certificate path and hands over every certificate that the client sent. Without
 * tickets no connection is resumed: a resumed one would have no certificate.
 */
const ASK_FOR_CERTIFICATES: TlsOptions = {
  requestCert: true,
  rejectUnauthorized: false,
  ca: [],
  minVersion: 'TLSv1.3',
  secureOptions: constants.SSL_OP_NO_TICKET,
};

/** Throws `issuer_unavailable` when a feed has no certificate yet. */
export function createTlsListener(bounds: ServerOptions, tls: ListenTls): Server {
  const { clientCertificates = 'none' } = tls;
  const asked = clientCertificates === 'none' ? ({ minVersion: 'TLSv1.2' } as const) : ASK_FOR_CERTIFICATES;
  const contextOf = ({ certificate, key }: CertificatePem) => ({ ...asked, cert: certificate, key });
  const { feed } = tls;
  const first = feed.current();
  if (first === undefined)
    throw new GatewayError('issuer_unavailable', 'The Workload API gives no X.509-SVID for the listener.');

  const server = createServer({ ...bounds, handshakeTimeout: HANDSHAKE_TIMEOUT_MS, ...contextOf(first) });
  // node:https would emit a `clientError`, and a refusal would be written into a handshake that never ends.
  server.removeAllListeners('tlsClientError').on('tlsClientError', (_error, socket) => socket.destroy());
  if (clientCertificates === 'require') {
    server.on('secureConnection', (socket) => {
      if (socket.getPeerX509Certificate() === undefined) socket.destroy();
    });
  }
  followFeed(server, feed, contextOf);
  return server;
}

/** New connections get the new certificate; those that are open keep theirs, and no call on them is dropped. */
function followFeed(
  server: ReturnType<typeof createServer>,
  feed: CertificateFeed,
  contextOf: (certificate: CertificatePem) => TlsOptions,
): void {
  const stop = feed.onChange(() => {
    const next = feed.current();
    if (next !== undefined) server.setSecureContext(contextOf(next));
  });
  server.on('close', stop);
  server.prependListener('connection', (socket: Socket) => {
    if (feed.current() === undefined) socket.destroy();
  });
}
