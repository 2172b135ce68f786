// MCP calls (Streamable HTTP, revisions 2025-11-25 and 2026-07-28) as actions: one JSON-RPC 2.0 message per POST.
// Trusts receiveRequest for framing. Refuses batches, other spellings of known methods and members, Mcp-* fields that
// disagree with the body, and browsers' origins that are not on the list.

import { setImmediate as othersTurn } from 'node:timers/promises';
import type { Action, McpMessage } from '../domain/action.ts';
import { type HeaderList, header } from '../domain/headers.ts';
import { isJsonObject, type Json, type JsonObject } from '../domain/json.ts';
import { decodeField } from '../domain/mcp-field.ts';
import type { InboundRequest } from '../domain/request.ts';
import { parseStrictJson, refuseTwins } from '../domain/strict-json.ts';
import { GatewayError } from '../errors.ts';
import { type ClassifyLimits, LARGE_BYTES } from './http.ts';
import { checkMembers } from './mcp-members.ts';
import { takeMessage } from './mcp-message.ts';
import { mediaKind } from './media.ts';
import { isAbsent, type RpcMessage, readMessage } from './rpc.ts';
import { outline, type UpstreamDescriptor } from './target.ts';

/**
 * POST: the message's method, id, tool and arguments; for methods other than `tools/call`, `args` are the params, and
 * for a response they are the message. GET (event stream) and DELETE (end of session) have no message. Throws
 * `not_found` for a path below the endpoint, `method_not_allowed`, `denied` for an Origin that is not allowed,
 * `unsupported_media_type`, `bad_json`, `bad_rpc`, `bad_request`, and what reading the body throws.
 */
export async function classifyMcp(
  request: InboundRequest,
  upstream: UpstreamDescriptor,
  limits: ClassifyLimits,
): Promise<Action> {
  if (request.path !== '/')
    throw new GatewayError('not_found', 'An MCP upstream has one endpoint, and this path is below it.');
  checkOrigin(request.headers, upstream.allowedOrigins ?? []);
  const base = outline(request, upstream);
  if (request.method === 'GET' || request.method === 'DELETE') {
    if (!request.body.empty)
      throw new GatewayError('bad_request', 'A GET or DELETE on an MCP endpoint carries a body.');
    return { ...base, streamed: false };
  }
  if (request.method !== 'POST')
    throw new GatewayError('method_not_allowed', 'An MCP endpoint takes POST, GET and DELETE.');
  if (request.body.empty) throw new GatewayError('bad_rpc', 'The request has no JSON-RPC message.');
  if (mediaKind(request.headers) !== 'json')
    throw new GatewayError('unsupported_media_type', 'A JSON-RPC message has to be application/json.');
  const bytes = await request.body.buffer(limits.inspectedBodyBytes);
  const parsed = parseStrictJson(bytes);
  const message = readMessage(parsed);
  if (message.method !== undefined && message.params !== undefined) checkMembers(message.params);
  refuseTwins(parsed);
  const large = bytes.byteLength > LARGE_BYTES;
  if (large) await othersTurn();
  const contentType = header(request.headers, 'content-type') ?? 'application/json';
  const { body, transport } = takeMessage(parsed as JsonObject, bytes, request.headers);
  if (large) await othersTurn();
  const { message: said, ...called } = described(message, request.headers);
  return { ...base, contentType, ...called, mcp: { ...said, ...transport }, body, streamed: false };
}

/** MCP 2025-11-25, transports, "Security Warning": a server must look at Origin, against DNS rebinding. */
function checkOrigin(headers: HeaderList, allowed: readonly string[]): void {
  const origin = header(headers, 'origin');
  if (origin !== undefined && !allowed.includes(origin))
    throw new GatewayError('denied', 'Web pages of this origin may not call MCP tools here.');
}

type Described = Pick<Action, 'tool' | 'args'> & { readonly message: Pick<McpMessage, 'method' | 'id'> };

function described(message: RpcMessage, headers: HeaderList): Described {
  const id = message.id === undefined ? {} : { id: message.id };
  if (message.method === undefined) {
    checkAgreement(headers, undefined, undefined, undefined);
    return { message: id, args: message.whole };
  }
  const { method, params } = message;
  // A server might run a request that expects no answer, and nobody could be told that it was held.
  if (method.startsWith('notifications/') !== (message.id === undefined))
    throw bad('Requests have an id, and notifications have none.');
  checkAgreement(headers, method, params, namedBy(method, params));
  if (method !== 'tools/call') return { message: { ...id, method }, ...(params === undefined ? {} : { args: params }) };
  const { tool, args } = readToolCall(params);
  return { message: { ...id, method }, tool, args };
}

function readToolCall(params: JsonObject | undefined): { tool: string; args: JsonObject } {
  if (params === undefined) throw bad('The tools/call message has no params.');
  const { name } = params;
  const given = params.arguments ?? {};
  if (typeof name !== 'string' || name === '') throw bad('The tools/call message names no tool.');
  if (!isJsonObject(given)) throw bad('The arguments of the tools/call message are not an object.');
  return { tool: name, args: given };
}

/** They name their task (io.modelcontextprotocol/tasks, routing headers). */
const TASK_METHODS: ReadonlySet<string> = new Set(['tasks/get', 'tasks/result', 'tasks/update', 'tasks/cancel']);

/** What `Mcp-Name` repeats (MCP 2026-07-28, Streamable HTTP, standard request headers). */
function namedBy(method: string, params: JsonObject | undefined): Json | undefined {
  if (method === 'tools/call' || method === 'prompts/get') return params?.name;
  if (method === 'resources/read') return params?.uri;
  if (TASK_METHODS.has(method)) return params?.taskId;
  return undefined;
}

/** A server may route by these fields, so they have to say what the body says wherever they are present. */
function checkAgreement(
  headers: HeaderList,
  method: string | undefined,
  params: JsonObject | undefined,
  name: Json | undefined,
): void {
  const claimedMethod = header(headers, 'mcp-method');
  if (claimedMethod !== undefined && claimedMethod !== method) throw bad('Mcp-Method and the message disagree.');
  const claimedName = header(headers, 'mcp-name');
  if (claimedName !== undefined && (typeof name !== 'string' || decodeField(claimedName) !== name))
    throw bad('Mcp-Name and the message disagree.');
  const claimedVersion = header(headers, 'mcp-protocol-version');
  const meta = params?._meta;
  const version = isJsonObject(meta) ? meta['io.modelcontextprotocol/protocolVersion'] : undefined;
  if (claimedVersion !== undefined && !isAbsent(version) && claimedVersion !== version)
    throw bad('Mcp-Protocol-Version and the message disagree.');
}

function bad(detail: string): GatewayError {
  return new GatewayError('bad_rpc', detail);
}
