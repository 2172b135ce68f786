// One way from configuration to a provider: each type's options are declared in its own file.

import type { BrokerProvider } from './broker-provider.ts';
import { type ClientCredentialsOptions, createClientCredentialsProvider } from './oauth-client-credentials.ts';
import { createStaticProvider, type StaticOptions } from './static.ts';
import { createTokenExchangeProvider, type TokenExchangeOptions } from './token-exchange.ts';

export type ProviderOptions =
  | ({ readonly type: 'static' } & StaticOptions)
  | ({ readonly type: 'oauth-client-credentials' } & ClientCredentialsOptions)
  | ({ readonly type: 'token-exchange' } & TokenExchangeOptions);

/** Makes a provider; touches no network and reads no secret yet. Throws TypeError for options that can never work. */
export function createProvider(options: ProviderOptions): BrokerProvider {
  switch (options.type) {
    case 'static':
      return createStaticProvider(options);
    case 'oauth-client-credentials':
      return createClientCredentialsProvider(options);
    case 'token-exchange':
      return createTokenExchangeProvider(options);
  }
}
