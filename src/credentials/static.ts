// Provider `static`: a standing secret from the operator, put on the call as it is. The secret is read again at each
// mint, so that a rotated file is picked up. It cannot be narrowed and it cannot be taken back: rules that ask for
// either are refused, as are secrets that could end a header line.

import type { Injection, Minted } from '../domain/credential.ts';
import { Secret, type SecretSource } from '../domain/secret.ts';
import { type BrokerProvider, unavailable } from './broker-provider.ts';
import { isInjectable } from './injection-field.ts';

/** How long one reading of the secret serves shared calls: a rotated secret is in use after this. */
const REUSE_MS = 1000;

const PLACE = '{secret}';

export type StaticOptions =
  /**
   * `name` defaults to `authorization`; `format` holds `{secret}`, default `Bearer {secret}` for authorization and
   * `{secret}` for other fields.
   */
  | { readonly in: 'header'; readonly name?: string; readonly format?: string; readonly secret: SecretSource }
  /** `format` defaults to `{secret}`. */
  | { readonly in: 'query'; readonly name: string; readonly format?: string; readonly secret: SecretSource }
  /** HTTP Basic (RFC 7617); `secret` is the password. */
  | { readonly in: 'basic'; readonly username: string; readonly secret: SecretSource };

/** Throws TypeError for options that can never work. */
export function createStaticProvider(options: StaticOptions): BrokerProvider {
  check(options);
  let last: { readonly text: string; readonly minted: Minted } | undefined;
  return {
    type: 'static',
    shareable: true,
    reuseMs: REUSE_MS,
    async mint({ plan }) {
      if (Object.keys(plan.scope).length > 0)
        throw unavailable('A static credential cannot be narrowed, and the rule asks for it.');
      const text = options.secret.read().reveal();
      if (last?.text !== text) last = { text, minted: arrange(options, text) };
      return last.minted;
    },
  };
}

function arrange(options: StaticOptions, text: string): Minted {
  if (text === '' || !/^[\t\x20-\x7e\x80-\xff]+$/.test(text)) {
    throw unavailable(
      'The static secret is empty or holds line breaks, control characters or characters beyond Latin-1.',
    );
  }
  const { injection, secrets } = options.in === 'basic' ? basic(options.username, text) : formatted(options, text);
  return { injection, secrets: secrets.map((secret) => new Secret(secret)), revocability: 'none', granted: {} };
}

function formatted(
  options: Exclude<StaticOptions, { in: 'basic' }>,
  text: string,
): { injection: Injection; secrets: string[] } {
  const name = options.in === 'header' ? fieldName(options.name) : options.name;
  const format = options.format ?? (options.in === 'header' && name === 'authorization' ? `Bearer ${PLACE}` : PLACE);
  return {
    injection: { in: options.in, name, value: new Secret(format.replaceAll(PLACE, () => text)) },
    secrets: [text],
  };
}

function basic(username: string, password: string): { injection: Injection; secrets: string[] } {
  const pair = Buffer.from(`${username}:${password}`, 'utf8').toString('base64');
  return {
    injection: { in: 'header', name: 'authorization', value: new Secret(`Basic ${pair}`) },
    secrets: [password, pair],
  };
}

function fieldName(name = 'authorization'): string {
  return name.toLowerCase();
}

function check(options: StaticOptions): void {
  if (options.in === 'basic') {
    if (/[:\x00-\x1f\x7f]/.test(options.username))
      throw new TypeError('a Basic username has no colon and no control characters (RFC 7617 section 2)');
    return;
  }
  if (options.format !== undefined && (!options.format.includes(PLACE) || !/^[\x20-\x7e]*$/.test(options.format))) {
    throw new TypeError(`format must hold ${PLACE} and otherwise printable ASCII`);
  }
  if (options.in === 'query' && options.name === '') throw new TypeError('name must not be empty');
  if (options.in === 'header') {
    const name = fieldName(options.name);
    if (!isInjectable(name)) throw new TypeError(`a credential cannot be put into the field ${JSON.stringify(name)}`);
  }
}
