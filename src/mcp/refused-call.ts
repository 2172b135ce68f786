// How a refused call is answered over MCP: told to the client of a task where there is one, otherwise as a tool result
// or a JSON-RPC error. What no JSON-RPC request asked for is left to HTTP.

import type { ProtocolHandler } from '../domain/protocol-handler.ts';
import { renderMcpRefusal } from './refusal.ts';
import type { RequestStates } from './request-state.ts';
import type { GatewayTasks } from './tasks/tasks.ts';

export interface RefusedCallParts {
  readonly states: Pick<RequestStates, 'issue'>;
  readonly tasks: Pick<GatewayTasks, 'refused'>;
}

export function refuseInMcp({ states, tasks }: RefusedCallParts): ProtocolHandler['refusal'] {
  return (failed) => {
    const status = tasks.refused(failed);
    if (status !== undefined) return { status, written: true };
    const { error, action, principal } = failed;
    const answer =
      action && renderMcpRefusal(error, action, principal && ((holdId) => states.issue(principal, action, holdId)));
    return answer && { ...answer, written: false };
  };
}
