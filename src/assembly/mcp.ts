// The parts of mcp/ made and joined to the rest of the gateway: what gateway.ts would say about MCP if it were not so
// much.

import { heldMessageBody } from '../actions/mcp-message.ts';
import type { Approvals } from '../domain/approvals.ts';
import type { AuditLog } from '../domain/audit.ts';
import type { Call } from '../domain/call.ts';
import { sha256 } from '../domain/canonical.ts';
import type { Clock } from '../domain/clock.ts';
import type { Logger } from '../domain/log.ts';
import type { Mount } from '../domain/mount.ts';
import type { ProtocolHandler } from '../domain/protocol-handler.ts';
import type { InboundRequest } from '../domain/request.ts';
import { readUpstreamName } from '../domain/server-names.ts';
import type { Reached } from '../domain/stages.ts';
import type { GatewayError } from '../errors.ts';
import { challenge } from '../identity/challenge.ts';
import { authorizationServer } from '../identity/issuers.ts';
import type { WaitingCall } from '../mcp/cancellation.ts';
import { createMcpHandler, type McpDependencies } from '../mcp/handler.ts';
import { createOpenRequests } from '../mcp/open-requests.ts';
import { createRequestStates, type RequestStates, type StateSealer } from '../mcp/request-state.ts';
import { baseOf, metadataUrl, type ResourceMetadataOptions, resourceMetadata } from '../mcp/resource-metadata.ts';
import { createSharedCursors } from '../mcp/shared-mount/cursor.ts';
import { createSharedHandler } from '../mcp/shared-mount/handler.ts';
import { createSharedServers } from '../mcp/shared-mount/servers.ts';
import type { SharedSessions } from '../mcp/shared-mount/session.ts';
import { createSubcalls } from '../mcp/shared-mount/subcalls.ts';
import { createTaskOutcomes } from '../mcp/tasks/outcomes.ts';
import { createGatewayTasks, type GatewayTasks } from '../mcp/tasks/tasks.ts';
import { createToolPins } from '../mcp/tool-pins.ts';
import type { Store } from '../store/sqlite.ts';
import { VERSION } from '../version.ts';
import type { LiveConfig } from './live-config.ts';

export interface McpSurroundings extends Pick<McpDependencies, 'forwarder'> {
  readonly approvals: Approvals;
  readonly audit: AuditLog;
  readonly clock: Clock;
  readonly live: LiveConfig;
  readonly log: Logger;
  /** The pipeline: the gateway's own calls to servers that share a mount go through it too. */
  run(call: Call): Promise<void>;
  readonly seal: StateSealer;
  readonly sessions: SharedSessions;
  readonly scheme: 'http' | 'https';
  readonly store: Store;
}

export interface McpParts {
  readonly states: RequestStates;
  readonly tasks: GatewayTasks;
  /** Waits for the calls that run as tasks, at most this long. */
  drain(graceMs: number): Promise<void>;
  handlerOf(mount: Mount): ProtocolHandler | undefined;
  /** WWW-Authenticate, with the way to the issuer for MCP clients. */
  challenge(error: GatewayError, last: Reached): string;
  /** How the agent of a call reaches the gateway. */
  base(last: Reached): string | undefined;
  metadata(request: InboundRequest): { readonly headers: readonly string[]; readonly body: string };
}

/** Half of what most clients, proxies and load balancers take for a dead connection, and less. */
const PROGRESS_EVERY_MS = 10_000;

export function buildMcp({
  approvals,
  audit,
  clock,
  forwarder,
  live,
  log,
  run,
  seal,
  sessions,
  scheme,
  store,
}: McpSurroundings): McpParts {
  const states = createRequestStates(seal, clock, store.once);
  const pins = createToolPins(store.toolPins, ({ event, upstream, tool, digest }) => {
    log[event === 'tool_changed' ? 'warn' : 'info'](`mcp.${event}`, { upstream, tool, digest });
    // What a tool was when it was allowed is evidence; a failing journal stops calls by itself.
    void audit.append('config', clock.now(), { event, upstream, tool, digest }, 'soon').catch(() => {});
  });
  const waiting = createOpenRequests<WaitingCall>('mount');
  const subcalls = createSubcalls({ run, runtime: live.runtime, clock, sessions });
  const servers = createSharedServers({
    ...{ sessions, subcalls, log },
    runtime: live.runtime,
    withinMs(mount) {
      const entry = live.config().upstreams[mount];
      return entry !== undefined && 'servers' in entry ? entry.serversWithinMs : 0;
    },
  });
  const outcomes = createTaskOutcomes();
  const tasks = createGatewayTasks({ approvals, holds: store.holds, outcomes, clock, messageBody: heldMessageBody });
  const handler = createMcpHandler({
    ...{ approvals, clock, forwarder, log, pins, states, tasks, waiting },
    policy: () => live.runtime().policy,
    options(upstream) {
      const entry = live.config().upstreams[upstream];
      if (entry === undefined || !('url' in entry))
        return { acceptChanges: false, pinnedTools: {}, heldToolSuffix: '' };
      return {
        acceptChanges: entry.toolChanges === 'allow',
        pinnedTools: entry.pinnedTools,
        heldToolSuffix: entry.heldToolSuffix,
      };
    },
    hash: sha256,
    progressEveryMs: PROGRESS_EVERY_MS,
    servers,
  });
  const joint = createSharedHandler({
    approvals,
    aliveEveryMs: PROGRESS_EVERY_MS,
    waiting,
    servers,
    sessions,
    cursors: createSharedCursors(seal),
    log,
    version: VERSION,
  });
  const metadataOptions = (): ResourceMetadataOptions => {
    const { identity, listeners, upstreams } = live.config();
    return {
      url: listeners.agents.url,
      scheme,
      issuers: identity.issuers.flatMap((issuer) => authorizationServer(issuer) ?? []),
      isMcp: (mount) =>
        readUpstreamName(mount).server === undefined &&
        Object.hasOwn(upstreams, mount) &&
        upstreams[mount]?.protocol === 'mcp',
    };
  };
  return {
    states,
    tasks,
    drain: outcomes.drain,
    handlerOf: ({ protocol, route }) => (protocol !== 'mcp' ? undefined : route === undefined ? handler : joint),
    challenge(error, { arrived }) {
      const at = arrived && metadataUrl(metadataOptions(), arrived.headers, arrived.mount);
      return challenge(error, { realm: 'countersign', ...(at !== undefined && { resourceMetadata: at }) });
    },
    base: ({ arrived }) => arrived && baseOf(metadataOptions(), arrived.headers),
    metadata: (request) => resourceMetadata(metadataOptions(), request),
  };
}
