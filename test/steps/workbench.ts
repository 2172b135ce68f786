// The pipeline's steps without a network: the real steps over real approvals, a real store, a real policy, a real broker
// and a real classification. Only the two ends are the test's: who calls, and what the upstream does.

import { randomUUID } from 'node:crypto';
import { Duplex } from 'node:stream';
import { classify } from '../../src/actions/classify.ts';
import { actionDigest, formerActionDigest } from '../../src/actions/digest.ts';
import { requestDigest } from '../../src/approvals/binding.ts';
import { answerCall } from '../../src/assembly/answer.ts';
import { decisionRecord, outcomeRecord } from '../../src/audit/records.ts';
import type { BrokerProvider } from '../../src/credentials/broker-provider.ts';
import { createSealer } from '../../src/credentials/seal.ts';
import { Call, type Subcall } from '../../src/domain/call.ts';
import type { CallFacts } from '../../src/domain/call-facts.ts';
import type { Way } from '../../src/domain/call-kind.ts';
import type { Grant, Minted } from '../../src/domain/credential.ts';
import { leftBehind } from '../../src/domain/deciding-fields.ts';
import type { HeaderList } from '../../src/domain/headers.ts';
import type { Hold } from '../../src/domain/hold.ts';
import type { Identified } from '../../src/domain/identity.ts';
import { noMetrics } from '../../src/domain/metrics.ts';
import type { SharedMount, SingleMount } from '../../src/domain/mount.ts';
import type { AnsweringHandler, ProtocolHandler } from '../../src/domain/protocol-handler.ts';
import type { InboundRequest } from '../../src/domain/request.ts';
import type { RuntimeConfig } from '../../src/domain/runtime-config.ts';
import { Secret } from '../../src/domain/secret.ts';
import type {
  Armed,
  Assessed,
  Classified,
  Cleared,
  Decided,
  Journaled,
  Received,
  Recognised,
} from '../../src/domain/stages.ts';
import type { Task } from '../../src/domain/task.ts';
import type { Span, Tracing } from '../../src/domain/trace.ts';
import type { Outgoing, ResponseSink, Sent, Upgrade } from '../../src/domain/upstream.ts';
import { createPipeline, WAYS } from '../../src/pipeline.ts';
import { compilePolicy } from '../../src/policy/policy.ts';
import type { MeterOptions, ResourceOptions, RuleOptions } from '../../src/policy/rules.ts';
import { AgentCalls } from '../../src/steps/call-slots.ts';
import { createOpenCalls, type OpenCalls } from '../../src/steps/open-calls.ts';
import { createSteps } from '../../src/steps/steps.ts';
import { Desk } from '../../src/tasks/desk.ts';
import { NOTHING_CLASSIFIED } from '../policy/inputs.ts';
import { brokerOver, type OneProviderBroker } from '../support/broker-over.ts';
import { freshGatewayTest } from '../support/gateway-test.ts';
import { approve, Bench } from '../support/holds/bench.ts';
import { GENEROUS, principalOf, requirementOf, TRACE } from '../support/holds/values.ts';

const NO_TASKS = { auto: false, offered: false, sessions: false } as const;

/** What reached the agent, in order: `200 {"ok":true}`, or `head 200`, `write ok`, `end`, `abort`. */
export interface RecordingSink extends ResponseSink {
  readonly told: readonly string[];
}

export function recordingSink(): RecordingSink {
  const told: string[] = [];
  return {
    told,
    head: (status) => void told.push(`head ${status}`),
    write: (chunk) => told.push(`write ${Buffer.from(chunk).toString()}`) > 0,
    onDrain: (callback) => callback(),
    whole: (status, _headers, body) => void told.push(`${status} ${Buffer.from(body).toString()}`),
    end: () => void told.push('end'),
    abort: () => void told.push('abort'),
    get started() {
      return told.length > 0;
    },
  };
}

export interface CallShape {
  readonly method?: string;
  /** Below the mount. */
  readonly path?: string;
  readonly mount?: string;
  readonly headers?: HeaderList;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** True when the body arrives while the call runs. */
  readonly underway?: boolean;
  readonly subcall?: Subcall;
  readonly upgrade?: Upgrade;
}

export interface OpenedCall {
  readonly call: Call;
  readonly sink: RecordingSink;
  /** The agent goes away. */
  leave(): void;
}

/** A transfer that the default rules hold, and a look that they allow. */
export const TRANSFER: CallShape = { method: 'POST', path: '/transfers', body: { amount: 5 } };
export const LOOK: CallShape = { method: 'GET', path: '/accounts' };

