// The open requests, by their JSON-RPC ids: held calls that a notifications/cancelled may mean, and requests of a
// server that the agent has not answered yet. An id is unique only within one caller, upstream and session. Kept in
// memory: after a restart nobody waits on a connection any more.

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
  /** All requests of the caller in the session that `action` names. */
  inSession(principal: Principal, action: Action): readonly T[];
}

/** `scope` says where ids are unique: an agent's ids within its mount, a server's ids within its upstream. */
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
