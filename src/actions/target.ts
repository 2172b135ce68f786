// Where a call would go: the upstream's authority and base path, and the target below it exactly as it would be forwarded.
// Trusts configured URLs and checked request targets; joins them as strings, so nothing is normalised on the way.

import type { Action, Protocol } from '../domain/action.ts';
import type { InboundRequest } from '../domain/request.ts';
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
  /** Fields, in lower case, that are never forwarded: for example the one that carries the agent's token. Default none. */
  readonly withheldHeaders?: readonly string[];
  /** MCP: values of Origin that are let through; requests without one are. Default none. */
  readonly allowedOrigins?: readonly string[];
}

/** The members of an action that do not depend on the body. */
export type Outline = Pick<Action, 'protocol' | 'upstream' | 'authority' | 'method' | 'target' | 'path' | 'query' | 'upgrade' | 'boundHeaders'>;

/** `/tools` alone goes to exactly the base path; rules see it as `/`. */
export function outline(request: InboundRequest, upstream: UpstreamDescriptor): Outline {
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
