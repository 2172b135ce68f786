// Providers for tests, made as the gateway makes them: settings as they are written in the configuration file, read by
// their schema. Where the file would name a secret, a test gives the source itself.

import type { BrokerProvider } from '../../src/credentials/broker-provider.ts';
import type { CredentialTools } from '../../src/credentials/credential-type.ts';
import { type CredentialSettings, createProvider, credential } from '../../src/credentials/types.ts';
import { systemClock } from '../../src/domain/clock.ts';
import type { SecretSource } from '../../src/domain/secret.ts';
import { fetchTrusting } from '../../src/upstream/issuer-fetch.ts';

/** `{ type, … }` with the keys of the configuration file. */
export interface WrittenCredential {
  readonly type: CredentialSettings['type'];
  readonly [key: string]: unknown;
}

/** Throws what the settings' schema says against them. */
export function providerOf(written: WrittenCredential, tools: Partial<CredentialTools> = {}): BrokerProvider {
  const env: Record<string, string> = {};
  const settings = credential({ folder: process.cwd(), env }).parse(nameSecrets(written, env));
  const noSvids = () => Promise.reject(new Error('this test has no Workload API'));
  return createProvider(settings, { clock: systemClock, fetchJwtSvid: noSvids, fetchTrusting, ...tools });
}

/** Puts each source under a name into `env`, where it is read anew each time, and the name in its place. */
function nameSecrets(value: unknown, env: Record<string, string>): unknown {
  if (Array.isArray(value)) return value.map((item) => nameSecrets(item, env));
  if (typeof value !== 'object' || value === null) return value;
  if ('read' in value) {
    const name = `SECRET_${Object.keys(env).length}`;
    Object.defineProperty(env, name, { enumerable: true, get: () => (value as SecretSource).read().reveal() });
    return { env: name };
  }
  const given = Object.entries(value).filter(([, item]) => item !== undefined);
  return Object.fromEntries(given.map(([key, item]) => [key, nameSecrets(item, env)]));
}
