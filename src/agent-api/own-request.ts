// What each of the gateway's own endpoints gets, and the JSON answer that it returns.

import type { Identity } from '../domain/identity.ts';
import type { Principal } from '../domain/principal.ts';
import type { InboundRequest } from '../domain/request.ts';
import type { Answer } from '../problem.ts';

/** One request to one of the gateway's own endpoints, with a verified caller. */
export interface OwnRequest {
  readonly request: InboundRequest;
  readonly principal: Principal;
  readonly identity: Pick<Identity, 'taskToken'>;
  /** The path's last part: the id of a task or hold. Empty for the collection. */
  readonly id: string;
}

/** A JSON answer that caches must not store. */
export function json(status: number, body: unknown, fields: readonly string[] = []): Answer {
  return {
    status,
    headers: ['content-type', 'application/json', 'cache-control', 'no-store', ...fields],
    body: JSON.stringify(body),
  };
}
