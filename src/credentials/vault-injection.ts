// How the fields of a dynamic secret become one credential on the request. Refuses secrets without the named fields,
// and texts that could end a header line.

import { z } from 'zod';
import type { Injection } from '../domain/credential.ts';
import type { JsonObject } from '../domain/json.ts';
import { Secret } from '../domain/secret.ts';
import type { DeepReadonly } from '../settings/deep-readonly.ts';
import { fieldName } from '../settings/field-name.ts';
import { secretFormat } from './settings.ts';

export const vaultInjection = () =>
  z.discriminatedUnion('in', [
    z.strictObject({
      in: z.literal('header'),
      name: fieldName().default('authorization').describe('Header field; default authorization'),
      format: secretFormat().default('Bearer {secret}').describe('Its value; default Bearer {secret}'),
      field: z.string().min(1).describe('Field of the secret'),
    }),
    z.strictObject({ in: z.literal('query'), name: z.string().min(1), field: z.string().min(1) }),
    // HTTP Basic (RFC 7617) of two fields.
    z.strictObject({
      in: z.literal('basic'),
      usernameField: z.string().min(1).default('username'),
      passwordField: z.string().min(1).default('password'),
    }),
  ]);

type VaultInjection = DeepReadonly<z.output<ReturnType<typeof vaultInjection>>>;

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
