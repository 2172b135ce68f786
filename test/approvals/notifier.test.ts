// The worker over a real outbox: order, retries by the clock, the end of patience, and no channel waiting for another.

import { afterEach, expect, it } from 'vitest';
import type { Channel, Message } from '../../src/approvals/notify/channel.ts';
import { type Notifier, startNotifier } from '../../src/approvals/notify/worker.ts';
import { silentLog } from '../../src/domain/log.ts';
import { openHoldBy } from '../support/holds/bench.ts';
import { useBench } from '../support/holds/use-bench.ts';
import { actionOf, decisionOf } from '../support/holds/values.ts';

const bench = useBench();
let notifier: Notifier | undefined;
afterEach(() => notifier?.close(0));

const counted: string[] = [];

function start(channels: Readonly<Record<string, Channel>>): void {
  notifier = startNotifier({
    outbox: bench.store.notifications,
    channel: (name) => channels[name],
    pages: () => 'https://desk.example.org',
    clock: bench.clock,
    log: silentLog,
    metrics: { notified: (channel, outcome) => counted.push(`${channel} ${outcome}`) },
    delaysMs: [1_000, 10_000],
  });
}

/** Holds that tell these channels. */
async function holdsFor(count: number, ...notify: string[]): Promise<void> {
  for (let i = 0; i < count; i++)
    await openHoldBy(bench, {
      action: actionOf({ target: `/${notify.join('-')}/${i}` }),
      decision: decisionOf({ notify }),
    });
}

it('serves a channel although another has a backlog and does not answer', async () => {
  await holdsFor(120, 'slow');
  await holdsFor(1, 'fast');
  const arrived = Promise.withResolvers<Message>();
  start({
    slow: () => new Promise(() => {}),
    fast: async (message) => {
      arrived.resolve(message);
      return { kind: 'delivered' };
    },
  });
  expect((await arrived.promise).link).toMatch(/^https:\/\/desk\.example\.org\/holds\/hold_/);
});

it('tries again after each delay and not before, and then gives up', async () => {
  await holdsFor(1, 'down');
  const attempts: number[] = [];
  let tried = Promise.withResolvers<void>();
  start({
    down: async () => {
      attempts.push(bench.clock.now());
      tried.resolve();
      return { kind: 'failed', error: 'No.' };
    },
  });
  const [only] = await bench.store.notifications.list({});
  for (const [attempt, delayMs] of [1_200, 12_000, 0].entries()) {
    await tried.promise;
    tried = Promise.withResolvers();
    await expect
      .poll(async () => (await bench.store.notifications.list({}))[0]?.attempts, { timeout: 10_000 })
      .toBe(attempt + 1);
    const [row] = await bench.store.notifications.list({});
    expect(row?.state).toBe(attempt === 2 ? 'DEAD' : 'PENDING');
    if (row?.state === 'PENDING') {
      expect(row.dueAt - bench.clock.now()).toBeGreaterThanOrEqual((delayMs / 1.2) * 0.8 - 1);
      expect(row.dueAt - bench.clock.now()).toBeLessThanOrEqual(delayMs);
    }
    bench.clock.advance(delayMs);
    notifier?.wake();
  }
  expect(attempts.length).toBe(3);
  expect(counted.filter((each) => each.startsWith('down'))).toEqual(['down failed', 'down failed', 'down dead']);
  expect((await bench.store.notifications.list({ state: 'DEAD' })).map(({ id }) => id)).toEqual([only?.id]);
});

it('waits as long as the receiver asks for', async () => {
  await holdsFor(1, 'busy');
  start({ busy: async () => ({ kind: 'failed', error: 'Later.', afterMs: 60_000 }) });
  await expect.poll(async () => (await bench.store.notifications.list({}))[0]?.attempts, { timeout: 10_000 }).toBe(1);
  expect((await bench.store.notifications.list({}))[0]?.dueAt).toBe(bench.clock.now() + 60_000);
});

it('gives up at once on a channel that is not configured, and on a fault says its code only', async () => {
  await holdsFor(1, 'gone', 'broken');
  start({
    broken: async () => {
      throw Object.assign(new Error('connect https://hooks.example.org/secret-path'), { code: 'ECONNREFUSED' });
    },
  });
  await expect
    .poll(async () => (await bench.store.notifications.list({})).filter(({ attempts }) => attempts === 1).length, {
      timeout: 10_000,
    })
    .toBe(2);
  const errors = Object.fromEntries(
    (await bench.store.notifications.list({})).map(({ channel, lastError }) => [channel, lastError]),
  );
  expect(errors).toEqual({
    gone: 'No channel of this name is configured.',
    broken: 'The receiver could not be reached: ECONNREFUSED.',
  });
});
