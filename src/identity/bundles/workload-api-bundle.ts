// A trust domain's bundle from the Workload API. One connection serves every trust domain that names its address. A
// trust domain that the agent's full state leaves out is no longer trusted.

import type { KeySet } from '../keys/key-set.ts';
import type { WorkloadApi } from '../workload-api/workload-api.ts';
import type { Authorities } from '../x509/svid.ts';
import type { TrustBundleSource } from './trust-bundle.ts';

/** One object for all, so that being left out counts as one generation. */
const NO_KEYS: KeySet = { keys: [], dropped: new Set() };
const NO_AUTHORITIES: Authorities = [];

export function createWorkloadApiBundle(
  trustDomain: string,
  { jwtBundles, x509Bundles }: WorkloadApi,
): TrustBundleSource {
  const current = (): KeySet | undefined => {
    const state = jwtBundles.current();
    return state === undefined ? undefined : (state.get(trustDomain)?.bundle ?? NO_KEYS);
  };
  const authorities = (): Authorities | undefined => {
    const state = x509Bundles.current();
    return state === undefined ? undefined : (state.get(trustDomain)?.bundle ?? NO_AUTHORITIES);
  };
  return {
    trustDomain,
    current,
    authorities,
    // The agent reports changes itself, so there is nothing to ask for.
    renew: async () => current(),
    async start() {
      await Promise.all([jwtBundles.start(), x509Bundles.start()]);
    },
    close() {
      // The owner of the Workload API client closes it: other trust domains may use it.
    },
    status() {
      const fetchedAt = x509Bundles.confirmedAt ?? jwtBundles.confirmedAt;
      const lastError = x509Bundles.lastError ?? jwtBundles.lastError;
      return {
        keys: current()?.keys.length ?? 0,
        authorities: authorities()?.length ?? 0,
        ...(fetchedAt !== undefined && { fetchedAt }),
        ...(lastError !== undefined && { lastError }),
      };
    },
  };
}
