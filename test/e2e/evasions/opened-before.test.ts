// What is open when a mark lands: an upload whose body comes later, and a WebSocket, of the reader and of another agent
// of the same person. Kind: a decision that was right when it was made, and is used after the facts have changed.

import { describe, expect } from 'vitest';
import { rule } from '../../support/config.ts';
import type { Environment } from '../../support/environment.ts';
import { file, gatewayTest } from '../../support/gateway-test.ts';
import { openSocket, openUpload, startSocketServer } from '../../support/open-calls.ts';
import { type Agent, actingFor, get, MARKING, newAgent, openTask, written } from '../../support/reads-and-sends.ts';

const TAINTED = '"customer-data" in tainted';

const it = gatewayTest
  .extend('sockets', file, ({ closes }) => closes(startSocketServer()))
  .extend('env', file, ({ sockets, environment }) =>
    environment(
      written({
        ...MARKING,
        upstreams: { live: { url: sockets.origin, credential: 'key', websocket: true } },
        rules: [
          rule.allow('http', { upstream: 'api' }),
          rule.deny('upload', { upstream: 'api', path: '/upload' }, { when: TAINTED }),
          rule.allow('sockets', { upstream: 'live', upgrade: true }),
          rule.deny('chat', { upstream: 'live', path: '/chat', upgrade: true }, { when: TAINTED }),
        ],
        reviewers: { killSwitch: ['group:soc'] },
        limits: { wait: '0s', pendingPerAgent: 1000 },
      }),
    ),
  );

const read = async (env: Environment, agent: Agent) => expect(await get(env, '/api/customers/1', agent)).toBe('sent');

const OPENERS: Readonly<Record<string, (env: Environment) => Promise<readonly [reader: Agent, opener: Agent]>>> = {
  'the reader itself': async () => {
    const agent = newAgent();
    return [agent, agent];
  },
  'the reader in another task': async (env) => {
    const agent = newAgent();
    return [await openTask(env, agent), await openTask(env, agent)];
  },
  'another agent of the same person': async () => {
    const person = newAgent('person').as;
    return [actingFor(person, newAgent()), actingFor(person, newAgent())];
  },
};

describe.for(Object.entries(OPENERS))('opened before the reading by %s', ([_who, agents]) => {
  // Passed unseen once: the call was allowed when its head came, and nobody asks again.
  it('an upload is decided on again before its second half is sent on', async ({ env }) => {
    const [reader, opener] = await agents(env);
    const upload = await openUpload(env, '/api/upload', opener);
    await read(env, reader);
    expect(await upload.finish()).toMatch(/^(denied|tainted_meanwhile|cut)$/);
    expect(upload.arrived()).toBe(false);
  });

  // Control of the one before: what no rule stops is not cut.
  it('an upload that no rule is about goes through', async ({ env }) => {
    const [reader, opener] = await agents(env);
    const upload = await openUpload(env, '/api/other', opener);
    await read(env, reader);
    expect(await upload.finish()).toBe('sent');
    expect(upload.arrived()).toBe(true);
  });

  // Passed unseen once: one decision lets through everything that is said on the WebSocket later.
  it('a WebSocket is closed before the reader sees its answer', async ({ env, sockets }) => {
    const [reader, opener] = await agents(env);
    const socket = await openSocket(env, '/live/chat', opener);
    expect(await socket.say(`before ${opener.as}`)).toBe('echo');
    await read(env, reader);
    expect(await socket.say(`secret ${opener.as}`)).toBe('closed');
    expect(sockets.received).not.toContain(`secret ${opener.as}`);
    await expect
      .poll(() => env.log.some(({ path, error }) => path === '/chat' && error === 'tainted_meanwhile'))
      .toBe(true);
  });

  it('a WebSocket that no rule is about stays open', async ({ env }) => {
    const [reader, opener] = await agents(env);
    const socket = await openSocket(env, '/live/prices', opener);
    await read(env, reader);
    expect(await socket.say('still here')).toBe('echo');
    socket.close();
  });
});

// Passed unseen once. The mark is there before the first byte of what is read, also where the rest never ends.
it('an answer that begins and does not end has marked its reader', async ({ env }) => {
  const agent = newAgent();
  const socket = await openSocket(env, '/live/chat', agent);
  env.upstream.respond((_request, response) => void response.write('the first half of a secret'));
  const streaming = await env.call('/api/customers/2', { as: agent.as });
  await streaming.body?.getReader().read();
  env.upstream.respond((_request, response) => response.end('{"ok":true}'));
  expect(await socket.say(`secret ${agent.as}`)).toBe('closed');
  expect(await get(env, '/api/upload', agent)).toBe('denied');
});

describe('what is under way', () => {
  const suspend = async (env: Environment, body: object) => {
    const sam = await env.reviewer('sam', ['soc']);
    expect((await sam.post('/suspensions', { reason: 'odd', ...body })).status).toBe(201);
  };
  const end = async (env: Environment, { as, task }: Agent) => {
    expect((await env.call(`/countersign/v1/tasks/${task}`, { as, method: 'DELETE' })).status).toBe(200);
  };
  const STOPS: Readonly<Record<string, (env: Environment, parent: Agent, child: Agent) => Promise<void>>> = {
    'the agent is suspended': (env, { as }) => suspend(env, { principal: `${env.issuer.issuer}#${as}` }),
    'the task above is suspended': (env, { task }) => suspend(env, { task }),
    'the task above is ended': (env, parent) => end(env, parent),
  };

  // An upload of which no rule reads a fact: it goes through piece by piece, and the upstream has its first half.
  it.for(Object.entries(STOPS))('by upload is cut when %s', async ([_when, stop], { env }) => {
    const parent = await openTask(env, newAgent());
    const child = await openTask(env, { as: parent.as }, { parent: parent.task });
    const upload = await openUpload(env, '/api/other', child);
    await stop(env, parent, child);
    expect(await upload.finish()).not.toBe('sent');
    expect(upload.arrived()).toBe(false);
  });

  it.for(Object.entries(STOPS))('by WebSocket is cut when %s', async ([_when, stop], { env, sockets }) => {
    const parent = await openTask(env, newAgent());
    const child = await openTask(env, { as: parent.as }, { parent: parent.task });
    const socket = await openSocket(env, '/live/prices', child);
    await stop(env, parent, child);
    expect(await socket.say(`late ${child.as}`)).toBe('closed');
    expect(sockets.received).not.toContain(`late ${child.as}`);
  });
});
