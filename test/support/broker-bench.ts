// A credential broker before a real issuer, for tests of it: the ledger of what is to be revoked is a map, the time is
// the test's own, and what the issuer answers can be altered. Notes every access token that was made, every revocation
// and every warning.

import { type BrokerOptions, type CredentialBroker, createBroker } from '../../src/credentials/broker.ts';
import type { BrokerProvider } from '../../src/credentials/broker-provider.ts';
import { createSealer } from '../../src/credentials/seal.ts';
import type { Credential } from '../../src/domain/credential.ts';
import { silentLog } from '../../src/domain/log.ts';
import { noMetrics } from '../../src/domain/metrics.ts';
import { Secret } from '../../src/domain/secret.ts';
import { callerNamed } from './clearances.ts';
import { createMemoryLedger, type MemoryLedger } from './memory-ledger.ts';
import { startIssuer, type TestIssuer } from './oidc-issuer.ts';
import { providerOf } from './providers.ts';

export const RESOURCE = 'https://ledger.example.org';
export const CLIENT = { id: 'countersign', secret: 'client-secret-literal' };
export const SEAL_KEY = 'seal-key-literal-seal-key-literal-0123';
export const plan = { name: 'ledger-token', scope: { scope: ['transfers:read'] } };
export const agent = callerNamed('agent', 'agents-own-token-literal');

export const seal = createSealer({ key: { origin: 'test', read: () => new Secret(SEAL_KEY) } });
export const bearerOf = (credential: Credential | undefined) =>
  credential?.injection.value.reveal().replace('Bearer ', '') ?? '';

export interface BrokerBench {
  readonly issuer: TestIssuer;
  readonly ledger: MemoryLedger;
  /** Every access token that the issuer made. */
  readonly made: readonly string[];
  readonly revoked: readonly boolean[];
  readonly warnings: readonly { readonly event: string; readonly fields: unknown }[];
  /** What every broker has for `plan`, from its next call on. */
  provider: BrokerProvider;
  now: number;
  alter: (answer: Record<string, unknown>) => Record<string, unknown>;
  providerWith(secret: string): BrokerProvider;
  /** Another broker over the same ledger, closed with the bench. */
  brokerWith(more?: Partial<BrokerOptions>): CredentialBroker;
  close(): Promise<void>;
}

export async function openBrokerBench(): Promise<BrokerBench> {
  const made: string[] = [];
  const revoked: boolean[] = [];
  const warnings: { event: string; fields: unknown }[] = [];
  const brokers: CredentialBroker[] = [];
  const ledger = createMemoryLedger();
  const issuer = await startIssuer({
    clients: [CLIENT],
    resources: { [RESOURCE]: { scope: 'transfers:read transfers:write admin' } },
    alter: (answer) => {
      made.push(String(answer.access_token));
      return bench.alter(answer);
    },
  });

  const providerWith = (secret: string) =>
    providerOf({
      type: 'oauth-client-credentials',
      issuer: issuer.issuer,
      clientId: CLIENT.id,
      clientSecret: { origin: 'test', read: () => new Secret(secret) },
      scope: 'transfers:read transfers:write',
      resource: RESOURCE,
    });

  const bench: BrokerBench = {
    ...{ issuer, ledger, made, revoked, warnings, providerWith },
    provider: providerWith(CLIENT.secret),
    now: Date.now(),
    alter: (answer) => answer,
    brokerWith(more = {}) {
      const broker = createBroker({
        providers: (name) => (name === plan.name ? bench.provider : undefined),
        ledger,
        seal,
        clock: { now: () => bench.now },
        log: { ...silentLog, warn: (event, fields) => warnings.push({ event, fields }) },
        metrics: { ...noMetrics, revoked: (_, ok) => revoked.push(ok) },
        retry: { firstMs: 20, maxMs: 100 },
        ...more,
      });
      brokers.push(broker);
      return broker;
    },
    async close() {
      await Promise.all(brokers.map((broker) => broker.close()));
      await issuer.close();
    },
  };
  return bench;
}
