// Issuer type `spiffe`: a SPIFFE trust domain, whose workloads come with a JWT-SVID, with an X.509-SVID over mTLS, or
// with both. A SPIFFE ID is vouched for by its own trust domain's entry and by nothing else.

import { z } from 'zod';
import type { ConfigContext } from '../../settings/paths-and-secrets.ts';
import { pathKey, spiffeKeys } from '../agent-key.ts';
import { bundle } from '../bundles/bundle-settings.ts';
import { type CommonSettings, issuerType } from '../issuer-type.ts';
import { audience, issuerName, maxLifetime, requireProof } from '../settings.ts';
import { looksLikeSpiffeId, parseSpiffeId } from '../spiffe-id.ts';
import { claimRules } from '../tokens/claims.ts';
import { createJwtSvidVerifier, readSpiffeSubject } from '../tokens/jwt-svid.ts';

const settings = (context: ConfigContext) =>
  z
    .strictObject({
      name: issuerName('Names the trust domain in rules, logs and /readyz'),
      type: z.literal('spiffe'),
      trustDomain: z
        .string()
        .regex(/^[a-z0-9._-]{1,255}$/, { error: 'Write the trust domain alone, like prod.example.org.' }),
      bundle: bundle(context),
      agentKey: pathKey(),
      audience: audience()
        .exactOptional()
        .describe('Accepted `aud` values for this trust domain; default: identity.audience'),
      maxLifetime: maxLifetime('1h'),
      requireProof: requireProof(),
    })
    .transform(({ maxLifetime: maxLifetimeMs, ...rest }) => ({ ...rest, maxLifetimeMs }));

export const spiffe = issuerType({
  name: 'spiffe',
  proof: 'a SPIFFE identity',
  settings,
  key: ({ trustDomain }) => ({ setting: 'trustDomain', value: trustDomain }),
  keyOf(claims) {
    const { sub } = claims;
    return typeof sub === 'string' && looksLikeSpiffeId(sub) ? readSpiffeSubject(claims).trustDomain : undefined;
  },
  create(own, parts) {
    const { name } = own;
    const domain = { name, bundle: parts.bundles.create(own), agentKeyOf: spiffeKeys(own.agentKey) };
    return { verifier: createJwtSvidVerifier(domain, claimRules(own, parts.audience), parts.clock), domain };
  },
  check(own, all) {
    if (!('spiffeId' in own.bundle) || own.bundle.bootstrap !== undefined) return [];
    const vouching = parseSpiffeId(own.bundle.spiffeId)?.trustDomain;
    if (all.some((other) => other !== own && isDomain(other, vouching))) return [];
    const message =
      'Set `bootstrap` to a file with the first bundle: no other issuer has the trust domain of the endpoint.';
    return [{ path: ['bundle', 'bootstrap'], message }];
  },
});

const isDomain = (other: CommonSettings & { readonly trustDomain?: unknown }, trustDomain: string | undefined) =>
  other.trustDomain !== undefined && other.trustDomain === trustDomain;
