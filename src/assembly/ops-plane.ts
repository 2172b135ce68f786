// The operators' listener: metrics, liveness and readiness of this process.

import type { Config } from '../config/schema.ts';
import type { CredentialBroker } from '../credentials/broker.ts';
import type { Listening } from '../listeners/listen.ts';
import { startOps } from '../listeners/ops-listener.ts';
import type { Store } from '../store/sqlite.ts';
import type { Foundation } from './foundation.ts';
import type { GatewaySvids } from './gateway-svids.ts';
import type { LiveConfig } from './live-config.ts';

export interface OpsPlaneParts {
  readonly broker: Pick<CredentialBroker, 'outstanding'>;
  readonly live: LiveConfig;
  readonly svids: GatewaySvids;
  readonly maxConnections: number;
  /** False from the moment at which the gateway begins to end. */
  accepting(): boolean;
}

export function startOpsPlane(
  config: Config,
  { audit, clockAgrees, serveMetrics, store }: Foundation,
  { accepting, broker, live, maxConnections, svids }: OpsPlaneParts,
): Promise<Listening> {
  return startOps({
    ...config.listeners.ops,
    maxConnections,
    metrics: serveMetrics,
    outstanding: broker.outstanding,
    alive: audit.recovering,
    readiness: () => ({
      accepting: accepting(),
      store: isUsable(store),
      clock: clockAgrees(),
      audit: audit.healthy(),
      issuers: live.runtime().identity.status(),
      certificate: hasCertificate(config, svids),
      svids: svids.status(),
    }),
  });
}

/** False while the agents' listener waits for its SVID, and so refuses every connection. */
function hasCertificate({ listeners }: Config, svids: GatewaySvids): boolean {
  const { tls } = listeners.agents;
  return tls === undefined || !('workloadApi' in tls) || svids.at(tls.workloadApi).current() !== undefined;
}

function isUsable(store: Store): boolean {
  try {
    store.check();
    return true;
  } catch {
    return false;
  }
}
