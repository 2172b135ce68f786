// Fetches one JSON document from a server that proves itself by an X.509-SVID instead of a name (SPIFFE_Federation
// section 5.2.2). Nothing is sent before the server's certificate has led to the given authorities and holds exactly
// the given SPIFFE ID.

import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { connect, type TLSSocket } from 'node:tls';
import type { Clock } from '../../domain/clock.ts';
import type { Json } from '../../domain/json.ts';
import { isDocumentType, readJson } from '../keys/issuer-http.ts';
import { KeyFault } from '../keys/key-fault.ts';
import { CertificateFault } from '../x509/certificate-fault.ts';
import { type Authorities, readSvidUnverified, verifySvid } from '../x509/svid.ts';

interface SpiffeServer {
  readonly spiffeId: string;
  readonly authorities: Authorities;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
}

/**
 * Throws KeyFault (`address`, `endpoint_<check>`, `endpoint_id`, `status_<n>`, `content_type`, `too_large`),
 * GatewayError (`bad_json`), or what the socket throws.
 */
export async function fetchJsonFromSvid(address: string, server: SpiffeServer): Promise<Json> {
  const url = new URL(address);
  if (url.protocol !== 'https:') throw new KeyFault('address');
  const signal = AbortSignal.any([server.signal, AbortSignal.timeout(server.timeoutMs)]);
  const socket = await dial(url, signal);
  try {
    proveServer(socket, server);
    return await get(url, socket, signal);
  } finally {
    socket.destroy();
  }
}

async function dial({ hostname, port }: URL, signal: AbortSignal): Promise<TLSSocket> {
  // Node's verdict would be about names and the Web PKI; `proveServer` gives the one that counts here, before a byte is
  // sent.
  const socket = connect({
    host: hostname.replace(/^\[|\]$/g, ''),
    port: port === '' ? 443 : Number(port),
    rejectUnauthorized: false,
    ca: [],
    minVersion: 'TLSv1.2',
  });
  // An error after the end of the wait must not end the process.
  socket.on('error', () => {});
  signal.addEventListener('abort', () => socket.destroy(new KeyFault('timeout')), { once: true });
  await once(socket, 'secureConnect');
  return socket;
}

function proveServer(socket: TLSSocket, { spiffeId, authorities, clock }: SpiffeServer): void {
  const chain: Uint8Array[] = [];
  for (
    let next = socket.getPeerX509Certificate();
    next !== undefined && chain.length < 16;
    next = next.issuerCertificate
  )
    chain.push(next.raw);
  try {
    const svid = readSvidUnverified(chain);
    if (svid.spiffeId.id !== spiffeId) throw new KeyFault('endpoint_id');
    verifySvid(svid, authorities, clock.now());
  } catch (thrown) {
    throw thrown instanceof CertificateFault ? new KeyFault(`endpoint_${thrown.check}`) : thrown;
  }
}

async function get(url: URL, socket: TLSSocket, signal: AbortSignal): Promise<Json> {
  const outgoing = request({
    createConnection: () => socket,
    host: url.hostname,
    path: `${url.pathname}${url.search}`,
    headers: { host: url.host, accept: 'application/json' },
    signal,
  });
  outgoing.on('error', () => {});
  outgoing.end();
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
  return readJson(response, isDocumentType);
}
