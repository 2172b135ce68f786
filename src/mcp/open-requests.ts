// The requests that are under way, by the numbers that MCP gives them: held calls that a notifications/cancelled may
// mean, and the server's own requests that the agent has yet to answer. Numbers are only good within one caller,
// upstream and session. In memory: after a restart nobody waits on a connection any more.

import type { Action } from '../domain/action.ts';
import { sessionOf } from '../domain/mcp-session.ts';
import type { Principal } from '../domain/principal.ts';
import { readUpstreamName } from '../domain/server-names.ts';

type RpcId = string | number;

/** Requests that are remembered at a time; past it the oldest are forgotten. */
const REMEMBERED = 50_000;

export interface OpenRequests<T> {
  put(principal: Principal, action: Action, id: RpcId, value: T): void;
  get(principal: Principal, action: Action, id: RpcId): T | undefined;
  remove(principal: Principal, action: Action, id: RpcId): void;
  /** All of the caller's in the session that `action` names. */
  inSession(principal: Principal, action: Action): readonly T[];
}

/** `scope` says within what numbers are unique: an agent's within its mount, a server's within its upstream. */
export function createOpenRequests<T>(scope: 'mount' | 'upstream'): OpenRequests<T> {
  const sessionKey = ({ id }: Principal, { upstream, boundHeaders }: Action): string =>
    JSON.stringify([id, scope === 'mount' ? readUpstreamName(upstream).mount : upstream, sessionOf(boundHeaders)]);
  const keyOf = (principal: Principal, action: Action, rpcId: RpcId): string =>
    `${sessionKey(principal, action)} ${JSON.stringify(rpcId)}`;
  const open = new Map<string, T>();
  return {
    put(principal, action, id, value) {
      for (const oldest of open.keys()) {
        if (open.size < REMEMBERED) break;
        open.delete(oldest);
      }
      open.set(keyOf(principal, action, id), value);
    },
    get: (principal, action, id) => open.get(keyOf(principal, action, id)),
    remove: (principal, action, id) => void open.delete(keyOf(principal, action, id)),
    inSession(principal, action) {
      const start = `${sessionKey(principal, action)} `;
      return [...open].flatMap(([key, value]) => (key.startsWith(start) ? [value] : []));
    },
  };
}
