// The parts of mcp/, made and joined to the rest of the gateway: the two handlers of MCP mounts.

import { heldMessageBody } from '../actions/mcp-message.ts';
import type { Approvals } from '../domain/approvals.ts';
import type { Call } from '../domain/call.ts';
import { sha256 } from '../domain/canonical.ts';
import type { AnsweringHandler, ProtocolHandler } from '../domain/protocol-handler.ts';
import type { TaskDesk } from '../domain/task-desk.ts';
import type { WaitingCall } from '../mcp/cancellation.ts';
import { createMcpHandler, type McpDependencies } from '../mcp/handler.ts';
import { createOpenRequests } from '../mcp/open-requests.ts';
import { refuseInMcp } from '../mcp/refused-call.ts';
import { createRequestStates, type StateSealer } from '../mcp/request-state.ts';
import { createSharedCursors } from '../mcp/shared-mount/cursor.ts';
import { createSharedHandler } from '../mcp/shared-mount/handler.ts';
import { createSharedServers } from '../mcp/shared-mount/servers.ts';
import type { SharedSessions } from '../mcp/shared-mount/session.ts';
import { createSubcalls } from '../mcp/shared-mount/subcalls.ts';
import { createTaskOutcomes } from '../mcp/tasks/outcomes.ts';
import { GatewayTasks } from '../mcp/tasks/tasks.ts';
import { createToolPins } from '../mcp/tool-pins.ts';
import { VERSION } from '../version.ts';
import type { Foundation } from './foundation.ts';
import type { LiveConfig } from './live-config.ts';

export interface McpSurroundings extends Pick<McpDependencies, 'forwarder'> {
  readonly approvals: Approvals;
  readonly live: LiveConfig;
  /** The pipeline: the gateway's own calls to servers that share a mount go through it too. */
  run(call: Call): Promise<void>;
  readonly seal: StateSealer;
  readonly sessions: SharedSessions;
  readonly desk: TaskDesk;
}

export interface McpParts {
  /** Of a mount with one MCP server. */
  readonly single: ProtocolHandler;
  /** Of a mount that several servers share. */
  readonly shared: AnsweringHandler;
  /** Waits for the calls that run as tasks, at most this long. */
  drain(graceMs: number): Promise<void>;
}

/** At most half of what clients, proxies and load balancers commonly take for a dead connection. */
const PROGRESS_EVERY_MS = 10_000;

export function createMcp(
  { audit, clock, log, store }: Foundation,
  { approvals, desk, forwarder, live, run, seal, sessions }: McpSurroundings,
): McpParts {
  const states = createRequestStates(seal, clock, store.once);
  const pins = createToolPins(store.toolPins, ({ event, upstream, tool, digest }) => {
    log[event === 'tool_changed' ? 'warn' : 'info'](`mcp.${event}`, { upstream, tool, digest });
    // What a tool was when it was allowed is evidence. A journal that fails stops calls by itself.
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
  const tasks = new GatewayTasks({ approvals, holds: store.holds, outcomes, clock, messageBody: heldMessageBody });
  const refusal = refuseInMcp({ states, tasks });
  return {
    single: createMcpHandler({
      ...{ approvals, clock, desk, forwarder, log, pins, refusal, servers, states, tasks, waiting },
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
    }),
    shared: createSharedHandler({
      ...{ approvals, desk, log, refusal, servers, sessions, waiting },
      aliveEveryMs: PROGRESS_EVERY_MS,
      cursors: createSharedCursors(seal),
      version: VERSION,
    }),
    drain: outcomes.drain,
  };
}
