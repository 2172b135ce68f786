// What a condition sees of a call: `agent`, `request`, `tool`, `args`, `task`, `approval`, `now`. Everything is read
// lazily, so a call pays only for what its conditions read. What is not there stays undefined, and reading it is an
// evaluation error (has() tells). Maps are Maps, and CEL reads JSON by own keys only: no name reaches a JavaScript
// prototype.

import { Duration } from '@marcbachmann/cel-js/evaluator';
import type { DecisionInput } from '../domain/decision.ts';
import type { HeaderList } from '../domain/headers.ts';
import type { Json } from '../domain/json.ts';
import { foldKey } from '../domain/normal-forms/keys.ts';
import { parameterName, parametersOf } from '../domain/normal-forms/parameters.ts';
import { agentName, readUpstreamName } from '../domain/server-names.ts';
import type { TaskCall } from '../domain/task.ts';
import { Meter } from './cel/meter.ts';
import { NO_PARAMS, type PathParams } from './paths.ts';

/**
 * Stands for the value of a name that came more than once: it is of no type, so a condition that reads it fails to
 * evaluate.
 */
const REPEATED = Symbol('repeated');

type HeaderValues = ReadonlyMap<string, string | typeof REPEATED>;

function addField(fields: Map<string, string | typeof REPEATED>, name: string, value: string): void {
  fields.set(name, fields.has(name) ? REPEATED : value);
}

function readHeaders(headers: HeaderList): HeaderValues {
  const fields = new Map<string, string | typeof REPEATED>();
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    if (!CREDENTIALS.has(name)) addField(fields, name, headers[i + 1] as string);
  }
  return fields;
}

/** Who calls is `agent`'s to say; its credentials are nothing that a condition could rest on. */
const CREDENTIALS: ReadonlySet<string> = new Set(['authorization', 'cookie', 'proxy-authorization']);

/** Form decoding (WHATWG URL section 5.1) with strict escapes: undefined when one is malformed. */
function readQuery(query: string | undefined, caseSensitive: boolean): HeaderValues | undefined {
  const fields = new Map<string, string | typeof REPEATED>();
  try {
    for (const pair of (query ?? '').split('&')) {
      if (pair === '') continue;
      const [name, value] = splitOnce(pair.replaceAll('+', ' '));
      addField(fields, decodeURIComponent(name), decodeURIComponent(value));
    }
    // Where `;` separates as well, there are more parameters than these, and other values.
    if (query?.includes(';')) for (const { name } of parametersOf(query)) fields.set(name, REPEATED);
    markTwins(fields, caseSensitive);
    return fields;
  } catch {
    return undefined;
  }
}

/**
 * Names that some server takes for one have no single value, nor has a name that it makes of another one (`a[]` and `
 * a` are `a`, `a.b` is `a_b`).
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

/** The arguments of a call: `{}` when it has no body, undefined when it has one that was not parsed. */
function readArgs({ action }: DecisionInput): Json | undefined {
  if (action.args !== undefined) return action.args;
  return action.streamed || action.body !== undefined ? undefined : {};
}

export class AgentView {
  readonly #input: DecisionInput;
  constructor(input: DecisionInput) {
    this.#input = input;
  }
  get id() {
    return this.#input.principal.id;
  }
  get issuer() {
    return this.#input.principal.issuer;
  }
  /** Empty for OIDC principals. */
  get trustDomain() {
    return this.#input.principal.trustDomain ?? '';
  }
  /** Of SPIFFE principals, and of callers whose token is bound to an X.509-SVID; else empty. */
  get spiffeId() {
    const { kind, id, spiffeId = '' } = this.#input.principal;
    return kind === 'spiffe' ? id : spiffeId;
  }
  get claims() {
    return this.#input.principal.claims;
  }
  get onBehalfOf() {
    return this.#input.principal.onBehalfOf.map(({ id, issuer, subject }) => ({ id, issuer, subject }));
  }
}

export class RequestView {
  readonly #input: DecisionInput;
  /** Set before each rule's condition runs: every rule has its own pattern. */
  params: PathParams = NO_PARAMS;
  #query: HeaderValues | undefined;
  #headers: HeaderValues | undefined;
  readonly #caseSensitive: boolean;
  constructor(input: DecisionInput, caseSensitive: boolean) {
    this.#input = input;
    this.#caseSensitive = caseSensitive;
  }
  get method() {
    return this.#input.action.method;
  }
  get path() {
    return this.#input.action.path;
  }
  /** Whether it asks for a WebSocket, and what it offers to speak over it. */
  get upgrade() {
    return this.#input.action.upgrade !== undefined;
  }
  get subprotocols() {
    return this.#input.action.upgrade?.subprotocols ?? [];
  }
  get extensions() {
    return this.#input.action.upgrade?.extensions ?? [];
  }
  get query() {
    this.#query ??= readQuery(this.#input.action.query, this.#caseSensitive);
    return this.#query;
  }
  get headers() {
    this.#headers ??= readHeaders(this.#input.headers);
    return this.#headers;
  }
  /** HTTP upstreams: the parsed JSON body, the same as `args`. */
  get body() {
    return this.#input.action.protocol === 'http' ? readArgs(this.#input) : undefined;
  }
}

