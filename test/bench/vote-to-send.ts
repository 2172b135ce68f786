// From the vote to the first upstream byte: how long an approved call takes to leave once somebody has pressed approve, with 1,000 other
// holds open, and with none. Everything is the real product in a process of its own (SQLite with fsync, the audit journal, ES256 tokens);
// the clock is this process's: the vote's request going out, and the call's head arriving at the upstream here.
// Run: node test/bench/vote-to-send.ts [open holds] [votes per round]

import { type Environment, startEnvironment } from '../support/environment.ts';
import type { ReviewerClient } from '../support/reviewer-client.ts';

const OPEN = Number(process.argv[2] ?? 1_000);
const VOTES = Number(process.argv[3] ?? 100);
const ROUNDS = 3;
const AT_ONCE = 20;

interface Round {
  readonly sends: readonly number[];
  readonly votes: readonly number[];
}

async function measure(env: Environment, reviewer: ReviewerClient, count: number, label: string): Promise<Round> {
  const sends: number[] = [];
  const votes: number[] = [];
  for (let i = 0; i < count; i++) {
    const { hold } = await reviewer.expect('PENDING');
    const answer = env.transfer({ measured: `${label}-${i}` }, { as: 'measured' });
    const id = await hold;
    const { bindingDigest } = await reviewer.show(id);
    const arrival = env.upstream.arrived(env.upstream.requests.length);
    const start = performance.now();
    const voted = reviewer.vote(id, 'approve', { bindingDigest }).then((response) => {
      votes.push(performance.now() - start);
      if (!response.ok) throw new Error(`the vote was answered ${response.status}`);
      return response.arrayBuffer();
    });
    await arrival;
    sends.push(performance.now() - start);
    await Promise.all([voted, answer.then((response) => response.arrayBuffer())]);
  }
  return { sends, votes };
}

/** Calls that wait, each on its connection, for the whole of the run. */
async function openHolds(env: Environment, count: number, aborter: AbortController): Promise<void> {
  const reviewer = await env.reviewer('counter');
  for (let from = 0; from < count; from += AT_ONCE) {
    for (let i = from; i < Math.min(count, from + AT_ONCE); i++) {
      env.transfer({ open: i }, { as: `open-${i % 50}`, signal: aborter.signal }).catch(() => {});
    }
    while ((await held(env)) < Math.min(count, from + AT_ONCE)) await reviewer.list();
  }
}

async function held(env: Environment): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${env.ports.ops}/metrics`)).text();
  const [, value = '0'] = /^countersign_holds_active\{[^}]*PENDING[^}]*\} (\d+)/m.exec(text) ?? [];
  return Number(value);
}

const quantile = (values: readonly number[], q: number): number =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(q * values.length))] ?? Number.NaN;
const ms = (value: number): string => `${value.toFixed(1)} ms`;

const env = await startEnvironment({
  limits: '{ wait: 50s, pendingPerAgent: 10000 }',
  tiers: '{ payment: { reviewers: ["group:finance"], decideWithin: 1h } }',
});
const aborter = new AbortController();
try {
  const reviewer = await env.reviewer('alice');
  await measure(env, reviewer, 20, 'warm');
  const empty: Round[] = [];
  const full: Round[] = [];
  for (let round = 0; round < ROUNDS; round++) empty.push(await measure(env, reviewer, VOTES, `empty-${round}`));
  await openHolds(env, OPEN, aborter);
  const waiting = await held(env);
  for (let round = 0; round < ROUNDS; round++) full.push(await measure(env, reviewer, VOTES, `full-${round}`));
  report('no other hold open', empty);
  report(`${waiting} other holds open`, full);
  for (const q of [0.5, 0.99]) {
    const [none, many] = [empty, full].map((rounds) => rounds.map(({ sends }) => quantile(sends, q)));
    const spread = none === undefined ? Number.NaN : Math.max(...none) / Math.min(...none);
    console.log(`p${q * 100}: ×${(average(many) / average(none)).toFixed(2)} with ${waiting} holds open; equal rounds differ by up to ×${spread.toFixed(2)}`);
  }
  console.log(`${ROUNDS} rounds of ${VOTES} votes one after another, on one machine, with the issuer, the upstream and the reviewer beside the gateway.`);
} finally {
  aborter.abort();
  await env.close();
}

function average(values: readonly number[] | undefined): number {
  return (values ?? []).reduce((sum, value) => sum + value, 0) / (values?.length ?? 0);
}

function report(what: string, rounds: readonly Round[]): void {
  const line = (name: string, pick: (round: Round) => readonly number[]) => {
    const all = rounds.flatMap(pick);
    const medians = rounds.map((round) => ms(quantile(pick(round), 0.5))).join(', ');
    console.log(`${what}: ${name} p50 ${ms(quantile(all, 0.5))}, p99 ${ms(quantile(all, 0.99))} (p50 of the rounds: ${medians})`);
  };
  line('vote to first upstream byte', ({ sends }) => sends);
  line('vote to its answer', ({ votes }) => votes);
}
