// Providers for tests, made as the gateway makes them: from settings as they are written in the configuration file.

import type { BrokerProvider } from '../../src/credentials/broker-provider.ts';
import type { CredentialTools } from '../../src/credentials/credential-type.ts';
import { type CredentialSettings, createProvider, credential } from '../../src/credentials/types.ts';
import { systemClock } from '../../src/domain/clock.ts';
import { fetchTrusting } from '../../src/upstream/issuer-fetch.ts';
import { written } from './written.ts';

/** `{ type, … }` with the keys of the configuration file. A secret may be given as a source. */
export interface WrittenCredential {
  readonly type: CredentialSettings['type'];
  readonly [key: string]: unknown;
}

/** Throws what the settings' schema says against them. */
export function providerOf(settings: WrittenCredential, tools: Partial<CredentialTools> = {}): BrokerProvider {
  const { value, context } = written(settings);
  const noSvids = () => Promise.reject(new Error('this test has no Workload API'));
  const all = { clock: systemClock, fetchJwtSvid: noSvids, fetchTrusting, ...tools };
  return createProvider(credential(context).parse(value), all);
}
