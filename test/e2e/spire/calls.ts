// The two ends that are not the gateway: an agent that calls over TLS and believes only the gateway's own SPIFFE ID,
// and an upstream that serves only that ID. Both use node's own path validation, so that they do not share a fault with
// the code under test.

import { once } from 'node:events';
import { Agent, createServer, request, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Issued } from '../../support/spiffe-authority.ts';
import type { X509Svid } from './spire.ts';

export interface Caller {
  /** The gateway's trust domain's authorities, PEM. */
  readonly trust: string;
  /** Whom the caller believes to be the gateway. */
  readonly gateway: string;
  readonly as?: X509Svid;
}

/** A caller's connections: one that is kept between calls, or a new one for each call. */
export function connect({ trust, gateway, as }: Caller, { keep }: { readonly keep: boolean }): Agent {
  return new Agent({
    ca: trust,
    ...(as && { cert: as.cert, key: as.key }),
    // Node keeps a connection only if this is the agent's own and not the request's.
    checkServerIdentity: (_host, certificate) =>
      isSpiffeId(certificate.subjectaltname, gateway) ? undefined : new Error('the server is somebody else'),
    keepAlive: keep,
    maxSockets: keep ? 1 : Number.POSITIVE_INFINITY,
  });
}

export interface Answer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
  /** The name of the authority that signed the gateway's certificate: SPIRE gives each authority a name of its own. */
  readonly signedBy: string;
  /** Whether the connection was there before the call. */
  readonly kept: boolean;
}

/** Rejects when the connection cannot be made, or the gateway is somebody else. */
export async function call(port: number, path: string, agent: Agent, token?: string): Promise<Answer> {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const outgoing = request({ host: '127.0.0.1', port, path, agent, headers }).end();
  const [response] = await once(outgoing, 'response');
  const signedBy = String((response.socket as TLSSocket).getPeerX509Certificate()?.issuer);
  let text = '';
  for await (const chunk of response) text += chunk;
  return { status: response.statusCode, body: JSON.parse(text), signedBy, kept: outgoing.reusedSocket };
}

function isSpiffeId(names: string | undefined, id: string): boolean {
  return names?.split(', ').includes(`URI:${id}`) === true;
}

export interface SpiffeUpstream {
  readonly origin: string;
  /** Issuers of the client certificates that came, one for each call. */
  readonly signedBy: readonly string[];
  /** Authorization as it came with each call. */
  readonly authorizations: readonly string[];
  /** Clients must lead to these authorities from now on. */
  trust(authorities: string): void;
  close(): Promise<void>;
}

/**
 * Ends the handshake of clients without a certificate of those authorities, and answers 403 to another SPIFFE ID than
 * `client`.
 */
export async function startSpiffeUpstream(own: Issued, client: string, authorities: string): Promise<SpiffeUpstream> {
  const signedBy: string[] = [];
  const authorizations: string[] = [];
  const contextOf = (ca: string) => ({
    cert: own.pem,
    key: own.keyPem,
    ca,
    requestCert: true,
    rejectUnauthorized: true,
  });
  const server: Server = createServer(contextOf(authorities), (incoming, response) => {
    const certificate = (incoming.socket as TLSSocket).getPeerX509Certificate();
    const allowed = isSpiffeId(certificate?.subjectAltName, client);
    signedBy.push(String(certificate?.issuer));
    authorizations.push(String(incoming.headers.authorization));
    // One connection each: every call shows what the gateway has now.
    response
      .writeHead(allowed ? 200 : 403, { 'content-type': 'application/json', connection: 'close' })
      .end(JSON.stringify({ ok: allowed }));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    origin: `https://localhost:${(server.address() as AddressInfo).port}`,
    signedBy,
    authorizations,
    trust: (ca) => server.setSecureContext(contextOf(ca)),
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}
