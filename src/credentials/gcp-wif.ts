// Provider `gcp-wif`: Google Cloud workload identity federation. A token of a federated issuer is exchanged at Google's
// security token service, and with the result a short access token of one service account is asked for. Trusts Google's
// endpoints over TLS. Refuses scopes beyond the configured ones. Nothing can be revoked: lifetimes are kept short
// instead.

import type { Grant, Minted } from '../domain/credential.ts';
import type { JsonObject } from '../domain/json.ts';
import { Secret } from '../domain/secret.ts';
import { type BoundedFetchOptions, postForJson, requireProtected } from './bounded-fetch.ts';
import { type BrokerProvider, UnwantedGrant, unavailable } from './broker-provider.ts';
import { narrow } from './oauth-scope.ts';
import { ACCESS_TOKEN, JWT, shareKeyOf, type TokenSource, takeToken } from './token-source.ts';

export interface GcpWifOptions extends BoundedFetchOptions {
  /** `//iam.googleapis.com/projects/N/locations/global/workloadIdentityPools/POOL/providers/PROVIDER`. */
  readonly audience: string;
  /** E-mail of the service account to become; absent: the federated token itself is used (direct resource access). */
  readonly serviceAccount?: string;
  /** The largest grant; a rule's `credential.scope` narrows it. */
  readonly scope: string;
  /** From a minute to an hour; default five minutes. Only service account tokens can be shortened. */
  readonly lifetimeMs?: number;
  readonly subjectToken: TokenSource;
  /** Default `urn:ietf:params:oauth:token-type:jwt`. */
  readonly subjectTokenType?: string;
  /** Default `https://sts.googleapis.com/v1/token`. */
  readonly stsEndpoint?: string;
  /** Default `https://iamcredentials.googleapis.com`. */
  readonly iamEndpoint?: string;
}

const STS = 'https://sts.googleapis.com/v1/token';
const IAM = 'https://iamcredentials.googleapis.com';
const PLATFORM = 'https://www.googleapis.com/auth/cloud-platform';
const DEFAULT_LIFETIME_MS = 300_000;

/** The two clocks may differ by this much, ms, before a lifetime counts as longer than asked for. */
const SKEW_MS = 60_000;

/** Throws TypeError for endpoints that are not protected. */
export function createGcpWifProvider(options: GcpWifOptions): BrokerProvider {
  const { stsEndpoint = STS, iamEndpoint = IAM, serviceAccount, lifetimeMs = DEFAULT_LIFETIME_MS } = options;
  requireProtected(stsEndpoint, iamEndpoint);

  async function federate(grant: Grant, scope: readonly string[]): Promise<JsonObject> {
    const { text } = await takeToken(options.subjectToken, grant);
    const form = new URLSearchParams({
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      audience: options.audience,
      scope: scope.join(' '),
      requested_token_type: ACCESS_TOKEN,
      subject_token: text,
      subject_token_type: options.subjectTokenType ?? JWT,
    });
    // No Authorization field: the service refuses one, the subject token is the proof.
    return postForJson('Google’s security token service', stsEndpoint, form, {}, options);
  }

  function impersonate(account: string, federated: string, scope: readonly string[]): Promise<JsonObject> {
    const url = `${iamEndpoint.replace(/\/$/, '')}/v1/projects/-/serviceAccounts/${encodeURIComponent(account)}:generateAccessToken`;
    const lifetime = `${Math.floor(lifetimeMs / 1000)}s`;
    return postForJson(
      'Google’s IAM credentials API',
      url,
      { scope, lifetime },
      { authorization: `Bearer ${federated}` },
      options,
    );
  }

  async function mint(grant: Grant): Promise<Minted> {
    const { scope = [], ...others } = narrow({ scope: options.scope }, grant.plan.scope);
    if (Object.keys(others).length > 0) throw unavailable('A Google Cloud token is narrowed by scope alone.');
    if (serviceAccount === undefined) {
      const { access_token: token, expires_in: seconds } = await federate(grant, scope);
      return minted(token, typeof seconds === 'number' ? grant.now + seconds * 1000 : undefined, {
        scope: scope.join(' '),
      });
    }
    const { access_token: federated } = await federate(grant, [PLATFORM]);
    const { accessToken, expireTime } = await impersonate(serviceAccount, tokenText(federated), scope);
    const expiresAt = typeof expireTime === 'string' ? Date.parse(expireTime) : Number.NaN;
    if (Number.isNaN(expiresAt)) throw unavailable('Google’s IAM credentials API did not say when the token expires.');
    if (expiresAt > grant.now + lifetimeMs + SKEW_MS)
      throw new UnwantedGrant('credential_too_broad', 'Google made a token that lives longer than asked for.', {});
    return minted(accessToken, expiresAt, { scope: scope.join(' '), serviceAccount });
  }

  return { type: 'gcp-wif', shareable: true, shareKey: (grant) => shareKeyOf(options.subjectToken, grant), mint };
}

function minted(token: unknown, expiresAt: number | undefined, granted: JsonObject): Minted {
  const text = tokenText(token);
  return {
    injection: { in: 'header', name: 'authorization', value: new Secret(`Bearer ${text}`) },
    secrets: [new Secret(text)],
    ...(expiresAt !== undefined && { expiresAt }),
    revocability: 'none',
    granted,
  };
}

function tokenText(token: unknown): string {
  // Visible ASCII only: anything else could end the header line that it is put on.
  if (typeof token !== 'string' || !/^[\x21-\x7e]+$/.test(token))
    throw unavailable('Google’s answer holds no usable token.');
  return token;
}
