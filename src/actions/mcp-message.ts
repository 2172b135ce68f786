// An MCP message as the thing that approvals bind: without what only numbers it or tells where its answer goes. The
// identical call under another JSON-RPC id is then the same action, and the same id with other arguments never is.
// Trusts a message that rpc.ts has read. Refuses progress tokens and trace contexts that could carry more than they are
// for, because nobody looks at what an approval does not bind.

import type { ActionBody, RpcTransport, TaskForm } from '../domain/action.ts';
import { canonicalDigest, sha256 } from '../domain/canonical.ts';
import { type HeaderList, header } from '../domain/headers.ts';
import { isJsonObject, type Json, type JsonObject } from '../domain/json.ts';
import { edited, parseWithSource, writeJson } from '../domain/json-source.ts';
import { REQUEST_STATE_PREFIX } from '../domain/request-state.ts';
import { parseStrictJson } from '../domain/strict-json.ts';
import { GatewayError } from '../errors.ts';
import { isAbsent } from './rpc.ts';

/** The first revision without sessions; revisions are dates and compare as text. */
const STATELESS_SINCE = '2026-07-28';
const TASKS_SINCE = '2025-11-25';
const VERSION_KEY = 'io.modelcontextprotocol/protocolVersion';
const CAPABILITIES_KEY = 'io.modelcontextprotocol/clientCapabilities';
const TASKS_EXTENSION = 'io.modelcontextprotocol/tasks';
/** Names a task of the gateway's. */
const TASK_KEY = 'countersign/task';
const LONGEST_TOKEN = 256;
/** W3C Trace Context sections 3.2 and 3.3, as MCP carries them in `_meta`. */
const TRACEPARENT = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;
const TRACESTATE = /^[a-z0-9_*/@,=.:;+ -]{0,512}$/i;

/**
 * The body and the transport of one message. The bytes are those that came, except that what is meant for this gateway
 * is taken off: a requestState of its own, and the name of a task. Throws `bad_rpc`.
 */
export function takeMessage(
  message: JsonObject,
  bytes: Uint8Array,
  headers: HeaderList,
): { readonly body: ActionBody; readonly transport: RpcTransport } {
  const params = isJsonObject(message.params) ? message.params : undefined;
  const meta = isJsonObject(params?._meta) ? params._meta : undefined;
  checkUnbound(message.id, meta);
  const { progressToken } = meta ?? {};
  const ownState =
    typeof params?.requestState === 'string' && params.requestState.startsWith(REQUEST_STATE_PREFIX)
      ? params.requestState
      : undefined;
  const namedTask = meta?.[TASK_KEY];
  if (!isAbsent(namedTask) && typeof namedTask !== 'string') throw bad(`The ${TASK_KEY} in _meta is not a text.`);
  const own = { ...(ownState !== undefined && { state: true }), ...(typeof namedTask === 'string' && { task: true }) };
  const kept = withoutOwn(message, own);
  const sent = own.state || own.task ? withoutOwnBytes(bytes, own) : bytes;
  const stateless = isStateless(headers, meta);
  const task = taskForm(kept, meta, headers, stateless);
  return {
    body: bodyOf(kept, sent),
    transport: {
      stateless,
      streams: header(headers, 'accept')?.includes('text/event-stream') === true,
      continues: !isAbsent(params?.inputResponses) || (!isAbsent(params?.requestState) && ownState === undefined),
      ...(typeof progressToken === 'string' || typeof progressToken === 'number' ? { progressToken } : {}),
      ...(ownState !== undefined && { requestState: ownState }),
      ...(typeof namedTask === 'string' && { namedTask }),
      ...(task !== undefined && { task }),
      ...(task === 'core' && { withoutTask: withoutTask(kept, sent) }),
    },
  };
}

/** The bytes of a message as they were held, with what an approval binds of them. Throws `bad_json`, `bad_rpc`. */
export function heldMessageBody(bytes: Uint8Array): ActionBody {
  const message = parseStrictJson(bytes);
  if (!isJsonObject(message)) throw bad('The body is not a JSON-RPC message.');
  return bodyOf(message, bytes);
}

function bodyOf(message: JsonObject, bytes: Uint8Array): ActionBody {
  return { bytes, digest: sha256(bytes), identity: identityOf(message) };
}

function withoutTask(message: JsonObject, bytes: Uint8Array): ActionBody {
  const params = isJsonObject(message.params) ? message.params : undefined;
  return bodyOf({ ...message, params: without(params, 'task') }, withoutParam(bytes, 'task'));
}

/** What of a message is meant for the gateway alone. */
interface Own {
  readonly state?: boolean;
  readonly task?: boolean;
}

