// How agents find the gateway and their issuer: what challenges, holds' addresses and MCP's protected resource metadata
// (RFC 9728) say under the configuration in force.

import type { HeaderList } from '../domain/headers.ts';
import type { InboundRequest } from '../domain/request.ts';
import { readUpstreamName } from '../domain/server-names.ts';
import type { Reached } from '../domain/stages.ts';
import type { GatewayError } from '../errors.ts';
import { challenge } from '../identity/challenge.ts';
import { authorizationServer } from '../identity/issuers.ts';
import { baseOf, metadataUrl, type ResourceMetadataOptions, resourceMetadata } from '../mcp/resource-metadata.ts';
import type { LiveConfig } from './live-config.ts';

const REALM = 'countersign';

export interface AgentAddresses {
  /** WWW-Authenticate for an answer to a call, with the way to the issuer for MCP clients. */
  challenge(error: GatewayError, last: Reached): string;
  /** The same for the gateway's own endpoints. */
  plainChallenge(error: GatewayError): string;
  /** How the agent of a call reaches the gateway. */
  base(last: Reached): string | undefined;
  /** The public metadata of an MCP mount. Throws `not_found`, `method_not_allowed`. */
  metadata(request: InboundRequest): { readonly headers: HeaderList; readonly body: string };
}

export function createAgentAddresses(live: Pick<LiveConfig, 'config'>, scheme: 'http' | 'https'): AgentAddresses {
  const options = (): ResourceMetadataOptions => {
    const { identity, listeners, upstreams } = live.config();
    return {
      url: listeners.agents.url,
      scheme,
      issuers: identity.issuers.flatMap((issuer) => authorizationServer(issuer) ?? []),
      isMcp: (mount) =>
        readUpstreamName(mount).server === undefined &&
        Object.hasOwn(upstreams, mount) &&
        upstreams[mount]?.protocol === 'mcp',
    };
  };
  return {
    challenge(error, { arrived }) {
      const at = arrived && metadataUrl(options(), arrived.headers, arrived.mount);
      return challenge(error, { realm: REALM, ...(at !== undefined && { resourceMetadata: at }) });
    },
    plainChallenge: (error) => challenge(error, { realm: REALM }),
    base: ({ arrived }) => arrived && baseOf(options(), arrived.headers),
    metadata: (request) => resourceMetadata(options(), request),
  };
}