export const RULES: readonly RuleOptions[] = [
  { id: 'look', match: { upstream: 'ledger', methods: ['GET'] }, decide: 'allow' },
  {
    id: 'pay',
    match: { upstream: 'ledger', methods: ['POST'], path: '/transfers' },
    decide: 'hold',
    tier: 'finance',
    message: 'Ask finance.',
  },
  { id: 'drop', match: { upstream: 'ledger', methods: ['DELETE'] }, decide: 'deny', message: 'Nothing is deleted.' },
];

const { tier: _name, ...FINANCE } = requirementOf();
const TIERS = { finance: FINANCE };

/** A connection that is to become another protocol's. */
export function upgradeOf(): Upgrade {
  const socket = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
  return { socket, incoming: {}, release: () => Buffer.alloc(0) } as unknown as Upgrade;
}

/** What a span was told: `admit`, `release`, their ends, and the children with how they ended. */
function recordingTracing(spans: string[]): Tracing {
  const spanOf = (name: string, ref = TRACE.admit): Span => ({
    ref,
    child(kind) {
      spans.push(kind);
      return { ref, end: (error) => void spans.push(`${kind} ended${error === undefined ? '' : ` ${error}`}`) };
    },
    end: (facts) => void spans.push(`${name} ended${facts.error === undefined ? '' : ` ${facts.error}`}`),
  });
  return {
    admit: () => {
      spans.push('admit');
      return spanOf('admit', { ...TRACE.admit, spanId: randomUUID().replaceAll('-', '').slice(0, 16) });
    },
    held: (admit) => ({ admit: admit.ref, approval: TRACE.approval }),
    reviewed: () => TRACE.admit,
    release: () => {
      spans.push('release');
      return spanOf('release');
    },
  };
}

/** A protocol that adds nothing. */
export const NO_PROTOCOL: ProtocolHandler = {
  requestHeaders: () => [],
  onMessage: () => undefined,
  enrich: (action) => action,
  onHold: (_decided, waitMs) => ({ waitMs, cancelsOnClose: false, begin() {}, end() {} }),
  beforeSend: async () => ({ detached: false, through: (sink) => sink }),
  afterResponse: async () => {},
  refusal: () => undefined,
};

export class Workbench {
  readonly bench = new Bench();
  /** Who calls. */
  caller: Identified = { principal: principalOf(), token: new Secret('agents-token-literal') };
  /** What the upstream does with a call; default: 200 and `{"ok":true}`. */
  upstream: (outgoing: Outgoing, sink: ResponseSink) => Promise<Sent> = async () => ({ status: 200, complete: true });
  /** What the protocol of the mount adds. */
  handler: ProtocolHandler | undefined;
  /** Which server a request to the shared mount `all` is for; default: it concerns all of them. */
  route: SharedMount['route'] = async (request) => ({ request });
  rules: readonly RuleOptions[] = RULES;
  resources: readonly ResourceOptions[] = [];
  meters: Readonly<Record<string, MeterOptions>> = {};
  /** How long the marks of each taint last, ms. */
  taints: ReadonlyMap<string, number> = new Map();
  limits: Partial<Pick<RuntimeConfig, 'waitMs' | 'callsPerAgent' | 'heldBodyBytes' | 'storedBytesPerAgent'>> = {};
  mount: Partial<SingleMount> = {};
  /** The name of the credential that calls get; none when undefined. */
  credential: string | undefined = 'key';
  mint: (grant: Grant) => Promise<Minted> = async ({ now }) => this.#mintedAt(now);
  revoke: (secret: string) => Promise<void> = async (secret) => void this.revoked.push(secret);
  shareable = true;

  /** Every call that came to the upstream. */
  readonly sent: Outgoing[] = [];
  /** What took each of them there, or answered in its place. */
  readonly sentBy: Way['sentBy'][] = [];
  readonly spans: string[] = [];
  readonly lines: string[] = [];
  readonly counted: CallFacts[] = [];
  readonly revoked: string[] = [];
  #minted = 0;
  #steps: ReturnType<typeof createSteps> | undefined;
  #broker: OneProviderBroker | undefined;
  #openCalls: OpenCalls | undefined;

