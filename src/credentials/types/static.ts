// Credential type `static`: a standing secret from the operator, put on the call as it is. The secret is read again at
// each mint, so that a rotated file is picked up. The secret cannot be narrowed and cannot be taken back. Refuses rules
// that ask for either, and secrets that could end a header line.

import { z } from 'zod';
import type { Injection, Minted } from '../../domain/credential.ts';
import { Secret } from '../../domain/secret.ts';
import { fieldName } from '../../settings/field-name.ts';
import { type ConfigContext, secret } from '../../settings/paths-and-secrets.ts';
import { unavailable } from '../broker-provider.ts';
import { credentialType, type SettingsOf } from '../credential-type.ts';
import { secretFormat } from '../settings.ts';

const settings = (context: ConfigContext) =>
  z.discriminatedUnion('in', [
    z.strictObject({
      type: z.literal('static'),
      in: z.literal('header'),
      name: fieldName().default('authorization').describe('Header field; default authorization'),
      format: secretFormat()
        .exactOptional()
        .describe('Its value; default Bearer {secret} for authorization, {secret} for other fields'),
      secret: secret(context),
    }),
    z.strictObject({
      type: z.literal('static'),
      in: z.literal('query'),
      name: z.string().min(1).describe('Query parameter'),
      secret: secret(context),
    }),
    z.strictObject({
      type: z.literal('static'),
      in: z.literal('basic'),
      username: z.string().regex(/^[^:\x00-\x1f\x7f]*$/, {
        error: 'A user name has neither colon nor control characters (RFC 7617 section 2).',
      }),
      secret: secret(context),
    }),
  ]);

type Settings = SettingsOf<typeof settings>;

/** How long one reading of the secret serves shared calls: a rotated secret is in use after this. */
const REUSE_MS = 1000;

export const staticSecret = credentialType({
  name: 'static',
  settings,
  create(own) {
    let last: { readonly text: string; readonly minted: Minted } | undefined;
    return {
      type: own.type,
      shareable: true,
      reuseMs: REUSE_MS,
      async mint({ plan }) {
        if (Object.keys(plan.scope).length > 0)
          throw unavailable('A static credential cannot be narrowed, and the rule asks for it.');
        const text = own.secret.read().reveal();
        if (last?.text !== text) last = { text, minted: arrange(own, text) };
        return last.minted;
      },
    };
  },
  describe: () => 'a fixed secret: it is not made for this call and does not end with it',
});

function arrange(own: Settings, text: string): Minted {
  if (text === '' || !/^[\t\x20-\x7e\x80-\xff]+$/.test(text)) {
    throw unavailable(
      'The static secret is empty or holds line breaks, control characters or characters beyond Latin-1.',
    );
  }
  const { injection, secrets } = place(own, text);
  return { injection, secrets: secrets.map((each) => new Secret(each)), revocability: 'none', granted: {} };
}

function place(own: Settings, text: string): { readonly injection: Injection; readonly secrets: readonly string[] } {
  switch (own.in) {
    case 'header': {
      const { name, format = name === 'authorization' ? 'Bearer {secret}' : '{secret}' } = own;
      const value = new Secret(format.replaceAll('{secret}', () => text));
      return { injection: { in: 'header', name, value }, secrets: [text] };
    }
    case 'query':
      return { injection: { in: 'query', name: own.name, value: new Secret(text) }, secrets: [text] };
    case 'basic': {
      const pair = Buffer.from(`${own.username}:${text}`, 'utf8').toString('base64');
      const value = new Secret(`Basic ${pair}`);
      return { injection: { in: 'header', name: 'authorization', value }, secrets: [text, pair] };
    }
  }
}
