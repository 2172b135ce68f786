// Credential type `github-app`: an installation access token for the repositories and permissions of one rule, deleted when
// its call is over. Trusts the configured GitHub. Refuses to ask for everything by omission, and tokens that may do
// more, in more repositories or for longer than was asked. REST: "Create an installation access token for an app",
// "Revoke an installation access token".

import { createPrivateKey, type KeyObject } from 'node:crypto';
import { SignJWT } from 'jose';
import { z } from 'zod';
import type { Grant, Minted } from '../../domain/credential.ts';
import type { JsonObject } from '../../domain/json.ts';
import { Secret, type SecretSource } from '../../domain/secret.ts';
import { secureUrl } from '../../settings/addresses.ts';
import { type ConfigContext, secret } from '../../settings/paths-and-secrets.ts';
import { UnwantedGrant, unavailable } from '../broker-provider.ts';
import { credentialType } from '../credential-type.ts';
import { exceeds, type GitHubRequest, narrowGithub, scopeBody } from '../github-scope.ts';
import { callIssuer, type IssuerAnswer, isFieldSafe, issuerAccess, readObject } from '../issuer-call.ts';
import { issuerAuthority, issuerTimeout } from '../settings.ts';

const settings = (context: ConfigContext) =>
  z
    .strictObject({
      type: z.literal('github-app'),
      appId: z
        .union([z.int().min(1), z.string().regex(/^[A-Za-z0-9._-]{1,64}$/)])
        .describe('The App’s id or client id'),
      installationId: z.int().min(1),
      privateKey: secret(context).describe('PEM of the App’s private key'),
      url: secureUrl()
        .default('https://api.github.com')
        .describe('REST API; for GitHub Enterprise Server https://HOST/api/v3'),
      ca: issuerAuthority(context),
      repositories: z
        .union([z.literal('all'), z.array(z.string().min(1)).min(1)])
        .exactOptional()
        .describe('The most repositories a token may be for; a rule’s credential.repositories narrows them'),
      permissions: z
        .record(z.string().regex(/^[a-z_]+$/), z.enum(['read', 'write', 'admin']))
        .exactOptional()
        .describe('The most permissions a token may have; a rule’s credential.permissions narrows them'),
      share: z.boolean().default(false).describe('Whether calls that need no approval share a token; default false'),
      timeout: issuerTimeout(),
    })
    .transform(({ timeout: timeoutMs, ...rest }) => ({ ...rest, timeoutMs }));

/** GitHub's tokens live an hour; its clock may differ from ours by this much. */
const LONGEST_LIFE_MS = 3_600_000 + 120_000;
/** An App JWT may live ten minutes at most and must not come from the future. */
const JWT_BACKDATED_S = 60;
const JWT_LIFE_S = 300;

export const githubApp = credentialType({
  name: 'github-app',
  settings,
  create(own, tools) {
    const { type, appId, installationId, privateKey, url, share } = own;
    const access = issuerAccess(own, tools);
    const base = url.replace(/\/$/, '');
    const headers = { accept: 'application/vnd.github+json', 'x-github-api-version': '2022-11-28' };

    return {
      type,
      shareable: share,
      async mint({ plan, now }) {
        const asked = narrowGithub(own, plan.scope);
        const jwt = await appToken(appId, privateKey, now);
        const answer = await callIssuer(access, {
          method: 'POST',
          url: `${base}/app/installations/${installationId}/access_tokens`,
          headers: { ...headers, authorization: `Bearer ${jwt}`, 'content-type': 'application/json' },
          body: JSON.stringify(scopeBody(asked)),
        });
        if (answer.status !== 201) throw unavailable(`GitHub refused to make a token: ${reasonOf(answer.status)}.`);
        return accept(answer, asked, now);
      },
      async revoke(handle) {
        const { status } = await callIssuer(access, {
          method: 'DELETE',
          url: `${base}/installation/token`,
          headers: { ...headers, authorization: `Bearer ${handle.reveal()}` },
        });
        // 401: GitHub no longer knows the token. 404: it no longer knows the installation. Both are what was wanted.
        if (![204, 401, 404, 410].includes(status))
          throw unavailable(`GitHub did not delete the token: status ${status}.`);
      },
    };
  },
  clientOf: ({ appId, url }) => `${appId} at ${url}`,
  describe: ({ type }) => `by ${type}, made for this call and deleted at GitHub when it is over`,
});

/** "Generating a JSON Web Token (JWT) for a GitHub App": RS256, iat in the past, ten minutes at most. */
async function appToken(appId: number | string, source: SecretSource, now: Grant['now']): Promise<string> {
  let key: KeyObject;
  try {
    key = createPrivateKey(source.read().reveal());
  } catch {
    throw unavailable('The App’s private key is missing or is not a PEM private key.');
  }
  if (key.asymmetricKeyType !== 'rsa') throw unavailable('The App’s private key is not an RSA key.');
  const at = Math.floor(now / 1000);
  return new SignJWT()
    .setProtectedHeader({ alg: 'RS256' })
    .setIssuer(String(appId))
    .setIssuedAt(at - JWT_BACKDATED_S)
    .setExpirationTime(at + JWT_LIFE_S)
    .sign(key);
}

function accept(answer: IssuerAnswer, asked: GitHubRequest, now: number): Minted {
  const object = readObject(answer);
  const { token, expires_at: expires } = object;
  if (!isFieldSafe(token)) throw unavailable('GitHub’s answer holds no token that can be put into a header.');
  const handle = new Secret(token);
  const expiresAt = typeof expires === 'string' ? Date.parse(expires) : Number.NaN;
  if (Number.isNaN(expiresAt))
    throw new UnwantedGrant('credential_unavailable', 'GitHub’s answer does not say when the token expires.', {
      handle,
    });
  const fault =
    exceeds(asked, object) ??
    (expiresAt > now + LONGEST_LIFE_MS ? 'GitHub made a token that lives longer than an hour.' : undefined);
  if (fault !== undefined) throw new UnwantedGrant('credential_too_broad', fault, { handle, expiresAt });
  return {
    injection: { in: 'header', name: 'authorization', value: new Secret(`Bearer ${token}`) },
    secrets: [handle],
    expiresAt,
    revocability: 'token',
    granted: grantedOf(object),
    handle,
  };
}

function grantedOf({ permissions, repositories }: JsonObject): JsonObject {
  const names = Array.isArray(repositories) ? repositories.flatMap((one) => nameOf(one)) : [];
  return { permissions: permissions ?? {}, repositories: names.length > 0 ? names : 'all' };
}

function nameOf(repository: unknown): string[] {
  const { full_name } = (repository ?? {}) as { full_name?: unknown };
  return typeof full_name === 'string' ? [full_name] : [];
}

function reasonOf(status: number): string {
  if (status === 401) return 'it does not accept the App’s key (status 401)';
  if (status === 404) return 'it knows no such installation of this App (status 404)';
  if (status === 422) return 'the installation does not have these repositories or permissions (status 422)';
  return `status ${status}`;
}
