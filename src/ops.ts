// The operators' listener: /livez, /readyz, /metrics and which credentials must still be taken back; in the clear, meant for a loopback or
// cluster-internal address. Names and times only, never a secret.

import { isSending } from './connection.ts';
import { inTurn, type RequestListener } from './connection-bounds.ts';
import type { IssuerStatus } from './domain/identity.ts';
import { createBoundedServer, type Listening, type ListenOptions, listen } from './listen.ts';
import type { OwnSvidStatus } from './own-svids.ts';

export interface OpsOptions extends ListenOptions {
  /** Prometheus text. */
  metrics(): Promise<string>;
  /** Credentials that were issued and are not revoked yet, without what is needed to revoke them. */
  outstanding(): Promise<readonly object[]>;
  /** What readiness rests on, checked at each request. */
  readiness(): Readiness;
}

export interface Readiness {
  /** False from SIGTERM on: load balancers stop sending. */
  readonly accepting: boolean;
  readonly store: boolean;
  readonly audit: boolean;
  /** An issuer without keys does not make the gateway unready: only its own tokens are refused. None with keys does. */
  readonly issuers: readonly IssuerStatus[];
  /** Whether the agents' listener has a certificate to show, or needs none. Without one no agent can connect. */
  readonly certificate: boolean;
  /** The gateway's own X.509-SVIDs. */
  readonly svids: readonly OwnSvidStatus[];
}

export function startOps(options: OpsOptions): Promise<Listening> {
  const server = createBoundedServer(options);
  const answer: RequestListener = async (request, response) => {
    const reply = (status: number, type: string, body: string): void => {
      response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store', ...(isSending(request) && { connection: 'close' }) });
      response.end(body);
    };
    try {
      switch (request.url) {
        case '/livez':
          return reply(200, 'application/json', '{"alive":true}\n');
        case '/readyz': {
          const readiness = options.readiness();
          return reply(isReady(readiness) ? 200 : 503, 'application/json', `${JSON.stringify({ ready: isReady(readiness), ...readiness })}\n`);
        }
        case '/metrics':
          return reply(200, 'text/plain; version=0.0.4; charset=utf-8', await options.metrics());
        case '/credentials/outstanding':
          return reply(200, 'application/json', `${JSON.stringify({ credentials: await options.outstanding() })}\n`);
        default:
          return reply(404, 'text/plain', 'Here are /livez, /readyz, /metrics and /credentials/outstanding.\n');
      }
    } catch {
      if (response.headersSent) response.destroy();
      else reply(500, 'text/plain', 'The answer could not be made.\n');
    }
  };
  server.on('request', inTurn(answer));
  return listen(server, options);
}

function isReady({ accepting, store, audit, issuers, certificate }: Readiness): boolean {
  return accepting && store && audit && certificate && (issuers.length === 0 || issuers.some((issuer) => issuer.ready));
}
