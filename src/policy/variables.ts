// What a condition sees of a call: `agent`, `request`, `tool`, `args`, `task`, `approval`, `now`. Everything is read lazily, so a
// call pays only for what its conditions read. What is not there stays undefined, and reading it is an evaluation error
// (has() tells). Maps are Maps, and CEL reads JSON by own keys only: no name reaches a JavaScript prototype.

import { Duration } from '@marcbachmann/cel-js/evaluator';
import type { DecisionInput } from '../domain/decision.ts';
import type { HeaderList } from '../domain/headers.ts';
import type { Json } from '../domain/json.ts';
import { agentName, readMember } from '../domain/server-names.ts';
import type { TaskCall } from '../domain/task.ts';
import { NO_PARAMS, type PathParams } from './paths.ts';

/** One value per name; a name that came more than once has a list instead, and a condition that reads it fails to evaluate. */
type Fields = ReadonlyMap<string, string | readonly string[]>;

function addField(fields: Map<string, string | readonly string[]>, name: string, value: string): void {
  const known = fields.get(name);
  fields.set(name, known === undefined ? value : [...(typeof known === 'string' ? [known] : known), value]);
}

function readHeaders(headers: HeaderList): Fields {
  const fields = new Map<string, string | readonly string[]>();
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    if (!CREDENTIALS.has(name)) addField(fields, name, headers[i + 1] as string);
  }
  return fields;
}

/** Who calls is `agent`'s to say; its credentials are nothing that a condition could rest on. */
const CREDENTIALS: ReadonlySet<string> = new Set(['authorization', 'cookie', 'proxy-authorization']);

/** Form decoding (WHATWG URL section 5.1) with strict escapes: undefined when one is malformed. */
function readQuery(query: string | undefined): Fields | undefined {
  const fields = new Map<string, string | readonly string[]>();
  try {
    for (const pair of (query ?? '').split('&')) {
      if (pair === '') continue;
      const [name, value] = splitOnce(pair.replaceAll('+', ' '));
      addField(fields, decodeURIComponent(name), decodeURIComponent(value));
    }
    return fields;
  } catch {
    return undefined;
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
  #query: Fields | undefined;
  #headers: Fields | undefined;
  constructor(input: DecisionInput) {
    this.#input = input;
  }
  get method() {
    return this.#input.action.method;
  }
  get path() {
    return this.#input.action.path;
  }
  get query() {
    this.#query ??= readQuery(this.#input.action.query);
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
  upstream: readMember(upstream).mount,
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

/** The context object of every condition of one call. */
export class CallVariables {
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
  constructor(input: DecisionInput) {
    this.agent = new AgentView(input);
    this.request = new RequestView(input);
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
