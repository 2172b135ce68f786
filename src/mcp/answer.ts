// Judges each message of an upstream's answer: tool lists are cut to what the agent may call, requests of the server's
// pass only where a rule allows them, and everything else goes on as it is.

import type { Action } from '../domain/action.ts';
import { isJsonObject, type Json, type JsonObject } from '../domain/json.ts';
import { edited, rewritten } from '../domain/json-source.ts';
import { GatewayError } from '../errors.ts';
import type { JudgeMessage } from './answer-sink.ts';
import { rpcError } from './refusal.ts';
import { inputRequestsOf, type ServerRequests } from './server-requests.ts';
import { declareTasks, makesTasks } from './tasks/capabilities.ts';
import { OWN_TASK } from './tasks/questions.ts';
import { isToolList, type ToolListOptions, visibleTools } from './tool-list.ts';

export interface AnswerOptions {
  /** The call that is answered. */
  readonly action: Action;
  /** Called with whether the server has just said that it makes tasks itself. */
  madeTasks(makes: boolean): void;
  /** Called when the answer says that the call failed: by a JSON-RPC error, or as the result of a tool. */
  failed(): void;
  readonly tools: ToolListOptions;
  readonly requests: ServerRequests;
  /** Called when a request of the server is passed to the agent, who will answer it under this id. */
  passed(id: string | number): void;
}

export function judgeAnswer({ action, madeTasks, failed, tools, requests, passed }: AnswerOptions): JudgeMessage {
  return (message) => {
    const { method, id, result } = message;
    // No server may speak about the gateway's own tasks.
    if (namesOwnTask(message))
      return isAbsent(method) ? { jsonrpc: '2.0', id: id ?? null, error: FOREIGN_TASK } : undefined;
    if (!isAbsent(method)) return judgeFromServer(message, requests, passed);
    if (!isAbsent(message.error) || (isJsonObject(result) && result.isError === true)) failed();
    if (isJsonObject(result) && typeof result.nextCursor === 'string') {
      const { cursor } = isJsonObject(action.args) ? action.args : {};
      if (result.nextCursor !== '' && result.nextCursor === cursor)
        return { jsonrpc: '2.0', id: id ?? null, error: ENDLESS };
    }
    const listed =
      isJsonObject(result) && result.nextCursor === ''
        ? edited(message, { result: edited(result, { nextCursor: undefined }) })
        : message;
    return judgeResult(listed);
  };

  function judgeResult(message: JsonObject): JsonObject {
    const { id, result } = message;
    if (isToolList(result)) {
      // A list is cut for one agent, so no cache may give it to another, whatever the server says.
      const scope = isAbsent(result.cacheScope) ? {} : { cacheScope: 'private' };
      return edited(message, { result: edited(result, { ...scope, tools: visibleTools(result.tools, tools) }) });
    }
    if (
      isJsonObject(result) &&
      inputRequestsOf(result).some((request) => !requests.passes(request.method, request.params))
    ) {
      return { jsonrpc: '2.0', id: id ?? null, error: INPUT_REFUSED };
    }
    if (!isJsonObject(result)) return message;
    if (action.mcp?.method === 'server/discover') madeTasks(makesTasks(result.capabilities));
    const declared = declareTasks(action, result);
    return declared === result ? message : edited(message, { result: declared });
  }
}

/** A client would ask for the same page for ever. */
const ENDLESS = rpcError(
  new GatewayError('upstream_protocol', 'The server’s list goes on with the cursor that it was asked with.'),
  'call',
);
const FOREIGN_TASK = rpcError(
  new GatewayError('upstream_protocol', 'The server answered with a task id that is not its own to give.'),
  'call',
);

/** Whether a server uses an id of the gateway's own tasks: in a result, a task, a list of tasks, or a notification. */
function namesOwnTask({ result, params }: JsonObject): boolean {
  const places = [result, params]
    .filter(isJsonObject)
    .flatMap((place) => [place, place.task, ...(Array.isArray(place.tasks) ? place.tasks : [])]);
  return places.some(
    (place) => isJsonObject(place) && typeof place.taskId === 'string' && place.taskId.startsWith(OWN_TASK),
  );
}

const INPUT_REFUSED = rpcError(
  new GatewayError('denied', 'The server asked for something that policy does not let it ask of this agent.', {
    executed: 'maybe',
  }),
  'call',
);

/** A message with a method: a request is judged, a notification passes, anything else is left out. */
function judgeFromServer(
  message: JsonObject,
  requests: ServerRequests,
  passed: AnswerOptions['passed'],
): JsonObject | undefined {
  const { method, id, params, result, error } = message;
  if (typeof method !== 'string' || !isAbsent(result) || !isAbsent(error)) return undefined;
  if (isAbsent(id)) return method.startsWith('notifications/') ? message : undefined;
  if (typeof id !== 'string' && typeof id !== 'number') return undefined;
  if (method === 'ping' || requests.passes(method, isJsonObject(params) ? params : {})) {
    passed(id);
    // Written again, so that the agent's parser sees exactly the message that was judged.
    return rewritten(message);
  }
  requests.refuse(id, method);
  return undefined;
}

/** JSON-RPC's members are optional, and serialisers write null for what is not there. */
const isAbsent = (value: Json | undefined): value is null | undefined => value === undefined || value === null;