function withoutOwn(message: JsonObject, { state, task }: Own): JsonObject {
  if ((!state && !task) || !isJsonObject(message.params)) return message;
  const params = state ? without(message.params, 'requestState') : message.params;
  const meta = task && isJsonObject(params._meta) ? { _meta: without(params._meta, TASK_KEY) } : {};
  return { ...message, params: { ...params, ...meta } };
}

/** The text of a message that was parsed strictly, without what is the gateway's own and otherwise as it is. */
function withoutOwnBytes(bytes: Uint8Array, { state, task }: Own): Uint8Array {
  const message = parseWithSource(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'));
  if (!isJsonObject(message) || !isJsonObject(message.params)) return bytes;
  const { _meta: meta } = message.params;
  const params = edited(message.params, {
    ...(state && { requestState: undefined }),
    ...(task && isJsonObject(meta) && { _meta: edited(meta, { [TASK_KEY]: undefined }) }),
  });
  return Buffer.from(writeJson(edited(message, { params })));
}

/** The text of a message that was parsed strictly, without one of its params and otherwise as it is. */
function withoutParam(bytes: Uint8Array, name: string): Uint8Array {
  const message = parseWithSource(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'));
  if (!isJsonObject(message) || !isJsonObject(message.params)) return bytes;
  return Buffer.from(writeJson(edited(message, { params: edited(message.params, { [name]: undefined }) })));
}

/**
 * In which form the client takes a task for an answer: `params.task` of a tools/call (MCP 2025-11-25, tasks), or the
 * extension that the message declares (io.modelcontextprotocol/tasks, capability negotiation). Throws `bad_rpc` for a
 * `task` that is none.
 */
function taskForm(
  message: JsonObject,
  meta: JsonObject | undefined,
  headers: HeaderList,
  stateless: boolean,
): TaskForm | undefined {
  if (stateless) {
    const capabilities = meta?.[CAPABILITIES_KEY];
    const extensions = isJsonObject(capabilities) ? capabilities.extensions : undefined;
    return isJsonObject(extensions) && isJsonObject(extensions[TASKS_EXTENSION]) ? 'extension' : undefined;
  }
  const task = isJsonObject(message.params) ? message.params.task : undefined;
  if (
    message.method !== 'tools/call' ||
    isAbsent(task) ||
    (header(headers, 'mcp-protocol-version') ?? '') < TASKS_SINCE
  )
    return undefined;
  if (!isJsonObject(task)) throw bad('The task of the tools/call message is not an object.');
  return 'core';
}

/**
 * SHA-256 over `countersign/mcp-message/v1` and the message without id, `_meta.progressToken`, `_meta.traceparent` and
 * `_meta.tracestate`.
 */
function identityOf(message: JsonObject): string {
  const { id, params, ...rest } = message;
  // A notification is not a request that has lost its number.
  const numbered = !isAbsent(id);
  if (!isJsonObject(params)) return canonicalDigest('countersign/mcp-message/v1', { ...rest, numbered });
  const meta = isJsonObject(params._meta)
    ? without(params._meta, 'progressToken', 'traceparent', 'tracestate')
    : undefined;
  const bound =
    meta === undefined ? params : { ...without(params, '_meta'), ...(Object.keys(meta).length > 0 && { _meta: meta }) };
  return canonicalDigest('countersign/mcp-message/v1', { ...rest, numbered, params: bound });
}

function checkUnbound(id: Json | undefined, meta: JsonObject | undefined): void {
  if (typeof id === 'string' && id.length > LONGEST_TOKEN) throw bad('The id of the JSON-RPC message is too long.');
  if (meta === undefined) return;
  const { progressToken, traceparent, tracestate } = meta;
  const plain =
    typeof progressToken === 'string' ? progressToken.length <= LONGEST_TOKEN : Number.isSafeInteger(progressToken);
  if (!isAbsent(progressToken) && !plain) throw bad('The progressToken is neither a short string nor an integer.');
  if (!isAbsent(traceparent) && !(typeof traceparent === 'string' && TRACEPARENT.test(traceparent)))
    throw bad('The traceparent in _meta is malformed.');
  if (!isAbsent(tracestate) && !(typeof tracestate === 'string' && TRACESTATE.test(tracestate)))
    throw bad('The tracestate in _meta is malformed.');
}

function isStateless(headers: HeaderList, meta: JsonObject | undefined): boolean {
  const version = meta?.[VERSION_KEY] ?? header(headers, 'mcp-protocol-version');
  return typeof version === 'string' && /^\d{4}-\d{2}-\d{2}$/.test(version) && version >= STATELESS_SINCE;
}

function without(object: JsonObject | undefined, ...names: readonly string[]): JsonObject {
  return Object.fromEntries(Object.entries(object ?? {}).filter(([name]) => !names.includes(name)));
}

function bad(detail: string): GatewayError {
  return new GatewayError('bad_rpc', detail);
}
