// Where a call would go: the upstream's authority and base path, and the target below it exactly as it would be
// forwarded. Trusts configured URLs and checked request targets; joins them as strings, so nothing is normalised on the
// way.

import type { Action, Protocol } from '../domain/action.ts';
import { identityParameter } from '../domain/identity-fields.ts';
import type { InboundRequest } from '../domain/request.ts';
import { GatewayError } from '../errors.ts';
import { boundHeaders } from './fields.ts';
import { afterMount } from './path.ts';

/** What classification has to know of a mounted upstream. */
export interface UpstreamDescriptor {
  /** The name under `upstreams`, which is the mount. */
  readonly name: string;
  /** host or host:port of the configured URL. */
  readonly authority: string;
  /** Path of the configured URL without a slash at its end: '' or for example `/mcp`. */
  readonly basePath: string;
  readonly protocol: Protocol;
  /** Further fields, in lower case, that approvals bind and held calls forward. */
  readonly boundHeaders: readonly string[];
  /**
   * Fields, in lower case, that are never forwarded: for example the one that carries the agent's token. Default none.
   */
  readonly withheldHeaders?: readonly string[];
  /**
   * Whether the gateway injects a credential of its own: then the query may hold none of the agent's. Default false.
   */
  readonly armed?: boolean;
  /** Whether the gateway signs what it sends: then a body is never streamed. Default false. */
  readonly signsBodies?: boolean;
  /** MCP: values of Origin that are let through; requests without one are. Default none. */
  readonly allowedOrigins?: readonly string[];
}

/** The members of an action that do not depend on the body. */
export type Outline = Pick<
  Action,
  'protocol' | 'upstream' | 'authority' | 'method' | 'target' | 'path' | 'query' | 'upgrade' | 'boundHeaders'
>;

/**
 * Throws `bad_request` for a query with a credential beside the injected one. `/tools` alone goes to exactly the base
 * path; rules see it as `/`.
 */
export function outline(request: InboundRequest, upstream: UpstreamDescriptor): Outline {
  if (upstream.armed && request.query !== undefined) refuseOwnCredential(request.query);
  const below = upstream.basePath + afterMount(request.target, request.mount);
  return {
    protocol: upstream.protocol,
    upstream: upstream.name,
    authority: upstream.authority,
    method: request.method,
    target: below.startsWith('/') ? below : `/${below}`,
    path: request.path,
    ...(request.query === undefined ? {} : { query: request.query }),
    ...(request.upgrade && { upgrade: request.upgrade }),
    boundHeaders: boundHeaders(request.headers, upstream.boundHeaders, upstream.withheldHeaders),
  };
}

/**
 * Beside the gateway's credential the upstream might believe this one (RFC 6750 section 2: one per request). Dropping
 * it would send another query than rules saw.
 */
function refuseOwnCredential(query: string): void {
  const name = identityParameter(query);
  if (name !== undefined) {
    throw new GatewayError(
      'bad_request',
      `The query has a credential or an identity of its own (${name}), and the gateway sends its own. Leave ` +
        'the parameter out.',
    );
  }
}
