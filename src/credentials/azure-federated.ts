// Provider `azure-federated`: Microsoft Entra workload identity federation. The gateway proves itself as an application
// by a token of a federated issuer (client_credentials with client_assertion) and gets a token for one resource. Trusts
// the configured authority over TLS. Refuses scopes other than `<resource>/.default`: Entra has no narrower ones for
// applications.

import { requireProtected } from './bounded-fetch.ts';
import type { BrokerProvider } from './broker-provider.ts';
import { createOAuthClient, type OAuthClientOptions } from './oauth-client.ts';

export interface AzureFederatedOptions extends Pick<OAuthClientOptions, 'timeoutMs' | 'maxLifetimeMs' | 'fetch'> {
  /** Directory (tenant) id or name. */
  readonly tenant: string;
  readonly clientId: string;
  /** The resource's scope, for example `https://management.azure.com/.default`; a rule may choose among several. */
  readonly scope: string;
  /** A token with `aud` api://AzureADTokenExchange whose issuer and subject a federated identity credential names. */
  readonly assertion: () => Promise<string>;
  /** Default `https://login.microsoftonline.com`; sovereign clouds have others. */
  readonly authority?: string;
}

/** The audience that Entra asks for in a federated token. */
export const AZURE_AUDIENCE = 'api://AzureADTokenExchange';

const DEFAULT_AUTHORITY = 'https://login.microsoftonline.com';

/** Throws TypeError for a scope or an authority that can never work. */
export function createAzureFederatedProvider(options: AzureFederatedOptions): BrokerProvider {
  const { tenant, scope, assertion, authority = DEFAULT_AUTHORITY, ...rest } = options;
  requireProtected(authority);
  if (!scope.split(' ').every((value) => /^\S+\/\.default$/.test(value)))
    throw new TypeError('an Azure scope is <resource>/.default');
  const client = createOAuthClient({
    ...rest,
    tokenEndpoint: `${authority.replace(/\/$/, '')}/${encodeURIComponent(tenant)}/oauth2/v2.0/token`,
    clientAuthentication: 'client_assertion',
    clientAssertion: assertion,
    scope,
    // Entra has no revocation endpoint for application tokens.
    revoke: false,
  });
  return {
    type: 'azure-federated',
    shareable: true,
    reuseMs: client.reuseMs,
    mint: (grant) => client.mint(grant, 'client_credentials', {}),
  };
}
