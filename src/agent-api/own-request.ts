// What every endpoint of the gateway's own is given, and the JSON answer that it gives.

import type { Principal } from '../domain/principal.ts';
import type { InboundRequest } from '../domain/request.ts';
import type { Answer } from '../problem.ts';

/** One request to an endpoint of the gateway's own, with a verified caller. */
export interface OwnRequest {
  readonly request: InboundRequest;
  readonly principal: Principal;
  /** The path's last part: the id of a task or hold. Empty for the collection. */
  readonly id: string;
}

/** A JSON answer that no cache keeps. */
export function json(status: number, body: unknown, fields: readonly string[] = []): Answer {
  return {
    status,
    headers: ['content-type', 'application/json', 'cache-control', 'no-store', ...fields],
    body: JSON.stringify(body),
  };
}
