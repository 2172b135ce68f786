// The gateway's own X.509-SVIDs, by the Workload API that gives them: shown by the agents' listener, and to upstreams that ask for a client
// certificate. Each is followed from its first use until the gateway ends.

import type { Clock } from './domain/clock.ts';
import type { Logger } from './domain/log.ts';
import type { Feed } from './identity/workload-api/feed.ts';
import { createWorkloadApi, type OwnSvid, type WorkloadApi } from './identity/workload-api/workload-api.ts';

export interface OwnSvids {
  /** The SVID from there; undefined in the feed until the agent has given one. */
  at(address: string): Feed<OwnSvid>;
  /** Resolves when each one used so far has come, or could not be had. */
  ready(): Promise<void>;
  close(): void;
}

export function createOwnSvids(parts: { readonly clock: Clock; readonly log: Logger }): OwnSvids {
  const apis = new Map<string, WorkloadApi>();
  return {
    at(address) {
      const known = apis.get(address);
      if (known !== undefined) return known.svid;
      const api = createWorkloadApi(address, parts);
      apis.set(address, api);
      void api.svid.start();
      return api.svid;
    },
    async ready() {
      await Promise.all([...apis.values()].map(({ svid }) => svid.start()));
    },
    close() {
      for (const api of apis.values()) api.close();
    },
  };
}
