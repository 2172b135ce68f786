// Credential type `signed-jwt`: the gateway vouches for the call itself, by a short JWT that the upstream verifies against the
// gateway's published keys. Says who acts, for whom, and under which approval. Cannot be taken back: it lives at most
// five minutes. Refuses rules that ask for an audience or scope beyond the configured ones.

import { z } from 'zod';
import { duration } from '../../settings/units.ts';
import { unavailable } from '../broker-provider.ts';
import { credentialType, describeExpiring } from '../credential-type.ts';
import { delegation } from '../jwt-signer.ts';
import { narrow } from '../oauth/scope.ts';
import { tokenAudience, tokenField, tokenInjection } from '../settings.ts';
import { signerOf } from '../token-source.ts';

const settings = () =>
  z
    .strictObject({
      type: z.literal('signed-jwt'),
      audience: tokenAudience(),
      scope: z.string().min(1).exactOptional().describe('Its scope; a rule’s credential.scope narrows it'),
      lifetime: duration({ least: '1m', most: '5m' }).prefault('2m').describe('It cannot be taken back; default 2m'),
      header: tokenField(),
    })
    .transform(({ lifetime: lifetimeMs, ...rest }) => ({ ...rest, lifetimeMs }));

export const signedJwt = credentialType({
  name: 'signed-jwt',
  settings,
  create({ type, audience, scope, lifetimeMs, header }, tools) {
    const signer = signerOf(tools);
    const bounds = { audience, ...(scope !== undefined && { scope }) };
    return {
      type,
      shareable: true,
      async mint(grant) {
        const asked = narrow(bounds, grant.plan.scope);
        if (asked.resource !== undefined || (asked.scope !== undefined && scope === undefined)) {
          throw unavailable('The rule narrows the signed JWT by something that is not configured for it.');
        }
        const audiences = asked.audience ?? [];
        const granted = { audience: audiences, ...(asked.scope && { scope: asked.scope.join(' ') }) };
        const aud = audiences.length === 1 ? (audiences[0] as string) : audiences;
        const { text, id, expiresAt } = await signer.sign(
          { ...delegation(grant), aud, ...(asked.scope && { scope: asked.scope.join(' ') }) },
          lifetimeMs,
        );
        return {
          ...tokenInjection(header, text),
          expiresAt,
          revocability: 'none',
          granted: { ...granted, jti: id },
        };
      },
    };
  },
  describe: ({ type }) => describeExpiring(type),
  signedByGateway: () => [['type']],
});
