// Places at an upstream: who waits, who is woken, and what is given back at a call's end.

import { expect, test } from 'vitest';
import { Call } from '../../src/domain/call.ts';
import type { Mount } from '../../src/domain/mount.ts';
import type { Principal } from '../../src/domain/principal.ts';
import type { RuntimeConfig } from '../../src/domain/runtime-config.ts';
import type { Classified } from '../../src/domain/stages.ts';
import { AgentCalls, UpstreamSlots } from '../../src/steps/call-slots.ts';

const ONE_PLACE = { connections: 1, queue: 2, waitMs: 60_000 };

/** A call of one agent that has been classified for this mount. */
function classified(agent: string, mount: Partial<Mount>): Classified {
  const call = new Call({
    id: agent,
    receivedAt: 0,
    method: 'GET',
    runtime: { callsPerAgent: 1 } as RuntimeConfig,
    sink: {} as Call['sink'],
    parse: () => {
      throw new TypeError('read already');
    },
  });
  const request = { onClosed: () => () => {} } as unknown as Classified['request'];
  return call.reach({
    call,
    mount: { kind: 'single', ...mount },
    principal: { id: agent, agentKey: agent } as Principal,
    request,
  } as unknown as Classified);
}

test('a place that a call gives back goes to the call that waits for it', async () => {
  const slots = new UpstreamSlots();
  const [first, second] = ['a', 'b'].map((agent) =>
    classified(agent, { kind: 'single', name: 'api', pool: ONE_PLACE }),
  );
  expect(slots.enter(first as Classified, false)).toBeUndefined();
  const waiting = slots.enter(second as Classified, false);
  expect(second?.call.slot).toBeUndefined();
  slots.leave((first as Classified).call.reached);
  await waiting;
  expect(second?.call.slot).toBe('api');
});

test('on a shared mount, too, the place is given back to the server that the call went to', async () => {
  const slots = new UpstreamSlots();
  const [first, second] = ['a', 'b'].map((agent) => {
    const arrived = classified(agent, { kind: 'shared', name: 'tools' });
    const mount = { kind: 'single', name: 'tools/files', pool: ONE_PLACE } as Mount;
    return arrived.call.reach({ ...arrived, mount });
  });
  slots.enter(first as Classified, false);
  const waiting = slots.enter(second as Classified, false);
  slots.leave((first as Classified).call.reached);
  await waiting;
  expect(second?.call.slot).toBe('tools/files');
});

test('a call that was refused before it counted frees no place of its agent', () => {
  const calls = new AgentCalls();
  const [first, second] = [classified('a', {}), classified('a', {})];
  calls.enter(first);
  expect(() => calls.enter(second)).toThrow(/callsPerAgent/);
  calls.leave(second.call.reached);
  expect(() => calls.enter(second)).toThrow(/callsPerAgent/);
  calls.leave(first.call.reached);
  expect(calls.enter(second)).toBe(second);
});

test('one agent gets no more than three quarters of an upstream, and of the line before it', () => {
  const slots = new UpstreamSlots();
  const pool = { connections: 4, queue: 4, waitMs: 60_000 };
  const of = (agent: string) => classified(agent, { name: 'api', pool });
  const entered = Array.from({ length: 6 }, () => slots.enter(of('a'), false));
  expect(entered.map((place) => place === undefined)).toEqual([true, true, true, false, false, false]);
  expect(() => slots.enter(of('a'), false)).toThrow(/upstreams\.api\.pool/);
  expect(slots.enter(of('b'), false)).toBeUndefined();
  for (const place of entered) place?.catch(() => {});
});

test('a call that people approved is served before the others, whoever came first', async () => {
  const slots = new UpstreamSlots();
  const [first, other, approved] = ['a', 'b', 'c'].map((agent) => classified(agent, { name: 'api', pool: ONE_PLACE }));
  slots.enter(first as Classified, false);
  slots.enter(other as Classified, false)?.catch(() => {});
  const waiting = slots.enter(approved as Classified, true);
  slots.leave((first as Classified).call.reached);
  await waiting;
  expect([approved?.call.slot, other?.call.slot]).toEqual(['api', undefined]);
});
