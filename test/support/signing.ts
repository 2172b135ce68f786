// Keys and grants for tests of providers that sign or exchange.

import { generateKeyPairSync } from 'node:crypto';
import type { Grant } from '../../src/domain/credential.ts';
import type { JsonObject } from '../../src/domain/json.ts';
import { Secret, type SecretSource } from '../../src/domain/secret.ts';
import { principalNamed, transferAction } from './clearances.ts';

export const secretOf = (text: string): SecretSource => ({ origin: 'test', read: () => new Secret(text) });

/** A private key in PEM. */
export function privateKey(kind: 'P-256' | 'P-384' | 'ed25519' | 'rsa' | 'rsa-1024' = 'P-256'): string {
  const { privateKey } =
    kind === 'ed25519'
      ? generateKeyPairSync('ed25519')
      : kind === 'rsa' || kind === 'rsa-1024'
        ? generateKeyPairSync('rsa', { modulusLength: kind === 'rsa' ? 2048 : 1024 })
        : generateKeyPairSync('ec', { namedCurve: kind });
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}

export function grantOf(scope: JsonObject = {}, more: Partial<Grant> = {}): Grant {
  return {
    principal: principalNamed('agent'),
    action: transferAction,
    plan: { name: 'ledger-token', scope },
    now: Date.now(),
    ...more,
  };
}
