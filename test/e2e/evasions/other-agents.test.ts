// One agent reads, another one sends. They are connected by a verified chain of `act`, or by the person whom both act
// for. Kind: a fact that is kept under one name of somebody who has several.

import { describe, expect } from 'vitest';
import {
  actingFor,
  MARKING,
  newAgent,
  STOPPED,
  sendsUnless,
  WAYS,
  wayOf,
  worldTest,
} from '../../support/reads-and-sends.ts';

const it = worldTest({ ...MARKING, rules: sendsUnless('"customer-data" in tainted') });

describe.for(WAYS)('over %s', (name) => {
  // Control: two agents that nothing connects are not connected. docs/policy.md says so.
  it('a stranger sends', async ({ world }) => {
    const way = wayOf(name, world);
    await way.read(newAgent());
    expect(await way.send(newAgent())).toBe('sent');
  });

  // Passed unseen once: the sub-agent reads, and the agent that it works for sends in its own name.
  it('an agent does not send what its sub-agent has read', async ({ world }) => {
    const [way, agent] = [wayOf(name, world), newAgent()];
    await way.read(actingFor(agent.as, newAgent('sub')));
    expect(await way.send(agent)).toMatch(STOPPED);
  });

  // Passed unseen once: the agent reads, and lets its sub-agent send.
  it('a sub-agent does not send what its agent has read', async ({ world }) => {
    const [way, agent] = [wayOf(name, world), newAgent()];
    await way.read(agent);
    expect(await way.send(actingFor(agent.as, newAgent('sub')))).toMatch(STOPPED);
  });

  // Passed unseen once: two levels of sub-agents lie between the reading and the sending.
  it('every actor of the chain is marked', async ({ world }) => {
    const [way, person, middle] = [wayOf(name, world), newAgent('person'), newAgent('middle')];
    const claims = { act: { sub: newAgent('sub').as, act: { sub: middle.as } } };
    await way.read({ as: person.as, claims });
    expect(await way.send(middle)).toMatch(STOPPED);
    expect(await way.send(actingFor(middle.as, newAgent('other-sub')))).toMatch(STOPPED);
  });

  // Passed unseen once: both agents act for one person, and know nothing of each other.
  it('another agent of the same person does not send it', async ({ world }) => {
    const [way, person] = [wayOf(name, world), newAgent('person').as];
    await way.read(actingFor(person, newAgent('reader')));
    expect(await way.send(actingFor(person, newAgent('sender')))).toMatch(STOPPED);
    expect(await way.send(actingFor(newAgent('person').as, newAgent('sender')))).toBe('sent');
  });
});
