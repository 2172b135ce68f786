// The types of credential: one file each in types/, and this list. The configuration's union, the providers and the
// reviewers' sentences come from it.

import { z } from 'zod';
import type { ConfigContext } from '../settings/paths-and-secrets.ts';
import type { BrokerProvider } from './broker-provider.ts';
import type { CredentialTools, CredentialType, RequestSigning, SettingsOf } from './credential-type.ts';
import { reachOf } from './reach.ts';
import { awsSts } from './types/aws-sts.ts';
import { azureFederated } from './types/azure-federated.ts';
import { gcpWif } from './types/gcp-wif.ts';
import { githubApp } from './types/github-app.ts';
import { jwtBearer } from './types/jwt-bearer.ts';
import { kubernetes } from './types/kubernetes.ts';
import { ownModule } from './types/module.ts';
import { oauthClientCredentials } from './types/oauth-client-credentials.ts';
import { signedJwt } from './types/signed-jwt.ts';
import { spiffeJwt } from './types/spiffe-jwt.ts';
import { staticSecret } from './types/static.ts';
import { tokenExchange } from './types/token-exchange.ts';
import { vault } from './types/vault.ts';

/** In the order in which editors offer them. */
const TYPES = [
  staticSecret,
  oauthClientCredentials,
  tokenExchange,
  jwtBearer,
  githubApp,
  awsSts,
  gcpWif,
  azureFederated,
  vault,
  kubernetes,
  signedJwt,
  spiffeJwt,
  ownModule,
] as const;

type Schema = ReturnType<(typeof TYPES)[number]['settings']>;

/** What stands under a name in `credentials`. */
export const credential = (context: ConfigContext) =>
  z.discriminatedUnion('type', TYPES.map(({ settings }) => settings(context)) as unknown as [Schema, ...Schema[]]);

export type CredentialSettings = SettingsOf<typeof credential>;

const BY_NAME: ReadonlyMap<string, CredentialType> = new Map(TYPES.map((type) => [type.name, type]));

function typeOf({ type }: CredentialSettings): CredentialType {
  const found = BY_NAME.get(type);
  if (found === undefined) throw new TypeError(`there is no credential type ${type}`);
  return found;
}

/**
 * Makes the provider of an entry of `credentials`. Nothing is checked with its issuer yet: a wrong secret shows at the
 * first mint. Throws `credential_unavailable` for a module that cannot be used.
 *
 * @example
 * const settings = credential({ folder, env }).parse({ type: 'static', in: 'query', name: 'key', secret: { env: 'KEY' } });
 * const provider = createProvider(settings, tools);
 */
export function createProvider(settings: CredentialSettings, tools: CredentialTools): BrokerProvider {
  return typeOf(settings).create(settings, tools);
}

/** For reviewers: how the credential is made and when it ends. */
export function describeCredential(settings: CredentialSettings): string {
  return typeOf(settings).describe(settings);
}

/** What the credential is had by. Two that have one of these in common are not apart (reach.ts). */
export function reachOfCredential(settings: CredentialSettings): ReadonlyMap<string, string> {
  return reachOf(typeOf(settings), settings);
}

/** Where the settings ask the gateway to sign, as paths below the credential. */
export function signedByGateway(settings: CredentialSettings): readonly (readonly string[])[] {
  return typeOf(settings).signedByGateway?.(settings) ?? [];
}

/** What a credential that signs requests needs of its mount; undefined for one that travels on them. */
export function requestSigning(settings: CredentialSettings): RequestSigning | undefined {
  return typeOf(settings).requestSigning?.(settings);
}
