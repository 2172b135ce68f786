// One way from configuration to a provider: each type's options are declared in its own file.

import { type AwsStsOptions, createAwsStsProvider } from './aws-sts.ts';
import type { BrokerProvider } from './broker-provider.ts';
import { createGithubAppProvider, type GithubAppOptions } from './github-app.ts';
import { createKubernetesProvider, type KubernetesOptions } from './kubernetes.ts';
import { type ClientCredentialsOptions, createClientCredentialsProvider } from './oauth-client-credentials.ts';
import { createStaticProvider, type StaticOptions } from './static.ts';
import { createTokenExchangeProvider, type TokenExchangeOptions } from './token-exchange.ts';
import { createVaultProvider, type VaultOptions } from './vault.ts';

export type ProviderOptions =
  | ({ readonly type: 'static' } & StaticOptions)
  | ({ readonly type: 'oauth-client-credentials' } & ClientCredentialsOptions)
  | ({ readonly type: 'token-exchange' } & TokenExchangeOptions)
  | ({ readonly type: 'github-app' } & GithubAppOptions)
  | ({ readonly type: 'aws-sts' } & AwsStsOptions)
  | ({ readonly type: 'vault' } & VaultOptions)
  | ({ readonly type: 'kubernetes' } & KubernetesOptions);

/** Makes a provider; touches no network and reads no secret yet. Throws TypeError for options that can never work. */
export function createProvider(options: ProviderOptions): BrokerProvider {
  switch (options.type) {
    case 'static':
      return createStaticProvider(options);
    case 'oauth-client-credentials':
      return createClientCredentialsProvider(options);
    case 'token-exchange':
      return createTokenExchangeProvider(options);
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
