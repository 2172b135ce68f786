// Short words for what the tests of held calls do again and again: hold a call, and read what an answer says.

import type { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { expect } from 'vitest';
import type { CallOptions, Environment } from '../support/environment.ts';
import type { ReviewerClient } from '../support/reviewer-client.ts';

export interface Answered {
  readonly status: number;
  /** Of a problem document or of a 202. */
  readonly code: string | undefined;
  readonly hold: string;
  readonly headers: Headers;
  readonly text: string;
  readonly json: Readonly<Record<string, unknown>>;
}

/** An answer, read to its end. */
export async function answered(pending: Response | Promise<Response>): Promise<Answered> {
  const response = await pending;
  const text = await response.text();
  const isJson = /[/+]json/.test(response.headers.get('content-type') ?? '');
  const json = (isJson ? JSON.parse(text) : {}) as Record<string, unknown>;
  const code = typeof json.code === 'string' ? json.code : undefined;
  return {
    status: response.status,
    code,
    hold: response.headers.get('countersign-hold') ?? '',
    headers: response.headers,
    text,
    json,
  };
}

/** A transfer that does not wait for its approval. */
export function transferNow(env: Environment, body: unknown, options: CallOptions = {}): Promise<Answered> {
  return answered(env.transfer(body, { ...options, headers: { prefer: 'wait=0', ...options.headers } }));
}

/** Makes a hold of a transfer and gives its id. */
export async function holdTransfer(env: Environment, body: unknown, options: CallOptions = {}): Promise<string> {
  const { status, hold, text } = await transferNow(env, body, options);
  if (status !== 409 || hold === '') throw new Error(`the transfer was not held: ${status} ${text}`);
  return hold;
}

/** Makes a hold of a transfer, approves it and gives its id. */
export async function approveTransfer(
  env: Environment,
  reviewer: ReviewerClient,
  body: unknown,
  options: CallOptions = {},
): Promise<string> {
  const id = await holdTransfer(env, body, options);
  await reviewer.approve(id);
  return id;
}

/** Resolves once the hold is in this state. */
export async function becomes(reviewer: ReviewerClient, id: string, state: string): Promise<void> {
  const { hold } = await reviewer.expect(state, id);
  hold.catch(() => {});
  if ((await reviewer.show(id)).state !== state) await hold;
}

/** Resolves when an agent that waits for this hold has been sent away once: it comes back by itself. */
export async function wasSentAway({ log }: Pick<Environment, 'log'>, hold: string): Promise<void> {
  const times = () => log.filter((line) => line.error === 'approval_pending' && JSON.stringify(line).includes(hold));
  await expect.poll(() => times().length, { timeout: 15_000 }).toBeGreaterThan(0);
}

/** An SDK v1 client gives its call up while people decide: the hold must be cancelled. */
export async function giveUpWhileHeld(
  alice: ReviewerClient,
  client: Client,
  call: Parameters<Client['callTool']>[0],
): Promise<void> {
  const { hold } = await alice.expect('PENDING');
  const aborter = new AbortController();
  const answer = client
    .callTool(call, undefined, { onprogress: () => {}, signal: aborter.signal })
    .catch((error: Error) => error);
  const id = await hold;
  const { hold: cancelled } = await alice.expect('CANCELLED', id);
  aborter.abort('not wanted');
  expect(await answer).toBeInstanceOf(Error);
  expect(await cancelled).toBe(id);
}
