// What servers and tools say about tasks, and what the gateway adds, so that clients know that a held call may become a
// task. Where a tool, or a server with the extension, makes its own tasks, the gateway makes none.

import type { Action } from '../../domain/action.ts';
import { isJsonObject, type Json, type JsonObject } from '../../domain/json.ts';
import { edited } from '../../domain/json-source.ts';

export const TASKS_EXTENSION = 'io.modelcontextprotocol/tasks';
const CORE_TASKS = '2025-11-25';

/** Whether a server's answer to `server/discover` says that it makes tasks itself. */
export function makesTasks(capabilities: Json | undefined): boolean {
  const extensions = isJsonObject(capabilities) ? capabilities.extensions : undefined;
  return isJsonObject(extensions) && isJsonObject(extensions[TASKS_EXTENSION]);
}

/** Whether calls of the tool become tasks of the server (MCP 2025-11-25, tool-level negotiation). */
export function isTaskTool(definition: Json | undefined): boolean {
  const execution = isJsonObject(definition) ? definition.execution : undefined;
  return isJsonObject(execution) && (execution.taskSupport === 'optional' || execution.taskSupport === 'required');
}

/** Marks the tool as one whose calls may become tasks. */
export function asTaskTool(definition: JsonObject): JsonObject {
  if (isTaskTool(definition)) return definition;
  const execution = isJsonObject(definition.execution) ? definition.execution : {};
  return edited(definition, { execution: edited(execution, { taskSupport: 'optional' }) });
}

/** Adds the gateway's tasks to a result of `initialize` or `server/discover`; leaves any other result as it is. */
export function declareTasks({ mcp }: Action, result: JsonObject): JsonObject {
  const { capabilities } = result;
  if (!isJsonObject(capabilities)) return result;
  if (mcp?.method === 'server/discover') {
    if (makesTasks(capabilities)) return result;
    const extensions = isJsonObject(capabilities.extensions) ? capabilities.extensions : {};
    return edited(result, {
      capabilities: edited(capabilities, { extensions: edited(extensions, { [TASKS_EXTENSION]: {} }) }),
    });
  }
  if (mcp?.method !== 'initialize' || result.protocolVersion !== CORE_TASKS) return result;
  const own: JsonObject = isJsonObject(capabilities.tasks) ? capabilities.tasks : { cancel: {} };
  const requests = isJsonObject(own.requests) ? own.requests : {};
  const tools = isJsonObject(requests.tools) ? requests.tools : {};
  const call = isJsonObject(tools.call) ? tools.call : {};
  const tasks = edited(own, { requests: edited(requests, { tools: edited(tools, { call }) }) });
  return edited(result, { capabilities: edited(capabilities, { tasks }) });
}
