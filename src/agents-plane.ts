// The agents' listener: each arrival becomes a call for the pipeline, or a request to the gateway's own endpoints.

import { isWebSocketHandshake, receiveRequest } from './actions/receive.ts';
import type { AgentsApi } from './agents/api.ts';
import { followCertificateFiles } from './certificate-files.ts';
import type { Config } from './config/schema.ts';
import { isStranger, markProved } from './connection-bounds.ts';
import type { Clock } from './domain/clock.ts';
import type { HeaderList } from './domain/headers.ts';
import type { Logger } from './domain/log.ts';
import type { InboundRequest } from './domain/request.ts';
import type { Call } from './domain/stages.ts';
import { asGatewayError, type GatewayError } from './errors.ts';
import type { Listening } from './listen.ts';
import type { Live } from './live.ts';
import { WELL_KNOWN } from './mcp/resource-metadata.ts';
import { forWebPages, isPreflight, preflightFields } from './mcp/web-pages.ts';
import type { OwnSvids } from './own-svids.ts';
import { type Answer, problem } from './problem.ts';
import { type Arrival, startServer } from './server.ts';
import type { ListenTls } from './tls-listener.ts';

export interface AgentsPlaneParts {
  readonly live: Live;
  readonly clock: Clock;
  readonly log: Logger;
  readonly api: AgentsApi;
  /** The pipeline. */
  run(call: Call): Promise<void>;
  challenge(error: GatewayError): string;
  /** The public metadata of an MCP mount. Throws `not_found`, `method_not_allowed`. */
  metadata(request: InboundRequest): { readonly headers: HeaderList; readonly body: string };
  readonly svids: OwnSvids;
  readonly maxConnections: number;
}

/** The first segment of the gateway's own paths; no upstream can have this name. */
const OWN = '/countersign/';

export async function startAgentsPlane(
  { listeners, limits }: Config,
  { live, clock, log, api, run, challenge, metadata, svids, maxConnections }: AgentsPlaneParts,
): Promise<Listening> {
  const { address, tls, hosts } = listeners.agents;
  const accepted = hosts === undefined ? 'any' : new Set(hosts);
  return startServer({
    address,
    ...(tls && { tls: await listenTls(tls, svids, log) }),
    headerBytes: limits.headerBytes,
    maxConnections,
    turnedAway: complainer(log),
    clock,
    takesUpgrade: isWebSocketHandshake,
    failed: (id, thrown) => log.error('countersign.connection.failed', { id, cause: asGatewayError(thrown) }),
    async handle(arrival) {
      const { incoming } = arrival;
      const call = callOf(arrival, live, accepted);
      const aboutMount = incoming.url?.startsWith(WELL_KNOWN) === true;
      const pages = call.regime.mounts.get(mountIn(incoming.url ?? '', aboutMount ? WELL_KNOWN.length : 0))?.webPages;
      if (pages !== undefined) {
        call.sink = forWebPages(call.sink, pages, incoming.headers.origin);
        // A browser sends no token with it.
        if (isPreflight(incoming)) return tell(call, (request) => ({ status: 204, headers: preflightFields(pages, request), body: '' }));
      }
      if (aboutMount) return tell(call, (request) => ({ status: 200, ...metadata(request) }));
      const done = incoming.url?.startsWith(OWN) ? api.handle(call, challenge) : run(call);
      const { socket } = incoming;
      // Once per connection.
      return isStranger(socket) ? done.then(() => (call.facts.principal === undefined ? undefined : markProved(socket))) : done;
    },
  });
}

/** The mount that a target names in the segment after `from`; of a target that is refused, whatever stands there. */
function mountIn(target: string, from: number): string {
  const end = target.slice(from + 1).search(/[/?]/);
  return target.slice(from + 1, end === -1 ? undefined : from + 1 + end);
}

/** Answers what needs no identity. */
async function tell(call: Call, answer: (request: InboundRequest) => Answer): Promise<void> {
  try {
    const request = call.parse();
    const { status, headers, body } = answer(request);
    call.sink.whole(status, headers, request.method === 'HEAD' ? '' : body);
  } catch (thrown) {
    const { status, headers, body } = problem(asGatewayError(thrown), { requestId: call.facts.id });
    call.sink.whole(status, headers, body);
  }
}

const COMPLAIN_EVERY_MS = 60_000;

/** Says that the listener is full, and not for every connection. */
function complainer(log: Logger): () => void {
  let since = Number.NEGATIVE_INFINITY;
  return () => {
    if (performance.now() - since < COMPLAIN_EVERY_MS) return;
    since = performance.now();
    log.warn('listener.full', { listener: 'agents', hint: 'Every connection is in use. Raise the open-file limit, or listeners.agents.maxConnections.' });
  };
}

type AgentsTls = NonNullable<Config['listeners']['agents']['tls']>;

async function listenTls(tls: AgentsTls, svids: OwnSvids, log: Logger): Promise<ListenTls> {
  const { clientCertificates } = tls;
  if (!('workloadApi' in tls)) return { clientCertificates, feed: followCertificateFiles(tls, 'agents', log) };
  const feed = svids.at(tls.workloadApi);
  await svids.ready();
  return { clientCertificates, feed };
}

function callOf({ id, receivedAt, incoming, response, sink, upgrade }: Arrival, live: Live, hosts: ReadonlySet<string> | 'any'): Call {
  return {
    regime: live.regime(),
    facts: { id, receivedAt, method: incoming.method ?? '' },
    sink,
    ...(upgrade && { upgrade: { incoming, ...upgrade } }),
    parse: () => receiveRequest(incoming, upgrade === undefined ? response : undefined, { id, receivedAt, hosts }),
    departed: false,
  };
}
