// Finds the server that a message to a shared mount is for, and puts the message into that server's words: its tool's
// own name, its resource's own URI, its request's own number. The result is an ordinary message for an ordinary mount,
// which reads it again as strictly as any. Trusts nothing: the message has passed the strict reading first. A message
// that names no server stays with the mount.

import type { Action } from '../../domain/action.ts';
import { type HeaderList, header, withoutField } from '../../domain/headers.ts';
import { isJsonObject, type JsonObject } from '../../domain/json.ts';
import { edited, parseWithSource, writeJson } from '../../domain/json-source.ts';
import type { Routed } from '../../domain/mount.ts';
import type { Principal } from '../../domain/principal.ts';
import type { InboundRequest, RequestBody } from '../../domain/request.ts';
import { readAgentId, readAgentName, readAgentUri, sharedServerName } from '../../domain/server-names.ts';
import { GatewayError } from '../../errors.ts';
import { lastPlace } from './events.ts';
import type { SharedSessions } from './session.ts';

/** A shared mount as its requests are routed. */
export interface RoutedMount {
  readonly name: string;
  readonly servers: readonly string[];
  /** The strict reading of a request to the mount. */
  read(request: InboundRequest): Action | Promise<Action>;
}

export type RouteShared = (mount: RoutedMount, request: InboundRequest, principal: Principal) => Promise<Routed>;

export function createSharedRoute(sessions: SharedSessions): RouteShared {
  return async (mount, arrived, principal) => {
    const copy: InboundRequest = { ...arrived, body: readTwice(arrived.body) };
    const action = await mount.read(copy);
    const id = header(arrived.headers, 'mcp-session-id');
    const session = needsSession(action) ? await sessions.open(principal, mount.name, sessionId(id)) : undefined;
    const to = action.method === 'POST' ? await addressee(action, copy) : resumed(action, arrived.headers);
    const known = to !== undefined && mount.servers.includes(to.server);
    const headers = withSession(known ? to.headers : arrived.headers, session?.nonce);
    const request: InboundRequest = { ...copy, headers, ...(known && to.body && { body: to.body }) };
    if (session !== undefined) sessions.bind(request, session);
    return known ? { request, mount: sharedServerName(mount.name, to.server) } : { request };
  };
}

/** Since 2026-07-28 there are no sessions; before, initialize opens one. */
function needsSession({ mcp }: Action): boolean {
  return mcp?.stateless !== true && mcp?.method !== 'initialize';
}

function sessionId(id: string | undefined): string {
  if (id === undefined)
    throw new GatewayError(
      'bad_request',
      'Several servers share this mount: open a session with initialize first, and send its Mcp-Session-Id.',
    );
  return id;
}

/**
 * Replaces the agent's sealed session id by its nonce: short, the same in every request of the session, and never sent
 * upstream.
 */
function withSession(headers: HeaderList, nonce: string | undefined): HeaderList {
  const others = withoutField(headers, 'mcp-session-id');
  return nonce === undefined ? others : [...others, 'mcp-session-id', nonce];
}

/** A body that can be read twice. The first reading sets the limit. */
function readTwice(body: RequestBody): RequestBody {
  let bytes: Promise<Uint8Array> | undefined;
  return {
    ...body,
    buffer(limit) {
      bytes ??= body.buffer(limit);
      return bytes;
    },
  };
}

export function bodyOf(bytes: Uint8Array): RequestBody {
  return {
    empty: false,
    length: bytes.byteLength,
    buffer: () => Promise.resolve(bytes),
    async *stream() {
      yield bytes;
    },
  };
}

interface Addressee {
  readonly server: string;
  readonly headers: HeaderList;
  readonly body?: RequestBody;
}

