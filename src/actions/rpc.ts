// One JSON-RPC 2.0 message, taken strictly: exactly the members of the specification, in their exact spelling. An
// optional member that is null is an absent one: serialisers write it for a value that is not there. Trusts the JSON to
// be parsed strictly. Refuses batches, and what a lenient server could read as another message: Go's encoding/json, for
// one, takes `Method` for `method`.

import type { Json, JsonObject } from '../domain/json.ts';
import { foldKey } from '../domain/normal-forms/keys.ts';
import { GatewayError } from '../errors.ts';

export type RpcMessage =
  /** A request, or a notification when it has no id. */
  | { readonly method: string; readonly params?: JsonObject; readonly id?: string | number }
  /** The answer to a request of the server's. */
  | { readonly method?: undefined; readonly id?: string | number; readonly whole: JsonObject };

const MEMBERS: ReadonlySet<string> = new Set(['jsonrpc', 'id', 'method', 'params', 'result', 'error']);

/** The methods of MCP 2025-11-25 and 2026-07-28 that clients send; rules and agents write them in exactly this way. */
const METHODS = [
  'initialize ping tools/call tools/list prompts/get prompts/list resources/list resources/read ' +
    'resources/subscribe resources/unsubscribe',
  'resources/templates/list completion/complete logging/setLevel server/discover subscriptions/listen ' +
    'tasks/get tasks/result tasks/list tasks/cancel',
  'tasks/update notifications/initialized notifications/cancelled notifications/progress ' +
    'notifications/roots/list_changed notifications/tasks/status',
]
  .join(' ')
  .split(' ');

const SPELLINGS: ReadonlyMap<string, string> = new Map(METHODS.map((method) => [method.toLowerCase(), method]));

/** Throws `bad_rpc` for anything but one well-formed request, notification or response. */
export function readMessage(value: Json): RpcMessage {
  if (Array.isArray(value)) throw bad('JSON-RPC batches are not accepted; send each message by itself.');
  if (typeof value !== 'object' || value === null) throw bad('The body is not a JSON-RPC message.');
  const message = value as JsonObject;
  for (const member of Object.keys(message))
    if (!MEMBERS.has(member)) throw bad('The JSON-RPC message has a member that JSON-RPC 2.0 does not know.');
  if (message.jsonrpc !== '2.0') throw bad('The message is not JSON-RPC 2.0.');
  const id = readId(message);
  if (isAbsent(message.method)) return { ...id, whole: readResponse(message) };
  if (!isAbsent(message.result) || !isAbsent(message.error))
    throw bad('The JSON-RPC message is both a request and a response.');
  return { ...id, method: readMethod(message.method), ...readParams(message) };
}

function readId(message: JsonObject): { id?: string | number } {
  const { id } = message;
  if (isAbsent(id)) return {};
  if (typeof id === 'string' || (typeof id === 'number' && Number.isSafeInteger(id))) return { id };
  throw bad('The id of the JSON-RPC message is neither a string nor an integer.');
}

function readMethod(method: Json | undefined): string {
  if (typeof method !== 'string' || !/^[A-Za-z0-9_$./-]{1,128}$/.test(method))
    throw bad('The JSON-RPC method is not a plain name.');
  const spelling = SPELLINGS.get(method.toLowerCase());
  if (spelling !== undefined && spelling !== method)
    throw bad('The JSON-RPC method is written in another case than the specification writes it.');
  return method;
}

function readParams(message: JsonObject): { params?: JsonObject } {
  const { params } = message;
  if (isAbsent(params)) return {};
  if (typeof params !== 'object' || Array.isArray(params))
    throw bad('The params of the JSON-RPC message are not an object.');
  return { params: params as JsonObject };
}

function readResponse(message: JsonObject): JsonObject {
  const failed = !isAbsent(message.error);
  // A result may be null where there is no error.
  const answered = failed ? !isAbsent(message.result) : message.result !== undefined;
  if (failed === answered || !isAbsent(message.params))
    throw bad('The body is neither a JSON-RPC request nor a response.');
  if (isAbsent(message.id) && !failed) throw bad('The JSON-RPC response has no id.');
  return message;
}

/** Members by their folded form (domain/normal-forms/keys.ts). */
export type Spellings = ReadonlyMap<string, string>;

export const spellings = (members: string): Spellings =>
  new Map(members.split(' ').map((member) => [foldKey(member), member]));

/**
 * Refuses members that some server takes for one of the known ones, and that are not written as the specification
 * writes them. Throws `bad_rpc`.
 */
export function checkSpelling(object: JsonObject, known: Spellings): void {
  for (const member of Object.keys(object)) {
    if ((known.get(foldKey(member)) ?? member) !== member)
      throw bad(
        'A member of the message is written in another way than the specification writes it, and some ' +
          'servers would take it for that one.',
      );
  }
}

/** Absent, or null, which says the same of an optional member. */
export const isAbsent = (value: Json | undefined): value is null | undefined => value === undefined || value === null;

function bad(detail: string): GatewayError {
  return new GatewayError('bad_rpc', detail);
}
