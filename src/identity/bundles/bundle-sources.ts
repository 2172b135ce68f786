// Makes the source of each trust domain's bundle from the configuration: a file, the Workload API, or a bundle
// endpoint. Strictly one bundle per trust domain; nothing is merged. Trust domains that name one Workload API address
// share its connection.

import type { Clock } from '../../domain/clock.ts';
import type { Logger } from '../../domain/log.ts';
import { readRegularFileSync } from '../../domain/regular-file.ts';
import type { FetchDocument } from '../keys/issuer-http.ts';
import { faultReason } from '../keys/key-fault.ts';
import type { RefreshTimes } from '../keys/polled.ts';
import { WatchedFile } from '../keys/watched-file.ts';
import { parseSpiffeId } from '../spiffe-id.ts';
import type { FeedTimes } from '../workload-api/feed.ts';
import { createWorkloadApi, type WorkloadApi } from '../workload-api/workload-api.ts';
import type { Authorities } from '../x509/svid.ts';
import { createBundleEndpoint, type EndpointTrust } from './bundle-endpoint.ts';
import type { BundleSettings } from './bundle-settings.ts';
import { bundleSource, readTrustBundle, type TrustBundleSource } from './trust-bundle.ts';
import { createWorkloadApiBundle } from './workload-api-bundle.ts';

/** Bytes of a first bundle. */
const LARGEST_BUNDLE = 1024 * 1024;

interface TrustDomain {
  /** The entry's name, for the log. */
  readonly name: string;
  readonly trustDomain: string;
  readonly bundle: BundleSettings;
}

export interface BundleSources {
  create(domain: TrustDomain): TrustBundleSource;
  /** Closes what the sources share. */
  close(): void;
}

type SpiffeEndpoint = Extract<BundleSettings, { readonly profile: 'https_spiffe' }>;

export function createBundleSources(
  times: RefreshTimes,
  workloadApi: Partial<FeedTimes> | undefined,
  parts: { readonly clock: Clock; readonly log: Logger; readonly fetch: FetchDocument },
  bundleOf: (trustDomain: string) => TrustBundleSource | undefined,
): BundleSources {
  const { log } = parts;
  const apis = new Map<string, WorkloadApi>();

  function apiAt(address: string): WorkloadApi {
    const api = apis.get(address) ?? createWorkloadApi(address, parts, workloadApi);
    apis.set(address, api);
    return api;
  }

  /** Who vouches for an endpoint now: its own trust domain's bundle as fetched last, or the one that it begins with. */
  function endpointTrust({ spiffeId, bootstrap }: SpiffeEndpoint, name: string): EndpointTrust {
    const domain = parseSpiffeId(spiffeId)?.trustDomain ?? '';
    const first = bootstrap === undefined ? undefined : readBootstrap(bootstrap, name);
    let latest = first;
    return {
      spiffeId,
      authorities() {
        // When the fetched bundle is too old to let agents in, it still tells better than the first one who the
        // endpoint is.
        latest = bundleOf(domain)?.authorities() ?? latest;
        return latest;
      },
    };
  }

  function readBootstrap(file: string, name: string): Authorities | undefined {
    try {
      return readTrustBundle(readRegularFileSync(file, LARGEST_BUNDLE), undefined).authorities;
    } catch (thrown) {
      log.error('identity.bootstrap.failed', { issuer: name, reason: faultReason(thrown) });
      return undefined;
    }
  }

  return {
    create({ name, trustDomain, bundle }) {
      if ('file' in bundle) {
        const options = { path: bundle.file, name, staleMs: times.staleMs, parse: readTrustBundle };
        return bundleSource(trustDomain, new WatchedFile(options, parts));
      }
      if ('workloadApi' in bundle) return createWorkloadApiBundle(trustDomain, apiAt(bundle.workloadApi));
      const { endpoint } = bundle;
      const spiffe = bundle.profile === 'https_spiffe' ? { spiffe: endpointTrust(bundle, name) } : {};
      return createBundleEndpoint({ name, trustDomain, endpoint, times, ...spiffe }, parts);
    },
    close() {
      for (const api of apis.values()) api.close();
    },
  };
}