async function addressee(action: Action, request: InboundRequest): Promise<Addressee | undefined> {
  // After the strict reading: these bytes are one JSON object without ambiguity.
  const message = parseWithSource(Buffer.from(await request.body.buffer(0)).toString('utf8')) as JsonObject;
  const put = putToServer(action.mcp?.method, message);
  if (put === undefined) return undefined;
  const name = header(request.headers, 'mcp-name');
  const headers =
    name === undefined || put.name === undefined
      ? request.headers
      : [...withoutField(request.headers, 'mcp-name'), 'mcp-name', encodeField(put.name)];
  return { server: put.server, headers, body: bodyOf(Buffer.from(writeJson(put.message))) };
}

/** A broken stream continues at one server if the last event that the agent saw came in an answer of that server. */
function resumed({ method }: Action, headers: HeaderList): Addressee | undefined {
  const place = method === 'GET' ? lastPlace(headers) : undefined;
  return place?.of === 'answer' ? { server: place.server, headers } : undefined;
}

interface Put {
  readonly server: string;
  readonly message: JsonObject;
  /** What Mcp-Name repeats. */
  readonly name?: string;
}

/** The message in the words of the server that it names; undefined when it names none. */
export function putToServer(method: string | undefined, message: JsonObject): Put | undefined {
  if (method === undefined) {
    const answered = readAgentId(message.id);
    return answered && { server: answered.server, message: edited(message, { id: answered.own }) };
  }
  const params = isJsonObject(message.params) ? withoutTasks(message.params) : {};
  // A task id belongs to one server, but its client would ask the mount for it.
  if (params.task !== undefined && params.task !== null) return undefined;
  const inParams = (named: Named | undefined, change: (own: string) => JsonObject): Put | undefined =>
    named && {
      server: named.server,
      name: named.own,
      message: edited(message, { params: edited(params, change(named.own)) }),
    };
  switch (method) {
    case 'tools/call':
    case 'prompts/get':
      return inParams(readText(params.name, readAgentName), (name) => ({ name }));
    case 'resources/read':
    case 'resources/subscribe':
    case 'resources/unsubscribe':
      return inParams(readText(params.uri, readAgentUri), (uri) => ({ uri }));
    case 'completion/complete': {
      const ref = isJsonObject(params.ref) ? params.ref : {};
      if (ref.type === 'ref/prompt')
        return inParams(readText(ref.name, readAgentName), (name) => ({ ref: edited(ref, { name }) }));
      return ref.type === 'ref/resource'
        ? inParams(readText(ref.uri, readAgentUri), (uri) => ({ ref: edited(ref, { uri }) }))
        : undefined;
    }
    case 'notifications/progress': {
      const token = readAgentId(params.progressToken);
      return (
        token && {
          server: token.server,
          message: edited(message, { params: edited(params, { progressToken: token.own }) }),
        }
      );
    }
    default:
      return undefined;
  }
}

const CLIENT_CAPABILITIES = 'io.modelcontextprotocol/clientCapabilities';
const TASKS = 'io.modelcontextprotocol/tasks';

/** MCP 2026-07-28: a server makes a task of a call only for a client that says that it can follow one. */
function withoutTasks(params: JsonObject): JsonObject {
  const meta = isJsonObject(params._meta) ? params._meta : {};
  const capabilities = meta[CLIENT_CAPABILITIES];
  if (
    !isJsonObject(capabilities) ||
    !isJsonObject(capabilities.extensions) ||
    !Object.hasOwn(capabilities.extensions, TASKS)
  )
    return params;
  const extensions = edited(capabilities.extensions, { [TASKS]: undefined });
  return edited(params, { _meta: edited(meta, { [CLIENT_CAPABILITIES]: edited(capabilities, { extensions }) }) });
}

interface Named {
  readonly server: string;
  readonly own: string;
}

const readText = (value: unknown, read: (text: string) => Named | undefined): Named | undefined =>
  typeof value === 'string' ? read(value) : undefined;

/** MCP 2026-07-28, value encoding: what a field cannot hold as it is comes as base64 over UTF-8. */
function encodeField(name: string): string {
  const plain = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(name) && !name.startsWith('=?');
  return plain ? name : `=?base64?${Buffer.from(name).toString('base64')}?=`;
}
