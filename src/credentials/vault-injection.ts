// How the fields of a dynamic secret become one credential on the request. Refuses secrets without the named fields,
// and texts that could end a header line.

import type { Injection } from '../domain/credential.ts';
import type { JsonObject } from '../domain/json.ts';
import { Secret } from '../domain/secret.ts';

export type VaultInjection =
  /** `field` of the secret in header field `name`; `format` holds `{secret}`. */
  | { readonly in: 'header'; readonly name: string; readonly format: string; readonly field: string }
  | { readonly in: 'query'; readonly name: string; readonly field: string }
  /** HTTP Basic (RFC 7617) of two fields. */
  | { readonly in: 'basic'; readonly usernameField: string; readonly passwordField: string };

interface Injected {
  readonly injection: Injection;
  readonly secrets: readonly Secret[];
}

/** A sentence when the secret does not fit. */
export function inject(how: VaultInjection, data: JsonObject): Injected | string {
  if (how.in === 'basic') {
    const [username, password] = [data[how.usernameField], data[how.passwordField]];
    if (!isFit(username) || !isFit(password) || username.includes(':')) return UNFIT;
    const pair = Buffer.from(`${username}:${password}`, 'utf8').toString('base64');
    return {
      injection: { in: 'header', name: 'authorization', value: new Secret(`Basic ${pair}`) },
      secrets: [new Secret(password), new Secret(pair)],
    };
  }
  const text = data[how.field];
  if (!isFit(text)) return UNFIT;
  const value = how.in === 'header' ? how.format.replaceAll('{secret}', () => text) : text;
  return { injection: { in: how.in, name: how.name, value: new Secret(value) }, secrets: [new Secret(text)] };
}

const UNFIT = 'Vault’s secret lacks a field that the credential names, or the field cannot be put on a request.';

function isFit(value: unknown): value is string {
  return typeof value === 'string' && /^[\x20-\x7e]+$/.test(value);
}
