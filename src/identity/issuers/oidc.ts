// Issuer type `oidc`: agents come with a JWT access token of an OpenID Connect issuer, or with an opaque token that the
// issuer is asked about. The name of a principal is (issuer, subject), never an e-mail address or another claim that can
// be reassigned.

import { z } from 'zod';
import { isJsonObject, type JsonObject } from '../../domain/json.ts';
import type { Principal } from '../../domain/principal.ts';
import { secureUrl } from '../../settings/addresses.ts';
import { type ConfigContext, pemFile, secret } from '../../settings/paths-and-secrets.ts';
import { claimKey } from '../agent-key.ts';
import { type CommonSettings, type IssuerParts, type IssuerSettingsOf, issuerType } from '../issuer-type.ts';
import { createOidcKeys } from '../keys/oidc-keys.ts';
import { refusal } from '../refusal.ts';
import { algorithms, audience, issuerName, maxLifetime, personClaim, requireProof } from '../settings.ts';
import { verifyAccessToken } from '../tokens/access-token.ts';
import { claimRules, issuerClaim } from '../tokens/claims.ts';
import { createIntrospection, type Introspection } from '../tokens/introspection.ts';
import { ANSWER_TTL_MS } from '../tokens/issuer-query.ts';
import { oidcPrincipal } from '../tokens/oidc-principal.ts';
import { createTokenReview } from '../tokens/token-review.ts';
import type { TokenVerifier } from '../tokens/token-verifier.ts';

const introspectionSettings = (context: ConfigContext) =>
  z
    .strictObject({
      endpoint: secureUrl().describe('Introspection endpoint (RFC 7662)'),
      clientId: z.string().min(1),
      clientSecret: secret(context),
      tokens: z
        .enum(['opaque', 'all'])
        .default('opaque')
        .describe(
          'About which tokens the issuer is asked: opaque ones, or JWTs that verify, too; answers are used ' +
            'for ten seconds; default opaque',
        ),
    })
    .exactOptional()
    .describe('Takes opaque tokens, and asks the issuer about each; one issuer at most');

const tokenReviewSettings = (context: ConfigContext) =>
  z
    .strictObject({
      apiServer: secureUrl().describe('The Kubernetes API server'),
      ca: pemFile(context).exactOptional().describe('PEM file of its authority'),
      token: secret(context).describe('The gateway’s own service-account token'),
    })
    .exactOptional()
    .describe('Has each token confirmed by its cluster (TokenReview), for tokens that must end with their pod');

const settings = (context: ConfigContext) =>
  z
    .strictObject({
      name: issuerName('Names the issuer in rules, logs and /readyz'),
      type: z.literal('oidc'),
      issuer: secureUrl().describe('Issuer identifier, exactly as in `iss`; its discovery document must name the same'),
      jwksUri: secureUrl().exactOptional().describe('Where its keys are, for an issuer without discovery'),
      algorithms: algorithms(),
      audience: audience()
        .exactOptional()
        .describe('Accepted `aud` values for this issuer; default: identity.audience'),
      requireAccessTokenType: z
        .boolean()
        .default(false)
        .describe('Take only tokens of RFC 9068 (typ at+jwt); default false'),
      displayClaim: z
        .string()
        .min(1)
        .max(200)
        .exactOptional()
        .describe('Claim, by name or path, whose text is shown to reviewers beside the caller’s id; never compared'),
      subject: z
        .enum(['agent', 'person'])
        .default('agent')
        .describe(
          'Whom `sub` names: the agent, or the person for whom the agent calls. Then the agent is the client of the ' +
            'token (`client_id`, `azp`); default agent',
        ),
      personClaim: personClaim(),
      agentKey: claimKey(),
      sessionClaim: z
        .string()
        .min(1)
        .max(200)
        .default('sid')
        .describe('Claim, by name or path, that names the session of a token, for tiers with bindSession; default sid'),
      introspection: introspectionSettings(context),
      tokenReview: tokenReviewSettings(context),
      maxLifetime: maxLifetime('24h'),
      requireProof: requireProof(),
    })
    .transform(({ maxLifetime: maxLifetimeMs, ...rest }) => ({ ...rest, maxLifetimeMs }));

type Settings = IssuerSettingsOf<typeof settings>;

export const oidc = issuerType({
  name: 'oidc',
  proof: 'a token',
  settings,
  key: ({ issuer }) => ({ setting: 'issuer', value: issuer }),
  keyOf: issuerClaim,
  create(own, parts) {
    const rules = claimRules(own, parts.audience);
    const introspection = own.introspection && createIntrospection(own.introspection, { ...own, rules }, parts);
    return { verifier: createOidcVerifier(own, parts, introspection), ...(introspection && { introspection }) };
  },
  authorizationServer: ({ issuer }) => issuer,
  check(own, all) {
    const first = all.find(takesOpaqueTokens);
    if (first === own || !takesOpaqueTokens(own)) return [];
    const message = 'Keep `introspection` on one issuer only: an opaque token does not say who issued it.';
    return [{ path: ['introspection'], message }];
  },
});

const takesOpaqueTokens = (other: CommonSettings & { readonly introspection?: unknown }): boolean =>
  other.introspection !== undefined;

/** Each review asks the issuer whether a token that verifies is still in force. */
type Review = (token: string, principal: Principal) => Promise<void>;

function createOidcVerifier(
  own: Settings,
  parts: IssuerParts,
  introspection: Introspection | undefined,
): TokenVerifier {
  const { clock, log } = parts;
  const { name, issuer, algorithms: accepted, requireAccessTokenType } = own;
  const rules = { ...claimRules(own, parts.audience), issuer, algorithms: accepted, requireAccessTokenType };
  const keys = createOidcKeys(own, parts.refresh, parts);
  const reviews: readonly Review[] = [
    ...(own.introspection?.tokens === 'all' && introspection !== undefined ? [introspection.confirm] : []),
    ...(own.tokenReview === undefined ? [] : [createTokenReview(own.tokenReview, name, rules.audience, log)]),
  ];
  return {
    name,
    type: 'oidc',
    keys,
    async verify(jws, claims) {
      const { expiresAt, keySet } = await verifyAccessToken(jws, claims, keys, rules, clock);
      checkKubernetesSubject(claims);
      const principal = oidcPrincipal(claims, own, expiresAt);
      if (reviews.length === 0) return { principal, keySet };
      for (const review of reviews) await review(jws.raw, principal);
      return { principal, keySet, ttlMs: ANSWER_TTL_MS };
    },
  };
}

/** A Kubernetes service account token says twice whose it is; the two must agree. */
function checkKubernetesSubject(claims: JsonObject): void {
  const cluster = claims['kubernetes.io'];
  if (cluster === undefined) return;
  const account = isJsonObject(cluster) ? cluster.serviceaccount : undefined;
  const named =
    isJsonObject(cluster) && isJsonObject(account)
      ? `system:serviceaccount:${cluster.namespace}:${account.name}`
      : undefined;
  if (named === undefined || named !== claims.sub)
    throw refusal('token_claims', 'kubernetes.io', 'The token’s subject is not the service account that it names.');
}
