// What was read is put where another agent fetches it: a wiki, an issue, a note of a tool. The two agents have no key,
// person or task in common; the entry of `resources` with `carries: true` connects them. Kind: a mark that stays with
// the reader while the data goes on.

import { describe, expect } from 'vitest';
import type { Environment } from '../../support/environment.ts';
import {
  type Agent,
  get,
  MARKING,
  newAgent,
  post,
  STOPPED,
  sendsUnless,
  wayOf,
  worldTest,
} from '../../support/reads-and-sends.ts';

const it = worldTest({
  ...MARKING,
  resources: [
    ...MARKING.resources,
    { id: 'wiki', match: { upstream: 'api', path: '/wiki/*' }, carries: true },
    { id: 'board', match: { upstream: 'api', path: '/board/*' }, carries: true },
    { id: 'forum', match: { upstream: 'api', path: '/forum/*' }, carries: true },
    { id: 'jobs', match: { tool: 'route_job' }, carries: true },
  ],
  rules: sendsUnless('"customer-data" in tainted'),
});

const send = (env: Environment, agent: Agent) => post(env, '/api/send', agent, { to: 'x@else.example' });

describe('a page of the wiki', () => {
  // Passed unseen once: the writer may write, the reader has read nothing secret, and the secret is out.
  it('marks who reads it after somebody who was marked has written there', async ({ env }) => {
    const [insider, courier] = [newAgent(), newAgent()];
    expect(await get(env, '/api/forum/notes', courier)).toBe('sent');
    expect(await send(env, courier)).toBe('sent');
    expect(await get(env, '/api/customers/1', insider)).toBe('sent');
    expect(await post(env, '/api/forum/notes', insider, { text: 'a customer' })).toBe('sent');
    expect(await get(env, '/api/forum/other', courier)).toBe('sent');
    expect(await send(env, courier)).toMatch(STOPPED);
  });

  // The same through two places and two couriers.
  it('marks over another place as well', async ({ env }) => {
    const [insider, first, second] = [newAgent(), newAgent(), newAgent()];
    expect(await get(env, '/api/customers/1', insider)).toBe('sent');
    expect(await post(env, '/api/board/notes', insider, { text: 'a customer' })).toBe('sent');
    expect(await get(env, '/api/board/notes', first)).toBe('sent');
    expect(await post(env, '/api/wiki/page', first, { text: 'a customer' })).toBe('sent');
    expect(await get(env, '/api/wiki/page', second)).toBe('sent');
    expect(await send(env, second)).toMatch(STOPPED);
  });

  // A tool keeps what one agent gives it, and tells it to the next one.
  it.for(['MCP SDK v1', 'MCP SDK v2'] as const)('and so does a tool, over %s', async (name, { world }) => {
    const { env } = world;
    const [insider, courier] = [newAgent(), newAgent()];
    expect(await get(env, '/api/customers/1', insider)).toBe('sent');
    await wayOf(name, world).lookAround(insider, 1);
    await wayOf(name, world).lookAround(courier, 1);
    expect(await send(env, courier)).toMatch(STOPPED);
  });

  // Control: what carries nothing marks nobody.
  it('that is not among the resources marks nobody', async ({ env }) => {
    const [insider, courier] = [newAgent(), newAgent()];
    expect(await get(env, '/api/customers/1', insider)).toBe('sent');
    expect(await post(env, '/api/elsewhere/notes', insider, { text: 'a customer' })).toBe('sent');
    expect(await get(env, '/api/elsewhere/notes', courier)).toBe('sent');
    expect(await send(env, courier)).toBe('sent');
  });
});
