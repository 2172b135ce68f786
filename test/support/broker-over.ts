// A credential broker that has one provider for every plan, and keeps what is to be revoked in memory.

import { type BrokerOptions, type CredentialBroker, createBroker } from '../../src/credentials/broker.ts';
import type { BrokerProvider } from '../../src/credentials/broker-provider.ts';
import { createSealer } from '../../src/credentials/seal.ts';
import { systemClock } from '../../src/domain/clock.ts';
import { silentLog } from '../../src/domain/log.ts';
import { noMetrics } from '../../src/domain/metrics.ts';
import { createMemoryLedger, type MemoryLedger } from './memory-ledger.ts';
import { secretOf } from './signing.ts';

export interface OneProviderBroker {
  readonly broker: CredentialBroker;
  /** What the broker still has to revoke. */
  readonly ledger: MemoryLedger;
}

export function brokerOver(provider: BrokerProvider, more: Partial<BrokerOptions> = {}): OneProviderBroker {
  const ledger = createMemoryLedger();
  const broker = createBroker({
    providers: () => provider,
    ledger,
    seal: createSealer({ key: secretOf('seal-key-literal-seal-key-literal-0123') }),
    clock: systemClock,
    log: silentLog,
    metrics: noMetrics,
    ...more,
  });
  return { broker, ledger };
}
