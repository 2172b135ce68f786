// The agents' listener: each arrival becomes a call for the pipeline, or a request to the gateway's own endpoints.

import type { IncomingMessage } from 'node:http';
import { isWebSocketHandshake, receiveRequest } from '../actions/receive.ts';
import type { AgentsApi } from '../agent-api/api.ts';
import type { Config } from '../config/schema.ts';
import { Call } from '../domain/call.ts';
import type { Clock } from '../domain/clock.ts';
import type { Logger } from '../domain/log.ts';
import type { InboundRequest } from '../domain/request.ts';
import { RESOURCE_METADATA_PATH } from '../domain/well-known.ts';
import { asGatewayError } from '../errors.ts';
import { type Arrival, startServer } from '../listeners/agents-server.ts';
import { isStranger, markProved } from '../listeners/connection-bounds.ts';
import { isPreflight, pageFields, preflightFields, withFields } from '../listeners/cors.ts';
import type { Listening } from '../listeners/listen.ts';
import type { ListenTls } from '../listeners/tls.ts';
import { problem } from '../problem.ts';
import type { AgentAddresses } from './agent-addresses.ts';
import { followCertificateFiles } from './certificate-files.ts';
import type { GatewaySvids } from './gateway-svids.ts';
import type { LiveConfig } from './live-config.ts';

export interface AgentsPlaneParts {
  readonly live: Pick<LiveConfig, 'runtime'>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly api: AgentsApi;
  /** The pipeline. */
  run(call: Call): Promise<void>;
  readonly addresses: Pick<AgentAddresses, 'metadata' | 'plainChallenge'>;
  readonly svids: GatewaySvids;
  readonly maxConnections: number;
}

/** The first segment of the gateway's own paths; no upstream can have this name. */
const OWN = '/countersign/';

export async function startAgentsPlane(
  { listeners, limits }: Config,
  { live, clock, log, api, run, addresses, svids, maxConnections }: AgentsPlaneParts,
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
      const call = callOf(arrival, live, accepted);
      if (isPreflight(arrival.incoming, call.runtime.mounts)) return answerPreflight(call, arrival.incoming);
      if (arrival.incoming.url?.startsWith(RESOURCE_METADATA_PATH)) return tell(call, addresses.metadata);
      const done = arrival.incoming.url?.startsWith(OWN) ? api.handle(call, addresses.plainChallenge) : run(call);
      const { socket } = arrival.incoming;
      // Once per connection.
      return isStranger(socket)
        ? done.then(() => (call.reached.principal === undefined ? undefined : markProved(socket)))
        : done;
    },
  });
}

/** Answers what needs no identity. */
function tell(call: Call, metadata: AgentAddresses['metadata']): Promise<void> {
  return answerPublic(call, (request) => {
    const { headers, body } = metadata(request);
    call.sink.whole(200, headers, request.method === 'HEAD' ? '' : body);
  });
}

function answerPreflight(call: Call, incoming: IncomingMessage): Promise<void> {
  return answerPublic(call, () => call.sink.whole(204, preflightFields(incoming, call.runtime.mounts), ''));
}

async function answerPublic(call: Call, answer: (request: InboundRequest) => void): Promise<void> {
  try {
    answer(call.parse());
  } catch (thrown) {
    const { status, headers, body } = problem(asGatewayError(thrown), { requestId: call.id });
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
    log.warn('listener.full', {
      listener: 'agents',
      hint: 'Every connection is in use. Raise the open-file limit, or listeners.agents.maxConnections.',
    });
  };
}

type AgentsTls = NonNullable<Config['listeners']['agents']['tls']>;

async function listenTls(tls: AgentsTls, svids: GatewaySvids, log: Logger): Promise<ListenTls> {
  const { clientCertificates } = tls;
  if (!('workloadApi' in tls)) return { clientCertificates, feed: followCertificateFiles(tls, 'agents', log) };
  const feed = svids.at(tls.workloadApi);
  await svids.ready();
  return { clientCertificates, feed };
}

function callOf(
  { id, receivedAt, incoming, response, sink, upgrade }: Arrival,
  live: AgentsPlaneParts['live'],
  hosts: ReadonlySet<string> | 'any',
): Call {
  const runtime = live.runtime();
  const forPage = pageFields(incoming, runtime.mounts);
  return new Call({
    ...{ id, receivedAt, runtime },
    method: incoming.method ?? '',
    sink: forPage === undefined ? sink : withFields(sink, forPage),
    upgrade: upgrade && { incoming, ...upgrade },
    parse: () => receiveRequest(incoming, upgrade === undefined ? response : undefined, { id, receivedAt, hosts }),
  });
}
