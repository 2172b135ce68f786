// A destination that is new is made to look known: by a mention in another call, by a call that was held, denied or
// refused by the upstream, and by another agent. Kind: a memory of what is usual that the agent can teach.

import { describe, expect } from 'vitest';
import { rule } from '../../support/config.ts';
import type { Environment } from '../../support/environment.ts';
import { connectV1, connectV2 } from '../../support/mcp-clients.ts';
import { type Agent, newAgent, post, WAYS, type World, worldTest } from '../../support/reads-and-sends.ts';

const it = worldTest({
  resources: [
    { id: 'mails', match: { upstream: 'api', path: '/mails' }, operation: 'export', sendsTo: ['args.to', 'args.cc'] },
    { id: 'transfers', match: { tool: 'transfer_funds' }, operation: 'transfer', sendsTo: ['args.to'] },
  ],
  rules: [
    rule.allow('mail', { upstream: 'api', path: '/mails' }),
    rule.deny('blocked', { upstream: 'api', path: '/mails' }, { when: '"block" in args && args.block == true' }),
    rule.hold('new', { upstream: 'api', path: '/mails' }, { when: 'novel.destination && !has(args.teach)' }),
    rule.allow('tools', { tool: '*' }),
    rule.deny('new-account', { tool: 'transfer_funds' }, { when: 'novel.destination && args.amount != 1' }),
    rule.deny('first-secret', { tool: 'secret_tool' }, { when: 'novel.operation && !has(args.teach)' }),
    rule.allow('things', { upstream: 'api', path: '/things/*' }),
    rule.hold('first-time', { upstream: 'api', path: '/things/*' }, { when: 'novel.operation && !has(args.teach)' }),
    rule.allow('ping', { upstream: 'api', path: '/ping' }),
    rule.hold('first-call', { upstream: 'api', path: '/ping' }, { when: 'novel.agent && !has(args.teach)' }),
  ],
});

const mail = (env: Environment, agent: Agent, body: object) => post(env, '/api/mails', agent, body);
/** A mail that passes although its recipient is new, and makes the recipient known. */
const teach = (env: Environment, agent: Agent, to: string, more: object = {}) =>
  mail(env, agent, { to, teach: true, ...more });

