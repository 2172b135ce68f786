// Settings for tests as they are written in the configuration file, except that a test gives a secret's source where
// the file would name the secret.

import type { SecretSource } from '../../src/domain/secret.ts';
import type { ConfigContext } from '../../src/settings/paths-and-secrets.ts';

/** What a schema can read: each source has a name in the environment, where it is read anew each time. */
export function written(value: unknown): { readonly value: unknown; readonly context: ConfigContext } {
  const env: Record<string, string> = {};
  return { value: nameSecrets(value, env), context: { folder: process.cwd(), env } };
}

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
