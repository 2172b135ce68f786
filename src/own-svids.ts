// The gateway's own SVIDs, by the Workload API that gives them. X.509-SVIDs are shown by the agents' listener, and to upstreams that ask for a
// client certificate; each is followed from its first use until the gateway ends. JWT-SVIDs are asked for one by one, and kept nowhere here.

import type { Clock } from './domain/clock.ts';
import type { Logger } from './domain/log.ts';
import type { Feed } from './identity/workload-api/feed.ts';
import { createWorkloadApi, type OwnSvid, type WorkloadApi } from './identity/workload-api/workload-api.ts';

export interface OwnSvids {
  /** The SVID from there; undefined in the feed until the agent has given one. */
  at(address: string): Feed<OwnSvid>;
  /** A JWT-SVID from there for these audiences, within bounded time. Rejects when the agent gives none. */
  jwt(address: string, audience: readonly string[]): Promise<string>;
  /** Resolves when each X.509-SVID used so far has come, or could not be had. */
  ready(): Promise<void>;
  close(): void;
}

export function createOwnSvids(parts: { readonly clock: Clock; readonly log: Logger }): OwnSvids {
  const apis = new Map<string, WorkloadApi>();
  const followed = new Set<Feed<OwnSvid>>();

  function apiAt(address: string): WorkloadApi {
    const api = apis.get(address) ?? createWorkloadApi(address, parts);
    apis.set(address, api);
    return api;
  }

  return {
    at(address) {
      const { svid } = apiAt(address);
      if (!followed.has(svid)) {
        followed.add(svid);
        void svid.start();
      }
      return svid;
    },
    jwt: async (address, audience) => apiAt(address).fetchJwtSvid(audience),
    async ready() {
      await Promise.all([...followed].map((svid) => svid.start()));
    },
    close() {
      for (const api of apis.values()) api.close();
    },
  };
}