export class TaskView {
  readonly #input: DecisionInput;
  #calls: readonly unknown[] | undefined;
  constructor(input: DecisionInput) {
    this.#input = input;
  }
  get id() {
    return this.#input.task?.id;
  }
  get objective() {
    return this.#input.task?.objective;
  }
  get labels() {
    return this.#input.task?.labels;
  }
  get calls() {
    if (this.#input.task === undefined) return undefined;
    this.#calls ??= this.#input.calls.map(readCall);
    return this.#calls;
  }
}

const readCall = ({ at, upstream, method, path, tool, decision, status }: TaskCall) => ({
  at: new Date(at),
  // As rules name them: the mount, and the tool as agents call it.
  upstream: readUpstreamName(upstream).mount,
  method,
  path,
  tool: tool === undefined ? '' : agentName(upstream, tool),
  decision,
  status: BigInt(status ?? 0),
});

export class ApprovalView {
  readonly #input: DecisionInput;
  constructor(input: DecisionInput) {
    this.#input = input;
  }
  get count() {
    return BigInt(this.#input.approval?.count ?? 0);
  }
  get reviewers() {
    return this.#input.approval?.reviewers ?? [];
  }
  /** Absent before a hold is approved: an age of zero would read as a fresh approval. */
  get age() {
    const approval = this.#input.approval;
    return approval === undefined ? undefined : Duration.fromMilliseconds(approval.ageMs);
  }
}

/** The types of the views, by the name that CEL knows them under: their members and what these hold. */
export const CEL_VIEWS = {
  Agent: {
    ctor: AgentView,
    fields: {
      id: 'string',
      spiffeId: 'string',
      trustDomain: 'string',
      issuer: 'string',
      claims: 'map<string, dyn>',
      onBehalfOf: 'list<map<string, string>>',
    },
  },
  Request: {
    ctor: RequestView,
    fields: {
      method: 'string',
      path: 'string',
      params: 'map<string, string>',
      upgrade: 'bool',
      subprotocols: 'list<string>',
      extensions: 'list<string>',
      query: 'map<string, string>',
      headers: 'map<string, string>',
      body: 'dyn',
    },
  },
  Task: {
    ctor: TaskView,
    fields: { id: 'string', objective: 'string', labels: 'list<string>', calls: 'list<map<string, dyn>>' },
  },
  Approval: {
    ctor: ApprovalView,
    fields: { count: 'int', reviewers: 'list<string>', age: 'google.protobuf.Duration' },
  },
};

const fieldNames = new Map<unknown, ReadonlySet<string>>(
  Object.values(CEL_VIEWS).map(({ ctor, fields }) => [ctor.prototype, new Set(Object.keys(fields))]),
);

/** The members of a view that conditions may read, or undefined for what is no view. */
export const fieldsOf = (value: object): ReadonlySet<string> | undefined =>
  fieldNames.get(Object.getPrototypeOf(value));

/** The names that stand for something in every condition. */
export const VARIABLES = {
  agent: 'Agent',
  request: 'Request',
  task: 'Task',
  approval: 'Approval',
  tool: 'string',
  args: 'dyn',
  hints: 'map<string, dyn>',
  now: 'google.protobuf.Timestamp',
} as const;

/** What every condition of one call sees, and what they may cost together. */
export class CallVariables {
  readonly meter = new Meter();
  readonly caseSensitive: boolean;
  readonly agent: AgentView;
  readonly request: RequestView;
  readonly task: TaskView;
  readonly approval: ApprovalView;
  /** Empty unless the call is an MCP `tools/call`. */
  readonly tool: string;
  readonly args: Json | undefined;
  /** The tool's annotations as its server gives them; undefined, so an evaluation error, where none are known. */
  readonly hints: Json | undefined;
  readonly #now: number;
  /** `caseSensitive`: whether the upstream tells names apart by the case of letters. */
  constructor(input: DecisionInput, caseSensitive = false) {
    this.caseSensitive = caseSensitive;
    this.agent = new AgentView(input);
    this.request = new RequestView(input, caseSensitive);
    this.task = new TaskView(input);
    this.approval = new ApprovalView(input);
    this.tool = input.action.tool === undefined ? '' : agentName(input.action.upstream, input.action.tool);
    this.args = readArgs(input);
    this.hints = input.action.hints;
    this.#now = input.now;
  }
  get now() {
    return new Date(this.#now);
  }
}
