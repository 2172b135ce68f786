// Credential type `azure-federated`: Microsoft Entra workload identity federation. The gateway proves itself as an
// application by a token of a federated issuer (client_credentials with client_assertion) and gets a token for one
// resource. Trusts the configured authority over TLS. Refuses scopes other than `<resource>/.default`: Entra has no
// narrower ones for applications.

import { z } from 'zod';
import { secureUrl } from '../../settings/addresses.ts';
import { type ConfigContext, secret } from '../../settings/paths-and-secrets.ts';
import { type CredentialTools, credentialType, describeExpiring, type SettingsOf } from '../credential-type.ts';
import { createOAuthClient } from '../oauth/client.ts';
import { maxLifetime } from '../oauth/settings.ts';
import { issuerTimeout } from '../settings.ts';
import { ASSERTION_LIFETIME_MS, gatewayPaths, signerOf } from '../token-source.ts';

const settings = (context: ConfigContext) =>
  z
    .strictObject({
      type: z.literal('azure-federated'),
      tenant: z.string().min(1).describe('Directory (tenant) id'),
      clientId: z.string().min(1).describe('Application (client) id'),
      scope: z
        .string()
        .regex(/^\S+\/\.default( \S+\/\.default)*$/, { error: 'Write <resource>/.default.' })
        .describe('For example https://management.azure.com/.default'),
      assertion: z
        .union([z.strictObject({ gateway: z.strictObject({ subject: z.string().min(1) }) }), secret(context)], {
          error: 'Write { gateway: { subject: TEXT } }, { file: PATH } or { env: NAME }.',
        })
        .describe('What the federated identity credential of the application trusts'),
      authority: secureUrl().exactOptional().describe('Default https://login.microsoftonline.com'),
      timeout: issuerTimeout(),
      maxLifetime: maxLifetime('Tokens that live longer are refused; default: no bound'),
    })
    .transform(({ timeout: timeoutMs, maxLifetime: maxLifetimeMs, ...rest }) => ({
      ...rest,
      timeoutMs,
      ...(maxLifetimeMs !== undefined && { maxLifetimeMs }),
    }));

/** The audience that Entra asks for in a federated token. */
export const AZURE_AUDIENCE = 'api://AzureADTokenExchange';

const DEFAULT_AUTHORITY = 'https://login.microsoftonline.com';

export const azureFederated = credentialType({
  name: 'azure-federated',
  settings,
  create({ type, tenant, assertion, authority = DEFAULT_AUTHORITY, ...rest }, tools) {
    const tokenEndpoint = `${authority.replace(/\/$/, '')}/${encodeURIComponent(tenant)}/oauth2/v2.0/token`;
    const client = createOAuthClient({
      ...rest,
      endpoints: { tokenEndpoint },
      authentication: { method: 'client_assertion', assertion: assertionOf(assertion, tools) },
      tolerateScopes: [],
      // Entra has no revocation endpoint for application tokens.
      revoke: false,
    });
    return {
      type,
      shareable: true,
      reuseMs: client.reuseMs,
      mint: (grant) => client.mint(grant, 'client_credentials', {}),
    };
  },
  clientOf: ({ clientId, tenant }) => `${clientId} at ${tenant}`,
  describe: ({ type }) => describeExpiring(type),
  signedByGateway: ({ assertion }) => gatewayPaths({ assertion }),
});

function assertionOf(
  assertion: SettingsOf<typeof settings>['assertion'],
  tools: CredentialTools,
): () => Promise<string> {
  if ('read' in assertion) return async () => assertion.read().reveal();
  const claims = { sub: assertion.gateway.subject, aud: AZURE_AUDIENCE };
  const signer = signerOf(tools);
  return async () => (await signer.sign(claims, ASSERTION_LIFETIME_MS)).text;
}
