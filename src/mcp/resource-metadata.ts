// Protected resource metadata (RFC 9728), by which MCP clients find the issuer whose tokens the gateway takes. It is
// public, and names only issuers and mounts. A mount that is not MCP gets the same refusal as one that does not exist.

import { type HeaderList, header } from '../domain/headers.ts';
import type { InboundRequest } from '../domain/request.ts';
import { RESOURCE_METADATA_PATH } from '../domain/well-known.ts';
import { GatewayError } from '../errors.ts';

export interface ResourceMetadataOptions {
  /** The URL under which agents reach the gateway, without a slash at the end; undefined: as the Host field says. */
  readonly url: string | undefined;
  readonly scheme: 'http' | 'https';
  /** Issuer identifiers of authorization servers. */
  readonly issuers: readonly string[];
  isMcp(mount: string): boolean;
}

/** The metadata URL for the challenge of a refused call (RFC 9728 section 5.1). */
export function metadataUrl(options: ResourceMetadataOptions, headers: HeaderList, mount: string): string | undefined {
  const base = baseOf(options, headers);
  return base === undefined || !options.isMcp(mount) ? undefined : `${base}${RESOURCE_METADATA_PATH}/${mount}`;
}

/** The document for one mount. Throws `not_found`, `method_not_allowed`. */
export function resourceMetadata(
  options: ResourceMetadataOptions,
  request: InboundRequest,
): { readonly headers: HeaderList; readonly body: string } {
  if (request.method !== 'GET' && request.method !== 'HEAD')
    throw new GatewayError('method_not_allowed', 'Metadata are only read.');
  // Section 3.3: the document names the very resource that was asked about, a slash at its end included.
  const resource = request.path.slice(request.path.indexOf('/', 1) + 1);
  const mount = resource.replace(/\/$/, '');
  const base = baseOf(options, request.headers);
  if (base === undefined || !request.path.startsWith('/oauth-protected-resource/') || !options.isMcp(mount)) {
    throw new GatewayError('not_found', 'There is no MCP server under this name.');
  }
  const document = {
    resource: `${base}/${resource}`,
    authorization_servers: options.issuers,
    bearer_methods_supported: ['header'],
    resource_name: mount,
  };
  return {
    headers: ['content-type', 'application/json', 'cache-control', 'max-age=300'],
    body: JSON.stringify(document),
  };
}

/** The URL under which the agent that sent these fields reaches the gateway. */
export function baseOf(
  { url, scheme }: Pick<ResourceMetadataOptions, 'url' | 'scheme'>,
  headers: HeaderList,
): string | undefined {
  if (url !== undefined) return url.replace(/\/+$/, '');
  const host = header(headers, 'host');
  return host === undefined ? undefined : `${scheme}://${host}`;
}
