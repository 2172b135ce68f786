// The operators' listener: /livez, /readyz, /metrics and the credentials that are not revoked yet. Without TLS, for a
// loopback or cluster-internal address. It shows names and times, never a secret. It refuses host names that are not
// its own, so that no web page reads it by DNS rebinding.

import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { isIPv4, isIPv6 } from 'node:net';
import type { GatewaySvidStatus, IssuerStatus } from '../domain/identity.ts';
import { GatewayError } from '../errors.ts';
import { problem } from '../problem.ts';
import { isSending } from './connection.ts';
import { inTurn, type RequestListener } from './connection-bounds.ts';
import { createBoundedServer, type Listening, type ListenOptions, listen } from './listen.ts';

export interface OpsOptions extends ListenOptions {
  /** Names in lower case, with or without a port, besides literal addresses and localhost. */
  readonly hosts?: readonly string[];
  /** Prometheus text. */
  metrics(): Promise<string>;
  /** Credentials that were issued and are not revoked yet, without what is needed to revoke them. */
  outstanding(): Promise<readonly object[]>;
  /** False when this process cannot recover by itself: its supervisor should start another. */
  alive(): boolean;
  /** What readiness rests on, checked at each request. */
  readiness(): Readiness;
}

export interface Readiness {
  /** False from SIGTERM on: load balancers stop sending. */
  readonly accepting: boolean;
  readonly store: boolean;
  /** False while the system's clock is behind the gateway's time: it was set back. */
  readonly clock: boolean;
  readonly audit: boolean;
  /** An issuer without keys does not make the gateway unready: only its own tokens are refused. None with keys does. */
  readonly issuers: readonly IssuerStatus[];
  /** Whether the agents' listener has a certificate to show, or needs none. Without one no agent can connect. */
  readonly certificate: boolean;
  /** The gateway's own X.509-SVIDs. */
  readonly svids: readonly GatewaySvidStatus[];
}

export function startOps(options: OpsOptions): Promise<Listening> {
  const server = createBoundedServer(options);
  const names = new Set(['localhost', options.address.host.toLowerCase(), ...(options.hosts ?? [])]);
  const answer: RequestListener = async (request, response) => {
    const reply = (status: number, type: string, body: string): void => {
      response.writeHead(status, {
        'content-type': type,
        'cache-control': 'no-store',
        ...(isSending(request) && { connection: 'close' }),
      });
      response.end(body);
    };
    try {
      checkHost(request, names);
      // Scrapers and probes may add a query: `/readyz?verbose`.
      switch (request.url?.split('?', 1)[0]) {
        case '/livez':
          return reply(options.alive() ? 200 : 503, 'application/json', `{"alive":${options.alive()}}\n`);
        case '/readyz': {
          const readiness = options.readiness();
          return reply(
            isReady(readiness) ? 200 : 503,
            'application/json',
            `${JSON.stringify({ ready: isReady(readiness), ...readiness })}\n`,
          );
        }
        case '/metrics':
          return reply(200, 'text/plain; version=0.0.4; charset=utf-8', await options.metrics());
        case '/credentials/outstanding':
          return reply(200, 'application/json', `${JSON.stringify({ credentials: await options.outstanding() })}\n`);
        default:
          return reply(404, 'text/plain', 'Here are /livez, /readyz, /metrics and /credentials/outstanding.\n');
      }
    } catch (thrown) {
      if (response.headersSent) response.destroy();
      else if (thrown instanceof GatewayError)
        reply(thrown.status, 'application/problem+json', problem(thrown, { requestId: randomUUID() }).body);
      else reply(500, 'text/plain', 'The answer could not be made.\n');
    }
  };
  server.on('request', inTurn(answer));
  return listen(server, options);
}

/**
 * Refuses DNS rebinding: a web page whose own name resolves to this address still sends that name. A literal address is
 * safe, and Kubernetes probes and Prometheus use it. A request without Host (HTTP/1.0) does not come from a browser.
 * Throws `bad_host`.
 */
function checkHost({ headersDistinct: { host = [] } }: IncomingMessage, names: ReadonlySet<string>): void {
  const [first = ''] = host;
  const authority = first.toLowerCase();
  const name = authority.replace(/:\d{1,5}$/, '');
  const literal = isIPv4(name) || (name.startsWith('[') && isIPv6(name.slice(1, -1)) && name.endsWith(']'));
  if (host.length === 0 || (host.length === 1 && (literal || names.has(name) || names.has(authority)))) return;
  throw new GatewayError(
    'bad_host',
    'This listener answers to literal addresses and localhost. For another name, set `listeners.ops.hosts`: ' +
      '[the name].',
  );
}

function isReady({ accepting, store, clock, audit, issuers, certificate }: Readiness): boolean {
  return (
    accepting &&
    store &&
    clock &&
    audit &&
    certificate &&
    (issuers.length === 0 || issuers.some((issuer) => issuer.ready))
  );
}
