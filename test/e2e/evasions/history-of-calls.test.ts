// What a rule over `task.calls` cannot see, shown with keys that need no classification. These rules keep working as
// they are documented; the tests pin why docs/policy.md sends the reader to `tainted`. Kind: a memory that the agent
// chooses, or that the agent can push full.

import { describe, expect } from 'vitest';
import { rule } from '../../support/config.ts';
import { openUpload } from '../../support/open-calls.ts';
import { newAgent, openTask, STOPPED, sendsUnless, WAYS, wayOf, worldTest } from '../../support/reads-and-sends.ts';

const AFTER_READ = 'has(task.id) && task.calls.exists(c, c.path == "/customers/1" || c.tool == "read_balance")';

const it = worldTest({
  rules: [...sendsUnless(AFTER_READ), rule.deny('upload', { upstream: 'api', path: '/upload' }, { when: AFTER_READ })],
});

describe.for(WAYS)('over %s, a rule over the calls of a task', (name) => {
  it('stops the send in the same task', async ({ world }) => {
    const [way, agent] = [wayOf(name, world), await openTask(world.env, newAgent())];
    await way.read(agent);
    expect(await way.send(agent)).toMatch(STOPPED);
  });

  it('sees nothing of another task, or of a call without one', async ({ world }) => {
    const [way, agent] = [wayOf(name, world), newAgent()];
    await way.read(await openTask(world.env, agent));
    expect(await way.send(await openTask(world.env, agent))).toBe('sent');
    expect(await way.send(agent)).toBe('sent');
  });

  it('sees nothing of what lies more than 200 calls back', async ({ world }) => {
    const [way, agent] = [wayOf(name, world), await openTask(world.env, newAgent())];
    await way.read(agent);
    await way.lookAround(agent, 205);
    expect(await way.send(agent)).toBe('sent');
  });
});

// It passed unseen while the rule decided when the head of the request had come: before the reading, and the body was
// written after it.
it('an upload that was opened before the reading is decided on when its body is there', async ({ world }) => {
  const { env } = world;
  const agent = await openTask(env, newAgent());
  const upload = await openUpload(env, '/api/upload', agent);
  await wayOf('plain HTTP', world).read(agent);
  expect(await upload.finish()).toBe('denied');
  expect(upload.arrived()).toBe(false);
});
