// Credential type `gcp-wif`: Google Cloud workload identity federation. A token of a federated issuer is exchanged at
// Google's security token service, and with the result a short access token of one service account is asked for. Trusts
// Google's endpoints over TLS. Refuses scopes beyond the configured ones. Nothing can be revoked: lifetimes are kept
// short instead.

import { z } from 'zod';
import type { Grant, Minted } from '../../domain/credential.ts';
import { isJsonObject, type Json, type JsonObject } from '../../domain/json.ts';
import { Secret } from '../../domain/secret.ts';
import { secureUrl } from '../../settings/addresses.ts';
import type { ConfigContext } from '../../settings/paths-and-secrets.ts';
import { duration } from '../../settings/units.ts';
import { UnwantedGrant, unavailable } from '../broker-provider.ts';
import { credentialType, describeExpiring } from '../credential-type.ts';
import { callIssuer, type IssuerAccess, isFieldSafe, issuerAccess, readObject } from '../issuer-call.ts';
import { narrow } from '../oauth/scope.ts';
import { issuerTimeout } from '../settings.ts';
import {
  ACCESS_TOKEN,
  createTokenSource,
  gatewayPaths,
  JWT,
  shareKeyOf,
  takeToken,
  tokenFrom,
} from '../token-source.ts';

const settings = (context: ConfigContext) =>
  z
    .strictObject({
      type: z.literal('gcp-wif'),
      audience: z.string().regex(/^\/\/iam\.googleapis\.com\/\S+$/, {
        error: 'Write //iam.googleapis.com/projects/N/locations/global/workloadIdentityPools/POOL/providers/PROVIDER.',
      }),
      serviceAccount: z
        .string()
        .regex(/^[^@\s]+@[^@\s]+$/, { error: 'Write the service account’s e-mail address.' })
        .exactOptional()
        .describe('Whom to become; without it the federated token itself is used'),
      scope: z
        .string()
        .min(1)
        .default('https://www.googleapis.com/auth/cloud-platform')
        .describe('A rule’s credential.scope narrows it; default cloud-platform'),
      lifetime: duration({ least: '1m', most: '1h' })
        .prefault('5m')
        .describe('Of service account tokens, which cannot be taken back; default 5m'),
      subjectToken: tokenFrom(context).describe('What the workload identity pool trusts'),
      subjectTokenType: z.string().min(1).exactOptional(),
      stsEndpoint: secureUrl().exactOptional().describe('Default https://sts.googleapis.com/v1/token'),
      iamEndpoint: secureUrl().exactOptional().describe('Default https://iamcredentials.googleapis.com'),
      timeout: issuerTimeout(),
    })
    .transform(({ timeout: timeoutMs, lifetime: lifetimeMs, ...rest }) => ({ ...rest, timeoutMs, lifetimeMs }));

const STS = 'https://sts.googleapis.com/v1/token';
const IAM = 'https://iamcredentials.googleapis.com';
const STS_NAME = 'Google’s security token service';
const IAM_NAME = 'Google’s IAM credentials API';
const PLATFORM = 'https://www.googleapis.com/auth/cloud-platform';

/** The two clocks may differ by this much before a lifetime counts as longer than asked for. */
const SKEW_MS = 60_000;

export const gcpWif = credentialType({
  name: 'gcp-wif',
  settings,
  create(own, tools) {
    const { type, audience, serviceAccount, lifetimeMs, stsEndpoint = STS, iamEndpoint = IAM } = own;
    const access = issuerAccess(own, tools);
    // The audience that a provider of a pool accepts by default.
    const subject = createTokenSource(own.subjectToken, `https:${audience}`, tools);

    async function federate(grant: Grant, scope: readonly string[]): Promise<JsonObject> {
      const { text } = await takeToken(subject, grant);
      const form = new URLSearchParams({
        grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
        audience,
        scope: scope.join(' '),
        requested_token_type: ACCESS_TOKEN,
        subject_token: text,
        subject_token_type: own.subjectTokenType ?? JWT,
      });
      const headers = { 'content-type': 'application/x-www-form-urlencoded' };
      // No Authorization field: the service refuses one, the subject token is the proof.
      return post(access, STS_NAME, stsEndpoint, headers, form.toString());
    }

    function impersonate(account: string, federated: string, scope: readonly string[]): Promise<JsonObject> {
      const url = `${iamEndpoint.replace(/\/$/, '')}/v1/projects/-/serviceAccounts/${encodeURIComponent(account)}:generateAccessToken`;
      const headers = { 'content-type': 'application/json', authorization: `Bearer ${federated}` };
      const lifetime = `${Math.floor(lifetimeMs / 1000)}s`;
      return post(access, IAM_NAME, url, headers, JSON.stringify({ scope, lifetime }));
    }

    async function mint(grant: Grant): Promise<Minted> {
      const { scope = [], ...others } = narrow({ scope: own.scope }, grant.plan.scope);
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
      if (Number.isNaN(expiresAt)) throw unavailable(`${IAM_NAME} did not say when the token expires.`);
      if (expiresAt > grant.now + lifetimeMs + SKEW_MS)
        throw new UnwantedGrant('credential_too_broad', 'Google made a token that lives longer than asked for.', {});
      return minted(accessToken, expiresAt, { scope: scope.join(' '), serviceAccount });
    }

    return { type, shareable: true, shareKey: (grant) => shareKeyOf(subject, grant), mint };
  },
  clientOf: ({ serviceAccount, audience }) => serviceAccount ?? audience,
  describe: ({ type }) => describeExpiring(type),
  signedByGateway: ({ subjectToken }) => gatewayPaths({ subjectToken }),
});

/** The JSON object that answers. Throws `credential_unavailable` with the service's status, or its error code. */
async function post(
  access: IssuerAccess,
  who: string,
  url: string,
  headers: Readonly<Record<string, string>>,
  body: string,
): Promise<JsonObject> {
  const request = { method: 'POST', url, headers: { accept: 'application/json', ...headers }, body } as const;
  const answer = await callIssuer(access, request, who);
  let object: JsonObject | undefined;
  try {
    object = readObject(answer);
  } catch {
    // An answer that is no object says nothing that could be passed on.
  }
  if (answer.status < 200 || answer.status > 299)
    throw unavailable(`${who} refused: ${errorCode(object) ?? `status ${answer.status}`}.`);
  if (object === undefined) throw unavailable(`${who} answered with something other than a JSON object.`);
  return object;
}

/** `error` of OAuth, or `error.status` of Google's APIs, when it is spelled like a code. */
function errorCode(answer: JsonObject | undefined): string | undefined {
  const error = answer?.error;
  const code = isJsonObject(error) ? error.status : error;
  return typeof code === 'string' && /^[A-Za-z_]{1,40}$/.test(code) ? code : undefined;
}

function minted(token: Json | undefined, expiresAt: number | undefined, granted: JsonObject): Minted {
  const text = tokenText(token);
  return {
    injection: { in: 'header', name: 'authorization', value: new Secret(`Bearer ${text}`) },
    secrets: [new Secret(text)],
    ...(expiresAt !== undefined && { expiresAt }),
    revocability: 'none',
    granted,
  };
}

function tokenText(token: Json | undefined): string {
  if (!isFieldSafe(token)) throw unavailable('Google’s answer holds no usable token.');
  return token;
}
