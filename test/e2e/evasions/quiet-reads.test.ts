// Reading without a plain 200: by HEAD, by ranges, by asking whether something changed, by an error that tells the data,
// by an event stream, and by fetching an answer that the gateway has kept. Kind: a mark that is set for the usual answer
// only.

import { CallToolResultSchema } from '@modelcontextprotocol/sdk/types.js';
import { describe, expect } from 'vitest';
import { rule } from '../../support/config.ts';
import type { Environment } from '../../support/environment.ts';
import { connectV1 } from '../../support/mcp-clients.ts';
import { type Agent, MARKING, newAgent, post, STOPPED, sendsUnless, worldTest } from '../../support/reads-and-sends.ts';
import type { Respond } from '../../support/recorder.ts';

const it = worldTest({
  ...MARKING,
  reviewers: { declassify: ['group:dpo'] },
  resources: [...MARKING.resources, { id: 'jobs', match: { tool: 'slow_job' }, taints: ['customer-data'] }],
  rules: [...sendsUnless('"customer-data" in tainted'), rule.hold('balances', { tool: 'read_balance' })],
});

const ANSWERS: Readonly<Record<string, readonly [method: string, respond: Respond]>> = {
  'the answer to HEAD': [
    'HEAD',
    (_request, response) => void response.writeHead(200, { 'x-name': 'a customer' }).end(),
  ],
  'a part of it (206)': [
    'GET',
    (_request, response) => void response.writeHead(206, { 'content-range': 'bytes 0-1/9' }).end('ab'),
  ],
  'that it did not change (304)': ['GET', (_request, response) => void response.writeHead(304, { etag: '"a"' }).end()],
  'that it is elsewhere (302)': [
    'GET',
    (_request, response) => void response.writeHead(302, { location: '/customer/a' }).end(),
  ],
  'that it is missing (404)': ['GET', (_request, response) => void response.writeHead(404).end('{"was":"a customer"}')],
  'an error (500)': ['GET', (_request, response) => void response.writeHead(500).end('{"of":"a customer"}')],
  'nothing (204)': ['GET', (_request, response) => void response.writeHead(204).end()],
  'an event': [
    'GET',
    (_request, response) => void response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: x\n\n'),
  ],
  'what a write says': ['POST', (_request, response) => void response.writeHead(201).end('{"customer":1}')],
};

describe('the mark is set by', () => {
  it.for(Object.entries(ANSWERS))('%s', async ([_what, [method, respond]], { env }) => {
    const agent = newAgent();
    env.upstream.respond(respond);
    const response = await env.call('/api/customers/1', {
      as: agent.as,
      method,
      ...(method === 'POST' && { body: {} }),
    });
    await response.body?.getReader().read();
    await response.body?.cancel().catch(() => {});
    env.upstream.respond((_request, answer) => void answer.end('{"ok":true}'));
    expect(await post(env, '/api/send', agent, {})).toMatch(STOPPED);
  });

  // A held read marks nobody while it waits, and its answer is fetched later, from the gateway.
  it('the answer that the gateway has kept, when it is fetched', async ({ env }) => {
    const [agent, alice] = [newAgent(), await env.reviewer('alice')];
    const { client } = await connectV1(env, 'tools', { as: agent.as });
    const stream = client.experimental.tasks.callToolStream(
      { name: 'read_balance', arguments: {} },
      CallToolResultSchema,
      { task: {} },
    );
    const { value } = await stream.next();
    const { taskId } = (value as { task: { taskId: string } }).task;
    expect(await post(env, '/api/send', agent, {})).toBe('sent');
    await alice.approve(taskId.replace('countersign.', ''));
    for await (const message of stream) if (message.type === 'result' || message.type === 'error') break;
    expect(await post(env, '/api/send', agent, {})).toMatch(STOPPED);
  });

  // A server may keep events and tell them to whoever comes back for them: the answer of a tool, too.
  it('an event stream that is resumed, and not one that is opened', async ({ env }) => {
    const agent = newAgent();
    const open = async (more: Readonly<Record<string, string>>) => {
      const response = await env.call('/tools', { as: agent.as, headers: { accept: 'text/event-stream', ...more } });
      await response.body?.cancel();
    };
    await open({});
    expect(await post(env, '/api/send', agent, {})).toBe('sent');
    await open({ 'last-event-id': 'stream-1_7' });
    expect(await post(env, '/api/send', agent, {})).toMatch(STOPPED);
  });

  // The mark of the first time may have ended, or been lifted. The answer told the same once more, and marked nobody.
  it('the kept answer, when it is fetched once more after the marks were lifted', async ({ env }) => {
    const [agent, alice] = [newAgent(), await env.reviewer('alice')];
    const { client } = await connectV1(env, 'tools', { as: agent.as });
    const call = { name: 'read_balance', arguments: { of: agent.as } };
    const stream = client.experimental.tasks.callToolStream(call, CallToolResultSchema, { task: {} });
    const { value } = await stream.next();
    const { taskId } = (value as { task: { taskId: string } }).task;
    await alice.approve(taskId.replace('countersign.', ''));
    for await (const message of stream) if (message.type === 'result' || message.type === 'error') break;
    expect(await post(env, '/api/send', agent, {})).toMatch(STOPPED);
    await liftAll(env, agent);
    expect(await post(env, '/api/send', agent, {})).toBe('sent');
    await client.experimental.tasks.getTaskResult(taskId, CallToolResultSchema);
    expect(await post(env, '/api/send', agent, {})).toMatch(STOPPED);
  });
});

/** Everything that stands on the agent, under every name. */
async function liftAll(env: Environment, { as }: Agent): Promise<void> {
  const officer = await env.reviewer('dora', ['dpo']);
  const id = `${env.issuer.issuer}#${as}`;
  const places = [
    { scope: 'agent', key: id },
    { scope: 'person', key: id },
    { scope: 'person', key: as },
  ];
  for (const place of places) {
    const asked = { ...place, taint: 'customer-data', reason: 'the customer was a test' };
    expect((await officer.post('/declassifications', asked)).status).toBe(201);
  }
}
