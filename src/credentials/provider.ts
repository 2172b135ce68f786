// One way from configuration to a provider: each type's options are declared in its own file.

import { type AwsStsOptions, createAwsStsProvider } from './aws-sts.ts';
import { type AzureFederatedOptions, createAzureFederatedProvider } from './azure-federated.ts';
import type { BrokerProvider } from './broker-provider.ts';
import { createGcpWifProvider, type GcpWifOptions } from './gcp-wif.ts';
import { createGithubAppProvider, type GithubAppOptions } from './github-app.ts';
import { createJwtBearerProvider, type JwtBearerOptions } from './jwt-bearer.ts';
import { createKubernetesProvider, type KubernetesOptions } from './kubernetes.ts';
import { createModuleProvider, type ModuleOptions } from './module.ts';
import { type ClientCredentialsOptions, createClientCredentialsProvider } from './oauth-client-credentials.ts';
import { createSignedJwtProvider, type SignedJwtOptions } from './signed-jwt.ts';
import { createSpiffeJwtProvider, type SpiffeJwtOptions } from './spiffe-jwt.ts';
import { createStaticProvider, type StaticOptions } from './static.ts';
import { createTokenExchangeProvider, type TokenExchangeOptions } from './token-exchange.ts';
import { createVaultProvider, type VaultOptions } from './vault.ts';

export type ProviderOptions =
  | ({ readonly type: 'static' } & StaticOptions)
  | ({ readonly type: 'oauth-client-credentials' } & ClientCredentialsOptions)
  | ({ readonly type: 'token-exchange' } & TokenExchangeOptions)
  | ({ readonly type: 'jwt-bearer' } & JwtBearerOptions)
  | ({ readonly type: 'azure-federated' } & AzureFederatedOptions)
  | ({ readonly type: 'gcp-wif' } & GcpWifOptions)
  | ({ readonly type: 'signed-jwt' } & SignedJwtOptions)
  | ({ readonly type: 'spiffe-jwt' } & SpiffeJwtOptions)
  | ({ readonly type: 'module' } & ModuleOptions)
  | ({ readonly type: 'github-app' } & GithubAppOptions)
  | ({ readonly type: 'aws-sts' } & AwsStsOptions)
  | ({ readonly type: 'vault' } & VaultOptions)
  | ({ readonly type: 'kubernetes' } & KubernetesOptions);

/**
 * Makes a provider; touches no network and reads no secret yet. Throws TypeError for options that can never work,
 * `credential_unavailable` for a module that cannot be used.
 */
export function createProvider(options: ProviderOptions): BrokerProvider {
  switch (options.type) {
    case 'static':
      return createStaticProvider(options);
    case 'oauth-client-credentials':
      return createClientCredentialsProvider(options);
    case 'token-exchange':
      return createTokenExchangeProvider(options);
    case 'jwt-bearer':
      return createJwtBearerProvider(options);
    case 'azure-federated':
      return createAzureFederatedProvider(options);
    case 'gcp-wif':
      return createGcpWifProvider(options);
    case 'signed-jwt':
      return createSignedJwtProvider(options);
    case 'spiffe-jwt':
      return createSpiffeJwtProvider(options);
    case 'module':
      return createModuleProvider(options);
    case 'github-app':
      return createGithubAppProvider(options);
    case 'aws-sts':
      return createAwsStsProvider(options);
    case 'vault':
      return createVaultProvider(options);
    case 'kubernetes':
      return createKubernetesProvider(options);
  }
}
