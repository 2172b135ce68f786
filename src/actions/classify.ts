// What a call would do: an InboundRequest and the upstream it is mounted under become an Action.
// Trusts the request to come from receiveRequest and the descriptor to come from checked configuration.

import type { Action, BodyNeed } from '../domain/action.ts';
import type { InboundRequest } from '../domain/request.ts';
import { type ClassifyLimits, classifyHttp } from './http.ts';
import { classifyMcp } from './mcp.ts';
import type { UpstreamDescriptor } from './target.ts';

/**
 * The action that this request asks for. Reads the body as far as `need` says; an MCP message is always read. Throws
 * `bad_request`, `bad_header`, `bad_json`, `bad_rpc`, `bad_path`, `not_found`, `method_not_allowed`,
 * `unsupported_media_type`, `denied` (Origin, MCP only), and what reading the body throws.
 */
export function classify(
  request: InboundRequest,
  upstream: UpstreamDescriptor,
  need: BodyNeed,
  limits: ClassifyLimits,
): Action | Promise<Action> {
  return upstream.protocol === 'mcp'
    ? classifyMcp(request, upstream, limits)
    : classifyHttp(request, upstream, need, limits);
}
