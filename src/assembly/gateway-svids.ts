// The gateway's own SVIDs, by the Workload API that gives them. X.509-SVIDs are shown by the agents' listener, and to
// upstreams that ask for a client certificate; each is followed from its first use until the gateway ends, and shown to
// nobody once it has expired. JWT-SVIDs are asked for one by one, and kept nowhere here.

import type { Clock } from '../domain/clock.ts';
import type { GatewaySvidStatus } from '../domain/identity.ts';
import type { Logger } from '../domain/log.ts';
import { createWorkloadApi, type GatewaySvid, type WorkloadApi } from '../identity/workload-api/workload-api.ts';

/** The SVID from one Workload API, as it is now. */
export interface GatewaySvidFeed {
  /** Undefined until the agent has given one, after it took it away, and once it has expired. */
  current(): GatewaySvid | undefined;
  /** Calls back when the agent gives another one or takes it away; gives a function that stops it. */
  onChange(callback: () => void): () => void;
}

export interface GatewaySvids {
  at(address: string): GatewaySvidFeed;
  /** Each X.509-SVID that is followed. */
  status(): readonly GatewaySvidStatus[];
  /** A JWT-SVID from there for these audiences, within bounded time. Rejects when the agent gives none. */
  jwt(address: string, audience: readonly string[]): Promise<string>;
  /** Resolves when each X.509-SVID used so far has come, or could not be had. */
  ready(): Promise<void>;
  close(): void;
}

export function createGatewaySvids(parts: { readonly clock: Clock; readonly log: Logger }): GatewaySvids {
  const apis = new Map<string, WorkloadApi>();
  const followed = new Map<string, GatewaySvidFeed>();

  function apiAt(address: string): WorkloadApi {
    const api = apis.get(address) ?? createWorkloadApi(address, parts);
    apis.set(address, api);
    return api;
  }

  function follow(address: string): GatewaySvidFeed {
    const { svid } = apiAt(address);
    void svid.start();
    return {
      current() {
        const own = svid.current();
        return own !== undefined && parts.clock.now() < own.expiresAt ? own : undefined;
      },
      onChange: (callback) => svid.onChange(callback),
    };
  }

  return {
    at(address) {
      const feed = followed.get(address) ?? follow(address);
      followed.set(address, feed);
      return feed;
    },
    status: () =>
      [...followed].map(([from, feed]) => {
        const { lastError } = apiAt(from).svid;
        const own = feed.current();
        const known = own === undefined ? {} : { spiffeId: own.spiffeId, expiresAt: own.expiresAt };
        return { from, ready: own !== undefined, ...known, ...(lastError !== undefined && { lastError }) };
      }),
    jwt: async (address, audience) => apiAt(address).fetchJwtSvid(audience),
    async ready() {
      await Promise.all([...followed.keys()].map((address) => apiAt(address).svid.start()));
    },
    close() {
      for (const api of apis.values()) api.close();
    },
  };
}
