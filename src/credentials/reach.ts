// What a credential's settings give access to the same thing by: the secrets that they read, and the name under which an
// issuer knows the gateway. Two credentials with one of them in common are not apart.

import type { SecretSource } from '../domain/secret.ts';
import type { CredentialType } from './credential-type.ts';

/** Each with a word for people: `['client gw at https://idp.example', 'an issuer’s client']`. */
export function reachOf(
  type: Pick<CredentialType, 'clientOf'>,
  settings: Parameters<CredentialType['create']>[0],
): ReadonlyMap<string, string> {
  const client = type.clientOf?.(settings);
  return new Map([
    ...[...secretsIn(settings)].map((origin) => [origin, 'a secret'] as const),
    ...(client === undefined ? [] : [[`client ${client}`, 'an issuer’s client'] as const]),
  ]);
}

/** Where secrets come from, at any depth. Authorities to trust are read from files too, and are no secret. */
function* secretsIn(value: unknown): Generator<string> {
  if (typeof value !== 'object' || value === null) return;
  if (isSecretSource(value)) yield value.origin;
  else for (const [key, member] of Object.entries(value)) if (key !== 'ca') yield* secretsIn(member);
}

const isSecretSource = (value: object): value is SecretSource =>
  'origin' in value && typeof value.origin === 'string' && 'read' in value && typeof value.read === 'function';
