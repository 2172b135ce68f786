// The agents' own endpoints under /countersign: tasks, holds, the pages that explain problems, and the public keys of
// what the gateway signs. Tasks and holds need the same identity as calls. A caller sees its own tasks and holds, and
// no others. These endpoints never reach an upstream.

import type { Call } from '../domain/call.ts';
import type { Identity } from '../domain/identity.ts';
import type { JsonObject } from '../domain/json.ts';
import type { Logger } from '../domain/log.ts';
import type { Principal } from '../domain/principal.ts';
import type { InboundRequest } from '../domain/request.ts';
import { asGatewayError, GatewayError } from '../errors.ts';
import { type Answer, problem } from '../problem.ts';
import { type HoldRoutes, holdRoutes } from './holds.ts';
import type { OwnRequest } from './own-request.ts';
import { problemPage } from './problem-page.ts';
import { type TaskRoutes, taskRoutes } from './tasks.ts';

export type AgentsApiDependencies = TaskRoutes &
  HoldRoutes & {
    readonly log: Logger;
    /** How many requests of one agent are under way. `add` throws `too_many_calls`. */
    readonly agentCalls: { add(agent: string, most: number): void; remove(agent: string): void };
    /**
     * A public document of the gateway as an issuer, by its path below /countersign: discovery and keys, for services
     * that verify the gateway's signatures.
     */
    document(path: string): Promise<JsonObject | undefined>;
  };

type Handler = (own: OwnRequest) => Promise<Answer>;
type Routes = Readonly<Record<string, Readonly<Record<string, Handler>>>>;

export interface AgentsApi {
  /**
   * Answers a request that arrived like a call, and notes its caller. It goes no further: nothing is sent upstream.
   * Never rejects.
   */
  handle(arrived: Call, challenge: (error: GatewayError) => string): Promise<void>;
}

export function createAgentsApi(deps: AgentsApiDependencies): AgentsApi {
  const routes: Routes = { ...taskRoutes(deps), ...holdRoutes(deps) };
  return {
    async handle(arrived, challenge) {
      const { sink } = arrived;
      const requestId = arrived.id;
      try {
        const request = arrived.parse();
        const answer = (await pageOf(request, deps)) ?? (await dispatch(routes, request, arrived, deps.agentCalls));
        sink.whole(answer.status, answer.headers, request.method === 'HEAD' ? '' : Buffer.from(answer.body));
      } catch (thrown) {
        const error = asGatewayError(thrown);
        if (error.code === 'internal')
          deps.log.error('countersign.agents.failed', { id: requestId, cause: error.details.cause });
        const answer = problem(error, { requestId, challenge: challenge(error) });
        if (sink.started) sink.abort();
        else sink.whole(answer.status, answer.headers, Buffer.from(answer.body));
      }
    },
  };
}

async function dispatch(
  routes: Routes,
  request: InboundRequest,
  call: Call,
  calls: AgentsApiDependencies['agentCalls'],
): Promise<Answer> {
  const { principal } = await call.runtime.identity.identify(request);
  call.reach({ call, principal });
  calls.add(principal.agentKey, call.runtime.callsPerAgent);
  try {
    return await route(routes, request, principal, call.runtime.identity);
  } finally {
    calls.remove(principal.agentKey);
  }
}

async function route(
  routes: Routes,
  request: InboundRequest,
  principal: Principal,
  identity: Identity,
): Promise<Answer> {
  const [, version, collection = '', id = '', ...rest] = request.path.split('/');
  const byMethod =
    version === 'v1' ? routes[[collection, ...(id === '' ? [] : ['{id}', ...rest])].join('/')] : undefined;
  if (byMethod === undefined)
    throw new GatewayError('not_found', 'The gateway has no endpoint of its own at this path.');
  const handler = byMethod[request.method];
  if (handler === undefined)
    throw new GatewayError('method_not_allowed', `This endpoint takes ${Object.keys(byMethod).join(', ')}.`);
  return handler({ request, principal, identity, id });
}

/** Pages that need no sign-in. */
async function pageOf(
  { method, path }: InboundRequest,
  { document }: AgentsApiDependencies,
): Promise<Answer | undefined> {
  if (method !== 'GET' && method !== 'HEAD') return undefined;
  if (path.startsWith('/problems/')) return problemPage(path.slice('/problems/'.length));
  const found = await document(path);
  return (
    found && {
      status: 200,
      headers: ['content-type', 'application/json', 'cache-control', 'public, max-age=300'],
      body: JSON.stringify(found),
    }
  );
}
