import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { createSealer } from '../../src/credentials/seal.ts';
import type { Action } from '../../src/domain/action.ts';
import { REQUEST_STATE_PREFIX } from '../../src/domain/request-state.ts';
import { createReplayMemory } from '../../src/identity/possession/replay-memory.ts';
import { createRequestStates, type RequestStates } from '../../src/mcp/request-state.ts';
import { principalNamed, transferAction } from '../support/clearances.ts';

const folder = mkdtempSync(join(tmpdir(), 'request-state-'));
const seal = createSealer({ keyFile: join(folder, 'seal.key') });
const message = (identity: string): Action => ({
  ...transferAction,
  body: { bytes: new Uint8Array(), digest: '', identity },
});
const agent = principalNamed('agent-1');
let now = 0;
let states: RequestStates;

beforeEach(() => {
  now = 1_000_000;
  const clock = { now: () => now };
  states = createRequestStates(seal, clock, createReplayMemory(clock));
});
afterAll(() => rmSync(folder, { recursive: true }));

const redeem = (state: string, who = agent, what = message('a')) => states.redeem(who, what, state);

describe('a requestState', () => {
  it('is good once', async () => {
    const state = states.issue(agent, message('a'), 'hold_1');
    expect(state).not.toContain('hold_1');
    await redeem(state);
    await expect(redeem(state)).rejects.toThrow('used before');
  });

  it('is refused from another caller', async () => {
    await expect(redeem(states.issue(agent, message('a'), 'hold_1'), principalNamed('agent-2'))).rejects.toThrow(
      'not given for this request',
    );
  });

  it('is refused with another message', async () => {
    await expect(redeem(states.issue(agent, message('a'), 'hold_1'), agent, message('b'))).rejects.toThrow(
      'not given for this request',
    );
  });

  it('is refused after ten minutes', async () => {
    const state = states.issue(agent, message('a'), 'hold_1');
    now += 10 * 60_000;
    await expect(redeem(state)).rejects.toThrow('expired');
  });

  it('is refused when any character of it is changed', async () => {
    const state = states.issue(agent, message('a'), 'hold_1');
    // The last character may hold bits that stand for nothing.
    for (let i = REQUEST_STATE_PREFIX.length; i < state.length - 1; i += 7) {
      const changed = state.slice(0, i) + (state[i] === 'A' ? 'B' : 'A') + state.slice(i + 1);
      await expect(redeem(changed)).rejects.toThrow('not given for this request');
    }
  });
});
