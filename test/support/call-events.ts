// What can become of one call: it is answered, denied, held, failed, cut, streamed, sent again, withheld; and afterwards
// the gateway reloads its configuration or is started again. A table of facts says what each of these does to a fact.
// The path of a call says by its second segment which rule is about it: /<thing>/open, /<thing>/denied, /<thing>/held.

import { randomUUID } from 'node:crypto';
import { expect, onTestFinished } from 'vitest';
import { answered } from '../e2e/held.ts';
import { type Rules, rule } from './config.ts';
import type { CallOptions, Environment } from './environment.ts';
import type { Agent } from './reads-and-sends.ts';
import type { ReviewerClient } from './reviewer-client.ts';

/** The rules that the events need. */
export const EVENT_RULES: Rules = [
  rule.allow('open', { upstream: 'api' }),
  rule.deny('denied', { upstream: 'api', path: '/:thing/denied/*' }),
  rule.hold('held', { upstream: 'api', path: '/:thing/held/*' }),
];

/** A call that would establish the fact: of this agent, by this method, for this thing. */
export interface Establishing {
  readonly agent: Agent;
  readonly thing: string;
  readonly method?: string;
  readonly body?: object;
}

export interface Stage {
  readonly env: Environment;
  readonly alice: ReviewerClient;
  /** Has the kill switch. */
  readonly sam: ReviewerClient;
}

type Event = (stage: Stage, call: Establishing) => Promise<void>;

function optionsOf(
  { agent, method = 'GET', body }: Establishing,
  headers: Readonly<Record<string, string>> = {},
): CallOptions {
  const { as, claims, task } = agent;
  return {
    ...{ as, method, ...(claims && { claims }), ...(body && { body }) },
    headers: { prefer: 'wait=0', ...(task !== undefined && { 'countersign-task': task }), ...headers },
  };
}

const pathOf = ({ thing }: Establishing, how: 'open' | 'denied' | 'held') => `/api/${thing}/${how}/${randomUUID()}`;

async function calling(
  { env }: Stage,
  call: Establishing,
  how: 'open' | 'denied' | 'held',
  status: number,
): Promise<void> {
  const said = await answered(env.call(pathOf(call, how), optionsOf(call)));
  expect([said.status, said.text]).toEqual([status, said.text]);
}

async function holding({ env }: Stage, call: Establishing, headers: Readonly<Record<string, string>> = {}) {
  const path = pathOf(call, 'held');
  const send = () => answered(env.call(path, optionsOf(call, headers)));
  const { code, hold } = await send();
  expect(code).toBe('approval_pending');
  return { send, hold };
}

const answers: Event = (stage, call) => calling(stage, call, 'open', 200);

/** While `during` runs, the upstream answers so. */
async function whileUpstream(
  { env }: Stage,
  how: Parameters<Environment['upstream']['respond']>[0],
  during: () => Promise<void>,
) {
  env.upstream.respond(how);
  try {
    await during();
  } finally {
    env.upstream.respond(
      (_request, response) => void response.writeHead(200, { 'content-type': 'application/json' }).end('{"ok":true}'),
    );
  }
}

const EVENTS = {
  answered: answers,
  denied: (stage, call) => calling(stage, call, 'denied', 403),
  held: async (stage, call) => void (await holding(stage, call)),
  'denied by people': async (stage, call) => {
    const { hold } = await holding(stage, call);
    await stage.alice.deny(hold);
  },
  'given up': async (stage, call) => {
    const { hold } = await holding(stage, call);
    const { status } = await answered(
      stage.env.call(`/countersign/v1/holds/${hold}`, {
        as: call.agent.as,
        method: 'DELETE',
        ...(call.agent.claims && { claims: call.agent.claims }),
      }),
    );
    expect(status).toBe(200);
  },
  approved: async (stage, call) => {
    const { hold, send } = await holding(stage, call);
    await stage.alice.approve(hold);
    expect((await send()).status).toBe(200);
  },
  failed: (stage, call) =>
    whileUpstream(
      stage,
      (_request, response) => void response.writeHead(500).end('{}'),
      () => calling(stage, call, 'open', 500),
    ),
  cut: (stage, call) =>
    whileUpstream(
      stage,
      (_request, response) => void response.destroy(),
      () => calling(stage, call, 'open', 502),
    ),
  streamed: (stage, call) =>
    whileUpstream(
      stage,
      (_request, response) => void response.write('the first half'),
      async () => {
        const response = await stage.env.call(pathOf(call, 'open'), optionsOf(call));
        const reader = response.body?.getReader();
        await reader?.read();
        // It stays open until the test ends; the gateway would wait for it at a restart.
        onTestFinished(() => void reader?.cancel());
      },
    ),
  repeated: async (stage, call) => {
    const { hold, send } = await holding(stage, call, { 'idempotency-key': randomUUID() });
    expect(await send()).toMatchObject({ code: 'approval_pending', hold });
    await stage.alice.approve(hold);
    expect((await send()).status).toBe(200);
    expect(await send()).toMatchObject({ code: 'already_sent' });
  },
  withheld: async (stage, call) => {
    const { env, sam } = stage;
    const { promise: suspended, resolve } = Promise.withResolvers<void>();
    const at = env.upstream.requests.length;
    await whileUpstream(
      stage,
      (_request, response) =>
        void suspended.then(() => response.writeHead(200, { 'content-type': 'text/event-stream' }).end('data: 1\n\n')),
      async () => {
        const under = answered(env.call(pathOf(call, 'open'), optionsOf(call)));
        await env.upstream.arrived(at);
        const principal = `${env.issuer.issuer}#${agentOf(call.agent)}`;
        const suspension = await sam.post('/suspensions', { principal, reason: 'odd' });
        expect(suspension.status).toBe(201);
        resolve();
        expect((await under).code).toBe('principal_suspended');
        const { id } = (await suspension.json()) as { id: string };
        expect((await sam.request(`/suspensions/${id}`, { method: 'DELETE' })).ok).toBe(true);
      },
    );
  },
} satisfies Readonly<Record<string, Event>>;

/** Who calls: the actor, where the token names one. */
const agentOf = ({ as, claims }: Agent): string => (claims?.act as { sub: string } | undefined)?.sub ?? as;

/** What happens after the call. */
const AFTERWARDS = {
  'then a reload': async ({ env }: Stage) => {
    const change = await env.edit(
      ({ rules }) => void rules.push(rule.deny(`unrelated-${randomUUID()}`, { upstream: 'api', path: '/unrelated' })),
    );
    expect(change).toBe('config.reloaded');
  },
  'then a restart': async ({ env }: Stage) => {
    await env.terminate();
    await env.start();
  },
  'then kill -9': async ({ env }: Stage) => {
    await env.kill();
    await env.start();
  },
} as const;

export type EventName = keyof typeof EVENTS | keyof typeof AFTERWARDS;

/** What each event makes of a fact. */
export type FactRow<Outcome extends string> = Readonly<Record<EventName, Outcome>>;

/** Lets this become of the call. What happens after a call comes after `established`. */
export async function happen(
  event: EventName,
  stage: Stage,
  call: Establishing,
  established: keyof typeof EVENTS = 'answered',
): Promise<void> {
  if (event in EVENTS) return EVENTS[event as keyof typeof EVENTS](stage, call);
  await EVENTS[established](stage, call);
  await AFTERWARDS[event as keyof typeof AFTERWARDS](stage);
}
