// How an MCP client is told about a refusal. A tool call gets a tool result that a language model can read; any other
// request gets a JSON-RPC error. A bare HTTP error would reach the model as "connection failed", and the model would
// look for another way.

import type { Action, McpMessage } from '../domain/action.ts';
import type { Json, JsonObject } from '../domain/json.ts';
import { type AnswerTo, answerTo, tell } from '../domain/telling.ts';
import { type ErrorCode, GatewayError } from '../errors.ts';

/** Where an agent looks a hold up, below the gateway's own URL. */
const HOLD_BASE = '/countersign/v1/holds/';

interface McpAnswer {
  /** 400 only where the protocol demands it. */
  readonly status: 200 | 400;
  readonly contentType: 'application/json';
  readonly body: string;
}

/** The JSON-RPC reservation for implementation-defined server errors ends here (JSON-RPC 2.0 section 5.1). */
const SERVER_ERROR = -32000;
const STANDARD: Partial<Record<ErrorCode, number>> = {
  bad_json: -32700,
  bad_rpc: -32600,
  header_mismatch: -32020,
  hold_not_found: -32602,
  hold_closed: -32602,
  internal: -32603,
};

/**
 * The refusal as the answer to one MCP request. Undefined for what is no JSON-RPC request (a GET, a DELETE, a
 * notification, a response, or a message that could not be read): there is no id to answer, so the caller sends the
 * HTTP problem document. `requestState` seals a state for a hold; without it, the text asks the client to come again.
 * Never 202: that would say the notification was accepted.
 */
export function renderMcpRefusal(
  error: GatewayError,
  action: RefusedRequest,
  requestState?: (holdId: string) => string,
): McpAnswer | undefined {
  const message = refusalMessage(error, action, requestState);
  return (
    message && {
      status: error.code === 'header_mismatch' ? 400 : 200,
      contentType: 'application/json',
      body: JSON.stringify(message),
    }
  );
}

type RefusedRequest = Pick<Action, 'mcp'>;

/** The message of `renderMcpRefusal`. */
export function refusalMessage(
  error: GatewayError,
  action: RefusedRequest,
  requestState?: (holdId: string) => string,
): JsonObject | undefined {
  const { mcp } = action;
  // Names in parentheses stand for responses.
  if (mcp?.method === undefined || mcp.id === undefined || mcp.method.startsWith('(')) return undefined;
  const to = answerTo(action);
  const outcome =
    outcomeOf(error, mcp, requestState) ??
    // A client that asked for a task cannot read a tool's result.
    (mcp.method === 'tools/call' && mcp.task !== 'core' && error.code !== 'header_mismatch'
      ? { result: toolResult(error, to, mcp.stateless) }
      : { error: rpcError(error, to) });
  return { jsonrpc: '2.0', id: mcp.id, ...outcome };
}

/** MCP 2026-07-28, multi round-trip requests: the methods whose results may ask the client to come again. */
const ROUND_TRIP: ReadonlySet<string> = new Set(['tools/call', 'prompts/get', 'resources/read']);

/** A pending call of a client that comes again by itself: a result that holds a state and asks for nothing. */
function outcomeOf(
  error: GatewayError,
  { method = '', stateless, continues }: McpMessage,
  requestState?: (holdId: string) => string,
) {
  const { holdId } = error.details;
  // A client in the middle of the upstream's own round trip would lose the state that it brought.
  if (error.code !== 'approval_pending' || holdId === undefined || requestState === undefined) return undefined;
  if (!stateless || continues || !ROUND_TRIP.has(method)) return undefined;
  return { result: { resultType: 'input_required', requestState: requestState(holdId), _meta: meta(error) } };
}

/** The refusal as the result of the tool that was called; `stateless` for protocol 2026-07-28. */
export function toolResult(error: GatewayError, to: AnswerTo, stateless: boolean | undefined): JsonObject {
  return {
    ...(stateless && { resultType: 'complete' }),
    content: [{ type: 'text', text: tell(error, to) }],
    isError: true,
    _meta: meta(error),
  };
}

/** The same facts for programs; `countersign/retryAfter` is in seconds. */
export function meta({ code, details }: GatewayError): JsonObject {
  return {
    'countersign/code': code,
    ...(details.holdId === undefined
      ? {}
      : { 'countersign/hold': details.holdId, 'countersign/status': HOLD_BASE + details.holdId }),
    ...(details.retryAfter === undefined ? {} : { 'countersign/retryAfter': details.retryAfter }),
    ...(details.members?.because === undefined ? {} : { 'countersign/because': details.members.because as Json }),
  };
}

/** The error member of a JSON-RPC answer. */
export function rpcError(error: GatewayError, to: AnswerTo): JsonObject {
  const { code, details } = error;
  const data = {
    code,
    ...(details.holdId === undefined ? {} : { hold: details.holdId, status: HOLD_BASE + details.holdId }),
    ...(details.retryAfter === undefined ? {} : { retryAfter: details.retryAfter }),
    ...(details.members?.because === undefined ? {} : { because: details.members.because as Json }),
  };
  return { code: STANDARD[code] ?? SERVER_ERROR, message: tell(error, to), data };
}

/** The message for an HTTP answer where a JSON-RPC answer belongs. */
export function noMessage(status: number): GatewayError {
  return new GatewayError(
    'upstream_protocol',
    `The upstream answered with HTTP status ${status} and no JSON-RPC message.`,
    { members: { status } },
  );
}
