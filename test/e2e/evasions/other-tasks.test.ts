// Reading in one task and sending in another one, or in none, or after so many other calls that the list of calls no
// longer holds the reading. Kind: a memory that the agent chooses, or that the agent can push full.

import { describe, expect } from 'vitest';
import {
  MARKING,
  newAgent,
  openTask,
  STOPPED,
  sendsUnless,
  WAYS,
  wayOf,
  worldTest,
} from '../../support/reads-and-sends.ts';

const it = worldTest({ ...MARKING, rules: sendsUnless('"customer-data" in tainted') });

describe.for(WAYS)('over %s, what was read is remembered', (name) => {
  // Control: without a reading nothing is stopped, so that the tests below do not pass because nothing is ever sent.
  it('and an agent that has read nothing sends', async ({ world }) => {
    const way = wayOf(name, world);
    expect(await way.send(newAgent())).toBe('sent');
    expect(await way.send(await openTask(world.env, newAgent()))).toBe('sent');
  });

  // Passed unseen once: the calls of a task are forgotten with the task, and the agent opens a new one.
  it('in a new task', async ({ world }) => {
    const [way, agent] = [wayOf(name, world), newAgent()];
    await way.read(await openTask(world.env, agent));
    expect(await way.send(await openTask(world.env, agent))).toMatch(STOPPED);
  });

  // Passed unseen once: tasks are voluntary, and a call without one has no history.
  it('of a call without a task', async ({ world }) => {
    const [way, agent] = [wayOf(name, world), newAgent()];
    await way.read(agent);
    expect(await way.send(agent)).toMatch(STOPPED);
    expect(await way.send(await openTask(world.env, agent))).toMatch(STOPPED);
  });

  // Passed unseen once: the send names no task, so that the condition reads the history of nothing.
  it('where the send names no task', async ({ world }) => {
    const [way, agent] = [wayOf(name, world), newAgent()];
    await way.read(await openTask(world.env, agent));
    expect(await way.send(agent)).toMatch(STOPPED);
  });

  // Passed unseen once: a task keeps its latest 200 calls, and the reading is the 206th.
  it('after 205 harmless calls', async ({ world }) => {
    const [way, agent] = [wayOf(name, world), await openTask(world.env, newAgent())];
    await way.read(agent);
    await way.lookAround(agent, 205);
    expect(await way.send(agent)).toMatch(STOPPED);
  });

  // Passed unseen once: the task that remembers is ended by the agent itself.
  it('after the task has ended', async ({ world }) => {
    const [way, agent] = [wayOf(name, world), newAgent()];
    const task = await openTask(world.env, agent);
    await way.read(task);
    await (await world.env.call(`/countersign/v1/tasks/${task.task}`, { method: 'DELETE', as: agent.as })).text();
    expect(await way.send(agent)).toMatch(STOPPED);
  });
});
