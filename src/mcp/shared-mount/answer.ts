// A server's message in the agent's words: on a shared mount its tools, prompts, resources and requests carry its name,
// so that nothing of two servers is confused. Trusts nothing in the message. What does not have the form of MCP is
// passed on as it is.

import type { Action } from '../../domain/action.ts';
import { isJsonObject, type Json, type JsonObject } from '../../domain/json.ts';
import { edited } from '../../domain/json-source.ts';
import { agentId, agentUri, namedBy } from '../../domain/server-names.ts';
import type { JudgeMessage } from '../answer-sink.ts';

/**
 * Judges what one server sends. Nothing of it may pass for another server's, so an answer must answer this request, and
 * progress must belong to this request. `judge` decides about the rest, under the server's own names.
 */
export function judgeServer(
  server: string,
  action: Action,
  asked: string | number | undefined,
  judge: JudgeMessage,
): JudgeMessage {
  return (message) => {
    if (!isOwn(message, action, asked)) return undefined;
    const judged = judge(message);
    return judged && putToAgent(server, judged);
  };
}

function isOwn({ method, id, params }: JsonObject, { mcp }: Action, asked: string | number | undefined): boolean {
  // A server that could not read the id answers with an error without one.
  if (method === undefined || method === null)
    return asked !== undefined && (id === asked || id === undefined || id === null);
  if (method !== 'notifications/progress' || !isJsonObject(params)) return true;
  return mcp?.progressToken !== undefined && params.progressToken === mcp.progressToken;
}

/** One message in the agent's words. */
export function putToAgent(server: string, message: JsonObject): JsonObject {
  if (message.method !== undefined && message.method !== null) return fromServer(server, message);
  return isJsonObject(message.result) ? edited(message, { result: resultOf(server, message.result) }) : message;
}

function fromServer(server: string, message: JsonObject): JsonObject {
  const { method, id } = message;
  const params = isJsonObject(message.params) ? message.params : undefined;
  if (id !== undefined && id !== null) {
    return edited(message, {
      ...(isId(id) && { id: agentId(server, id) }),
      ...(params && { params: withProgress(server, params) }),
    });
  }
  if (params === undefined) return message;
  if (method === 'notifications/cancelled' && isId(params.requestId))
    return edited(message, { params: edited(params, { requestId: agentId(server, params.requestId) }) });
  if (method === 'notifications/message')
    return edited(message, {
      params: edited(params, { logger: typeof params.logger === 'string' ? `${server}/${params.logger}` : server }),
    });
  if (method === 'notifications/resources/updated') return edited(message, { params: withUri(server, params) });
  return message;
}

/** The progress of a server's request goes to that server alone. */
function withProgress(server: string, params: JsonObject): JsonObject {
  const meta = isJsonObject(params._meta) ? params._meta : {};
  return isId(meta.progressToken)
    ? edited(params, { _meta: edited(meta, { progressToken: agentId(server, meta.progressToken) }) })
    : params;
}

function resultOf(server: string, result: JsonObject): JsonObject {
  const changed: Record<string, Json> = {};
  const each = (member: string, change: (item: Json) => Json): void => {
    const items = result[member];
    if (Array.isArray(items)) changed[member] = items.map(change);
  };
  each('tools', (item) => named(server, item));
  each('prompts', (item) => named(server, item));
  each('resources', (item) => withUri(server, item));
  each('resourceTemplates', (item) => withUri(server, item, 'uriTemplate'));
  each('contents', (item) => withUri(server, item));
  each('content', (item) => block(server, item));
  each('messages', (item) =>
    isJsonObject(item) && item.content !== undefined ? edited(item, { content: block(server, item.content) }) : item,
  );
  return edited(result, changed);
}

function named(server: string, item: Json): Json {
  return isJsonObject(item) && typeof item.name === 'string'
    ? edited(item, { name: namedBy(server, item.name) })
    : item;
}

function withUri(server: string, item: Json, member = 'uri'): Json {
  const uri = isJsonObject(item) ? item[member] : undefined;
  return isJsonObject(item) && typeof uri === 'string' ? edited(item, { [member]: agentUri(server, uri) }) : item;
}

/** A block of content: a link to a resource, or a resource itself. */
function block(server: string, item: Json): Json {
  if (!isJsonObject(item)) return item;
  if (item.type === 'resource_link') return withUri(server, item);
  return item.type === 'resource' && item.resource !== undefined
    ? edited(item, { resource: withUri(server, item.resource) })
    : item;
}

const isId = (value: Json | undefined): value is string | number =>
  typeof value === 'string' || typeof value === 'number';
