// What a server asks of the agent's side (sampling, elicitation, roots). Policy decides on such a request as on the
// agent's calls, under the method's own name. A request that no rule allows never reaches the agent, and the server is
// told so. Such a request is never held. Trusts nothing of the upstream; every request is recorded in the outcome of
// its call.

import type { Action, McpMessage } from '../domain/action.ts';
import { type HeaderList, keepFields } from '../domain/headers.ts';
import { isJsonObject, type JsonObject } from '../domain/json.ts';
import type { Armed } from '../domain/stages.ts';
import type { Forwarder, Outgoing, ResponseSink } from '../domain/upstream.ts';

/** How many requests of one answer are recorded, and answered when refused. */
const MOST_RECORDED = 100;
/** JSON-RPC: the agent's side does not offer it (MCP uses -32601 where a capability is missing). */
const NOT_OFFERED = -32601;

export interface ServerRequests {
  /** Whether a rule lets the agent see the request. Records it in any case. */
  passes(method: string, params: JsonObject): boolean;
  /** Answers the server's request in the agent's place. */
  refuse(id: string | number, method: string): void;
}

export interface ServerRequestDependencies {
  readonly forwarder: Pick<Forwarder, 'send'>;
  /** `armed.action` with another method and other arguments, judged by the policy in force. */
  allows(armed: Armed, action: Action): boolean;
  hash(bytes: Uint8Array): string;
  /** The session fields of the server, where they are not the agent's. */
  readonly sessionFields: HeaderList;
}

export function serverRequests(
  { forwarder, allows, hash, sessionFields }: ServerRequestDependencies,
  armed: Armed,
): ServerRequests {
  const { call } = armed;
  let refused = 0;
  return {
    passes(method, params) {
      const { tool: _tool, body: _body, mcp, ...rest } = armed.action;
      const { stateless = false, streams = false, continues = false } = mcp ?? {};
      const asked: McpMessage = { method, fromServer: true, stateless, streams, continues };
      const passed = allows(armed, { ...rest, mcp: asked, args: params });
      call.serverRequests ??= [];
      if (call.serverRequests.length < MOST_RECORDED)
        call.serverRequests.push({ method: method.slice(0, 128), passed });
      return passed;
    },
    refuse(id, method) {
      if (++refused > MOST_RECORDED) return;
      const error = {
        code: NOT_OFFERED,
        message: `The gateway in front of this client does not let ${method.slice(0, 128)} through.`,
      };
      void forwarder.send(reply(armed, { jsonrpc: '2.0', id, error }, hash, sessionFields), NOWHERE).catch(() => {
        // Then the server gets no answer, and its own timeout ends its wait.
      });
    },
  };
}

/** A message from the gateway itself to the server, in the session of the call and with the call's credential. */
function reply(
  { action, request, credential }: Armed,
  message: JsonObject,
  hash: (bytes: Uint8Array) => string,
  requestHeaders: HeaderList,
): Outgoing {
  const bytes = Buffer.from(JSON.stringify(message));
  const dropped = /^(accept|content-type|last-event-id|idempotency-key|mcp-method|mcp-name)$/;
  const boundHeaders = keepFields(action.boundHeaders, (name) => !dropped.test(name));
  return {
    request: { ...request, onClosed: () => () => {} },
    action: {
      ...action,
      method: 'POST',
      contentType: 'application/json',
      boundHeaders: [...boundHeaders, 'accept', 'application/json, text/event-stream'],
      body: { bytes, digest: hash(bytes) },
      streamed: false,
    },
    ...(credential && { credential }),
    boundHeadersOnly: true,
    requestHeaders,
    responseHeaders: [],
  };
}

const NOWHERE: ResponseSink = {
  started: false,
  head() {},
  write: () => true,
  onDrain() {},
  whole() {},
  end() {},
  abort() {},
};

/** The requests inside an InputRequiredResult (MCP 2026-07-28), by their keys. */
export function inputRequestsOf(
  result: JsonObject,
): readonly { readonly method: string; readonly params: JsonObject }[] {
  if (result.resultType !== 'input_required' || !isJsonObject(result.inputRequests)) return [];
  return Object.values(result.inputRequests).map((request) => {
    const method = isJsonObject(request) && typeof request.method === 'string' ? request.method : '';
    return { method, params: isJsonObject(request) && isJsonObject(request.params) ? request.params : {} };
  });
}
