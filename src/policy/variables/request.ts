// `request`: the HTTP message. A name that came more than once has no value, so that a condition and the upstream cannot
// read two different ones. The credentials of the agent are not to be seen.

import type { HeaderList } from '../../domain/headers.ts';
import { foldKey } from '../../domain/normal-forms/keys.ts';
import { parameterName, parametersOf } from '../../domain/normal-forms/parameters.ts';
import { readArgs } from './arguments.ts';
import { type ConditionCall, viewVariable } from './variable.ts';

class RequestView {
  readonly #call: ConditionCall;
  #query: FieldValues | undefined;
  #headers: FieldValues | undefined;
  constructor(call: ConditionCall) {
    this.#call = call;
  }
  get method() {
    return this.#call.input.action.method;
  }
  get path() {
    return this.#call.input.action.path;
  }
  get params() {
    return this.#call.params;
  }
  get upgrade() {
    return this.#call.input.action.upgrade !== undefined;
  }
  get subprotocols() {
    return this.#call.input.action.upgrade?.subprotocols ?? [];
  }
  get extensions() {
    return this.#call.input.action.upgrade?.extensions ?? [];
  }
  get query() {
    this.#query ??= readQuery(this.#call.input.action.query, this.#call.caseSensitive);
    return this.#query;
  }
  get headers() {
    this.#headers ??= readHeaders(this.#call.input.headers);
    return this.#headers;
  }
  get body() {
    return this.#call.input.action.protocol === 'http' ? readArgs(this.#call) : undefined;
  }
}

export const request = viewVariable({
  name: 'request',
  type: 'Request',
  meaning: 'the HTTP request',
  view: RequestView,
  members: {
    method: { type: 'string', meaning: 'the method, in capitals' },
    path: { type: 'string', meaning: 'the path below the mount, as the agent sent it' },
    params: { type: 'map<string, string>', meaning: 'the parameters of the rule’s own path' },
    upgrade: { type: 'bool', meaning: 'whether the request opens a WebSocket' },
    subprotocols: { type: 'list<string>', meaning: 'the WebSocket subprotocols that the agent offers' },
    extensions: { type: 'list<string>', meaning: 'the WebSocket extensions that the agent offers' },
    query: { type: 'map<string, string>', meaning: 'the query parameters, decoded' },
    headers: { type: 'map<string, string>', meaning: 'the header fields by their names in lower case' },
    body: { type: 'dyn', meaning: 'HTTP: the parsed JSON body, the same as `args`', reads: 'body' },
  },
});

/** The value of a name that came more than once: it is of no type, so a condition that reads it fails to evaluate. */
const REPEATED = Symbol('repeated');

type FieldValues = ReadonlyMap<string, string | typeof REPEATED>;

function addField(fields: Map<string, string | typeof REPEATED>, name: string, value: string): void {
  fields.set(name, fields.has(name) ? REPEATED : value);
}

function readHeaders(headers: HeaderList): FieldValues {
  const fields = new Map<string, string | typeof REPEATED>();
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    if (!CREDENTIALS.has(name)) addField(fields, name, headers[i + 1] as string);
  }
  return fields;
}

/** Fields that conditions never see: `agent` says who calls, and no condition may rest on the credential itself. */
const CREDENTIALS: ReadonlySet<string> = new Set([
  'authorization',
  'cookie',
  'proxy-authorization',
  'countersign-task-token',
  'txn-token',
]);

/** Decodes a form (WHATWG URL section 5.1). Undefined when an escape is malformed. */
function readQuery(query: string | undefined, caseSensitive: boolean): FieldValues | undefined {
  const fields = new Map<string, string | typeof REPEATED>();
  try {
    for (const pair of (query ?? '').split('&')) {
      if (pair === '') continue;
      const [name, value] = splitOnce(pair.replaceAll('+', ' '));
      addField(fields, decodeURIComponent(name), decodeURIComponent(value));
    }
    // Some servers also split at `;`: they read more parameters than these, with other values.
    if (query?.includes(';')) for (const { name } of parametersOf(query)) fields.set(name, REPEATED);
    markTwins(fields, caseSensitive);
    return fields;
  } catch {
    return undefined;
  }
}

/**
 * Takes away the value of names that some server reads as one name, and of a name that a server makes out of another
 * one (`a[]` and ` a` become `a`, `a.b` becomes `a_b`).
 */
function markTwins(fields: Map<string, string | typeof REPEATED>, caseSensitive: boolean): void {
  const seen = new Map<string, { readonly name: string; readonly changed: boolean }>();
  for (const name of [...fields.keys()]) {
    const form = parameterName(name);
    const changed = form !== foldKey(name);
    const twin = seen.get(form);
    if (twin !== undefined && (!caseSensitive || changed || twin.changed))
      for (const each of [twin.name, name]) fields.set(each, REPEATED);
    if (changed) fields.set(form, REPEATED);
    seen.set(form, { name, changed });
  }
}

function splitOnce(pair: string): [string, string] {
  const at = pair.indexOf('=');
  return at === -1 ? [pair, ''] : [pair.slice(0, at), pair.slice(at + 1)];
}