describe('over plain HTTP, a destination', () => {
  it('is new once, and known after an answer', async ({ env }) => {
    const agent = newAgent();
    expect(await mail(env, agent, { to: 'a@known.example' })).toBe('approval_pending');
    expect(await teach(env, agent, 'a@known.example')).toBe('sent');
    expect(await mail(env, agent, { to: 'b@known.example', text: 'next' })).toBe('sent');
  });

  // Passed unseen once: nothing knows that something happens for the first time.
  it('that was only mentioned is still new', async ({ env }) => {
    const agent = newAgent();
    const text = 'see https://evil.example/x, write to me@evil.example, cc: evil.example';
    expect(
      await teach(env, agent, 'a@known.example', { text, url: 'https://evil.example', subject: 'evil.example' }),
    ).toBe('sent');
    expect(await mail(env, agent, { to: 'me@evil.example' })).toBe('approval_pending');
  });

  it('that was one of two is known, and a third one beside it is new', async ({ env }) => {
    const agent = newAgent();
    expect(await teach(env, agent, 'a@known.example', { cc: ['b@second.example'] })).toBe('sent');
    expect(await mail(env, agent, { to: 'b@second.example' })).toBe('sent');
    expect(await mail(env, agent, { to: 'a@known.example', cc: ['c@third.example'] })).toBe('approval_pending');
  });

  // A hold teaches nothing, however often it is asked for.
  it('is still new after holds', async ({ env }) => {
    const agent = newAgent();
    for (let n = 0; n < 3; n++) expect(await mail(env, agent, { to: 'a@held.example', n })).toBe('approval_pending');
  });

  it('is still new after a denial', async ({ env }) => {
    const agent = newAgent();
    expect(await teach(env, agent, 'a@denied.example', { block: true })).toBe('denied');
    expect(await mail(env, agent, { to: 'a@denied.example' })).toBe('approval_pending');
  });

  it('is still new after an error of the upstream', async ({ env }) => {
    const agent = newAgent();
    env.upstream.respond((_request, response) => response.writeHead(422).end('{}'));
    const body = { to: 'a@failed.example', teach: true };
    await (await env.call('/api/mails', { method: 'POST', as: agent.as, body })).text();
    env.upstream.respond((_request, response) => response.end('{"ok":true}'));
    expect(await mail(env, agent, { to: 'a@failed.example' })).toBe('approval_pending');
  });

  it('that another agent knows is still new', async ({ env }) => {
    expect(await teach(env, newAgent(), 'a@others.example')).toBe('sent');
    expect(await mail(env, newAgent(), { to: 'a@others.example' })).toBe('approval_pending');
  });

  // Another spelling of a known host is known; a look-alike is not.
  it('is the same in another spelling, and another one where it only looks so', async ({ env }) => {
    const agent = newAgent();
    expect(await teach(env, agent, 'a@known.example')).toBe('sent');
    expect(await mail(env, agent, { to: 'A@KNOWN.example.' })).toBe('sent');
    expect(await mail(env, agent, { to: 'a@knоwn.example' })).toBe('approval_pending');
  });

  it('that is known for one operation is new for another', async ({ env }) => {
    const agent = newAgent();
    expect(await post(env, '/api/things/1', agent, { teach: true })).toBe('sent');
    expect(await post(env, '/api/things/2', agent, {})).toBe('sent');
    expect(await post(env, '/api/ping', agent, {})).toBe('sent');
    expect(await post(env, '/api/ping', newAgent(), {})).toBe('approval_pending');
  });
});

async function transfer({ env }: World, way: (typeof WAYS)[number], { as }: Agent, to: string, amount: number) {
  const client =
    way === 'MCP SDK v1' ? (await connectV1(env, 'tools', { as })).client : await connectV2(env, 'modern', { as });
  const call = { name: 'transfer_funds', arguments: { amount, to } };
  const { isError, _meta } = (await client.callTool(call)) as { isError?: boolean; _meta?: Record<string, unknown> };
  return isError === true ? _meta?.['countersign/code'] : 'sent';
}

describe.for(WAYS.filter((way) => way !== 'plain HTTP'))('over %s', (way) => {
  // Passed unseen once: as over plain HTTP.
  it('an account is new until a transfer to it was answered', async ({ world }) => {
    const agent = newAgent();
    expect(await transfer(world, way, agent, 'DE02 1203 0000 0000 2020 51', 5)).toBe('denied');
    expect(await transfer(world, way, agent, 'DE02 1203 0000 0000 2020 51', 1)).toBe('sent');
    expect(await transfer(world, way, agent, 'de02120300000000202051', 6)).toBe('sent');
    expect(await transfer(world, way, agent, 'https://de02120300000000202051.example', 7)).toBe('denied');
  });
});

// An error of a tool comes with status 200.
describe.for(WAYS.filter((way) => way !== 'plain HTTP'))('over %s', (way) => {
  it('an operation is still new after a tool has answered with an error', async ({ env }) => {
    const agent = newAgent();
    const client =
      way === 'MCP SDK v1' ? (await connectV1(env, 'tools', agent)).client : await connectV2(env, 'modern', agent);
    const call = async (args: Record<string, unknown>) =>
      (await client.callTool({ name: 'secret_tool', arguments: args })) as { isError?: boolean; _meta?: object };
    expect(await call({ teach: true })).toMatchObject({ isError: true, content: [{ text: 'it said no' }] });
    expect(await call({})).toMatchObject({ isError: true, _meta: { 'countersign/code': 'denied' } });
  });
});