  get steps() {
    if (this.#steps === undefined) throw new Error('The workbench is closed.');
    return this.#steps;
  }
  get ledger() {
    if (this.#broker === undefined) throw new Error('The workbench is closed.');
    return this.#broker.ledger;
  }
  get openCalls(): OpenCalls {
    if (this.#openCalls === undefined) throw new Error('The workbench is closed.');
    return this.#openCalls;
  }

  open(): void {
    this.bench.open();
    const { approvals, store, options, clock } = this.bench;
    this.#broker = brokerOver(this.#provider(), { clock, log: { info() {}, warn() {}, error() {} } });
    this.#openCalls = createOpenCalls(store.suspensions, clock, WAYS.cut);
    this.#steps = createSteps({
      ...{ approvals, clock, decisionRecord, outcomeRecord },
      audit: options.audit,
      broker: this.#broker.broker,
      desk: new Desk({
        ...{ audit: options.audit, clock, tasks: store.tasks },
        limits: () => GENEROUS,
        seal: createSealer({ key: { read: () => new Secret('k'.repeat(32)) } as never }),
        agentKeyOf: () => undefined,
        stop: async () => true,
      }),
      openCalls: this.#openCalls,
      forwarder: {
        send: async (outgoing, sink) => {
          this.sent.push(outgoing);
          this.sentBy.push('forwarder');
          return this.upstream(outgoing, sink);
        },
        close: async () => {},
      },
      webSockets: {
        pass: async (_upgrade, outgoing) => {
          this.sent.push(outgoing);
          this.sentBy.push('webSocket');
          return this.upstream(outgoing, recordingSink());
        },
        close() {},
      },
      log: {
        info: (event) => void this.lines.push(event),
        warn: (event) => void this.lines.push(event),
        error: (event) => void this.lines.push(event),
      },
      metrics: { ...noMetrics, call: (facts) => void this.counted.push(facts) },
      tracing: recordingTracing(this.spans),
      callLine: () => ({}),
      tasks: store.tasks,
      marks: store.marks,
      meters: store.meters,
      novelty: store.novelty,
      suspensions: store.suspensions,
      watch: store.watch,
      violations: { note: () => undefined },
      digests: { of: actionDigest, former: formerActionDigest, request: requestDigest },
      agentCalls: new AgentCalls(),
      runtime: () => this.runtime(),
      ways: WAYS,
      answer: (failed) =>
        answerCall(failed, {
          challenge: () => 'Bearer realm="countersign"',
          base: () => undefined,
        }),
    });
  }

  /** What is in force now. */
  runtime(): RuntimeConfig {
    const upstream = {
      protocol: 'http' as const,
      ...(this.credential !== undefined && { credential: this.credential }),
    };
    const policy = compilePolicy({
      ...NOTHING_CLASSIFIED,
      resources: this.resources,
      meters: this.meters,
      taints: Object.fromEntries(this.taints),
      rules: this.rules,
      tiers: TIERS,
      upstreams: { ledger: upstream, all: { protocol: 'http' } },
    });
    const descriptor = {
      ...{ name: 'ledger', authority: 'ledger.example.org', basePath: '', protocol: 'http' as const },
      boundHeaders: [],
    };
    const limits = { heldBodyBytes: 1024, inspectedBodyBytes: 4096 };
    const ledger: SingleMount = {
      kind: 'single',
      ...{ name: 'ledger', protocol: 'http', url: 'https://ledger.example.org', webSocket: false, traceContext: false },
      pool: { connections: 100, queue: 100, waitMs: 1000 },
      ...(this.handler && { handler: this.handler }),
      leftBehind: (headers, bound) => leftBehind(headers, bound, undefined, true),
      classify: (request, need) => classify(request, descriptor, need, limits),
      tasks: NO_TASKS,
      ...this.mount,
    };
    const shared: SharedMount = {
      ...{ kind: 'shared', name: 'all', protocol: 'mcp', handler: this.#answering(), tasks: NO_TASKS },
      route: (request, principal) => this.route(request, principal),
      classify: (request, need) => classify(request, { ...descriptor, name: 'all' }, need, limits),
    };
    return {
      identity: {
        identify: () => this.caller,
        taskToken: () => undefined,
        agentKeyOf: () => undefined,
        status: () => [],
        start: async () => {},
        close() {},
      },
      policy,
      taints: this.taints,
      noveltyWindowMs: 3_600_000,
      mounts: new Map<string, SingleMount | SharedMount>([
        ['ledger', ledger],
        ['ledger/files', { ...ledger, name: 'ledger/files' }],
        ['all', shared],
      ]),
      waitMs: 0,
      callsPerAgent: 100,
      heldBodyBytes: 1024,
      storedBytesPerAgent: GENEROUS.storedBytesPerAgent,
      ...this.limits,
    };
  }

  call(shape: CallShape = LOOK): OpenedCall {
    const { method = 'GET', path = '/accounts', mount = 'ledger', headers = [], body, underway } = shape;
    const sink = recordingSink();
    const closed = new Set<() => void>();
    let gone = false;
    const bytes = body === undefined ? new Uint8Array() : Buffer.from(JSON.stringify(body));
    const request: InboundRequest = {
      id: randomUUID(),
      receivedAt: this.bench.clock.now(),
      ...{ method, mount, path, target: `/${mount}${path}` },
      headers: body === undefined ? headers : ['content-type', 'application/json', ...headers],
      body: {
        empty: body === undefined,
        length: bytes.byteLength,
        ...(underway !== undefined && { underway }),
        buffer: async () => bytes,
        async *stream() {
          yield bytes;
        },
      },
      peer: { address: '127.0.0.1' },
      onClosed(callback) {
        if (gone) queueMicrotask(callback);
        closed.add(callback);
        return () => void closed.delete(callback);
      },
    };
    const call = new Call({
      ...{ id: request.id, receivedAt: request.receivedAt, method, runtime: this.runtime(), sink },
      ...{ upgrade: shape.upgrade, subcall: shape.subcall },
      parse: () => request,
    });
    const leave = (): void => {
      gone = true;
      for (const callback of closed) callback();
    };
    return { call, sink, leave };
  }

  /** Opens a task for the caller. */
  task(objective = 'pay the bills'): Promise<Task> {
    return this.bench.store.tasks.open(this.caller.principal.id, { objective, plan: [], labels: [] }, GENEROUS);
  }

  /** Suspends the caller. */
  async suspend(): Promise<void> {
    await this.bench.store.suspensions.suspend(
      { principal: this.caller.principal.id },
      { by: 'idp#sam', reason: 'odd' },
    );
  }

  /** The newest hold; approves it when told to. */
  async hold(verdict?: 'approve'): Promise<Hold> {
    const [hold] = (await this.bench.store.holds.list({})).holds;
    if (hold === undefined) throw new Error('nothing is held');
    return verdict === 'approve' ? approve(this.bench, hold) : hold;
  }

  received = ({ call }: OpenedCall): Received => this.steps.receive(call);
  recognised = async (opened: OpenedCall): Promise<Recognised> => this.steps.identify(this.received(opened));
  async classified(opened: OpenedCall): Promise<Classified> {
    const classified = await this.steps.classify(await this.recognised(opened));
    if (classified === undefined) throw new Error('the protocol answered by itself');
    return classified;
  }
  assessed = async (opened: OpenedCall): Promise<Assessed> => this.steps.assess(await this.classified(opened));
  decided = async (opened: OpenedCall): Promise<Decided> => this.steps.decide(await this.assessed(opened));
  cleared = async (opened: OpenedCall): Promise<Cleared> => this.steps.clear(await this.decided(opened));
  journaled = async (opened: OpenedCall): Promise<Journaled> => this.steps.journal(await this.cleared(opened));
  armed = async (opened: OpenedCall): Promise<Armed> => this.steps.arm(await this.journaled(opened));
  /** The whole way. */
  run = ({ call }: OpenedCall): Promise<void> => createPipeline(this.steps)(call);

  /** A transfer that people have approved: the call that comes for its approval. */
  async approved(shape: CallShape = TRANSFER): Promise<OpenedCall> {
    await this.run(this.call(shape));
    await this.hold('approve');
    return this.call(shape);
  }

  async close(): Promise<void> {
    await this.#broker?.broker.close();
    await this.bench.close();
  }

  #answering(): AnsweringHandler {
    return {
      ...NO_PROTOCOL,
      respond: async (armed, sink) => {
        this.sentBy.push('handler');
        return this.upstream({ ...armed, boundHeadersOnly: false, requestHeaders: [], responseHeaders: [] }, sink);
      },
    };
  }

  #provider(): BrokerProvider {
    const bench = this;
    return {
      type: 'test',
      get shareable() {
        return bench.shareable;
      },
      mint: (grant) => bench.mint(grant),
      revoke: (handle) => bench.revoke(handle.reveal()),
      shareKey: () => '',
    } as BrokerProvider;
  }

  #mintedAt(now: number): Minted {
    const value = new Secret(`secret-${++this.#minted}`);
    return {
      injection: { in: 'header', name: 'authorization', value },
      secrets: [value],
      expiresAt: now + 3_600_000,
      revocability: 'token',
      granted: {},
      handle: value,
    };
  }
}

/** A test with a workbench of its own. */
export const it = freshGatewayTest.extend('work', ({ closes }) => {
  const work = new Workbench();
  work.open();
  return closes(work);
});
