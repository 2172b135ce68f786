// send: the call goes out, once. What people approved is marked as sent before its first byte, and never sent again.

import { describe, expect } from 'vitest';
import { GatewayError } from '../../src/errors.ts';
import { codeOf, failureOf } from '../support/failures.ts';
import { it, LOOK, type OpenedCall, upgradeOf, type Workbench } from './workbench.ts';

const sendOf = async (work: Workbench, opened: OpenedCall): Promise<void> => work.steps.send(await work.armed(opened));
const secretOf = ({ credential }: Workbench['sent'][number]): string | undefined =>
  credential?.injection.value.reveal();

describe('what goes upstream', () => {
  it('is the action with its credential; of what people approved only the bound fields, and the hold on the answer', async ({
    work,
  }) => {
    await sendOf(work, work.call(LOOK));
    const opened = await work.approved();
    await sendOf(work, opened);
    const hold = await work.hold();
    expect(work.sent).toMatchObject([
      { action: { path: '/accounts' }, boundHeadersOnly: false, responseHeaders: [] },
      { action: { path: '/transfers' }, boundHeadersOnly: true, responseHeaders: ['countersign-hold', hold.id] },
    ]);
    expect(work.sent.map(secretOf)).toEqual(['secret-1', 'secret-2']);
  });

  it('says the trace where the upstream is to know it', async ({ work }) => {
    await sendOf(work, work.call(LOOK));
    work.mount = { traceContext: true };
    await sendOf(work, work.call(LOOK));
    expect(work.sent.map(({ requestHeaders }) => requestHeaders)).toEqual([
      [],
      ['traceparent', expect.stringMatching(/^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$/)],
    ]);
  });
});

describe('a call that people approved', () => {
  it('is SENT, durably, before its first byte', async ({ work }) => {
    const states: unknown[] = [];
    work.upstream = async () => {
      states.push((await work.hold()).state);
      return { status: 200, complete: true };
    };
    const opened = await work.approved();
    await sendOf(work, opened);
    expect(states).toEqual(['SENT']);
  });

  it('is not sent again when the upstream refuses its credential', async ({ work }) => {
    work.upstream = async (_outgoing, sink) => {
      sink.whole(401, [], 'no');
      return { status: 401, complete: true };
    };
    const opened = await work.approved();
    await sendOf(work, opened);
    expect([work.sent.length, opened.sink.told]).toEqual([1, ['401 no']]);
  });

  it('is not sent when its claim was lost', async ({ work }) => {
    const armed = await work.armed(await work.approved());
    await work.suspend();
    expect(await codeOf(work.steps.send(armed))).toBe('principal_suspended');
    expect([work.sent, armed.call.reached.departed]).toEqual([[], undefined]);
  });
});

describe('a call that a rule allows', () => {
  /** Refuses every credential but the last one made. */
  const refusing =
    (_work: Workbench, good: string): Workbench['upstream'] =>
    async ({ credential }, sink) => {
      const isGood = credential?.injection.value.reveal() === good;
      sink.whole(isGood ? 200 : 401, [], isGood ? 'yes' : 'no');
      return { status: isGood ? 200 : 401, complete: true };
    };

  it('is sent once more, with a new credential, when the upstream refuses a shared one', async ({ work }) => {
    await sendOf(work, work.call(LOOK));
    // So fresh a credential cannot be stale.
    work.bench.clock.advance(60_000);
    work.upstream = refusing(work, 'secret-2');
    const opened = work.call(LOOK);
    await sendOf(work, opened);
    expect(work.sent.map(secretOf)).toEqual(['secret-1', 'secret-1', 'secret-2']);
    expect([opened.sink.told, opened.call.reached.sent]).toEqual([['200 yes'], { status: 200, complete: true }]);
  });

  it('is not sent again when no other credential is to be had: the agent gets the refusal', async ({ work }) => {
    await sendOf(work, work.call(LOOK));
    work.bench.clock.advance(60_000);
    work.upstream = refusing(work, 'none');
    work.mint = () => Promise.reject(new GatewayError('credential_unavailable', 'The issuer is away.'));
    const opened = work.call(LOOK);
    await sendOf(work, opened);
    expect([work.sent.length, opened.sink.told]).toEqual([2, ['401 no']]);
  });

  it('is not sent again when its credential is its own', async ({ work }) => {
    work.shareable = false;
    work.upstream = refusing(work, 'none');
    const opened = work.call(LOOK);
    await sendOf(work, opened);
    expect([work.sent.length, opened.sink.told]).toEqual([1, ['401 no']]);
  });

  it('is refused when its caller was suspended since it was armed', async ({ work }) => {
    const armed = await work.armed(work.call(LOOK));
    await work.suspend();
    expect(await codeOf(work.steps.send(armed))).toBe('principal_suspended');
    expect(work.sent).toEqual([]);
  });

  it('has no stream for a caller who was suspended meanwhile', async ({ work }) => {
    work.upstream = async ({ mayStream }) => {
      await work.suspend();
      mayStream?.();
      return { status: 200, complete: true };
    };
    expect(await codeOf(sendOf(work, work.call(LOOK)))).toBe('principal_suspended');
  });

  it('is refused when what its task did meanwhile makes policy deny it', async ({ work }) => {
    work.rules = [
      {
        id: 'once',
        match: { upstream: 'ledger' },
        when: 'task.calls.filter(c, c.status == 200).size() == 0',
        decide: 'allow',
      },
    ];
    const headers = ['countersign-task', (await work.task()).id];
    const first = work.call({ ...LOOK, headers });
    const armed = await work.armed(first);
    work.bench.clock.advance(1);
    await work.run(work.call({ ...LOOK, headers }));
    expect(await failureOf(work.steps.send(armed))).toMatchObject({
      code: 'denied',
      detail: expect.stringContaining('What its task has done since'),
    });
    expect(work.sent).toHaveLength(1);
  });
});

describe('a failure', () => {
  it.for([
    ['upstream_unreachable', 'no', new GatewayError('upstream_unreachable', 'Nobody is there.', { executed: 'no' })],
    ['upstream_aborted', 'maybe', new GatewayError('upstream_aborted', 'It broke off.', { executed: 'maybe' })],
    ['internal', 'maybe', new Error('a bug')],
  ] as const)('with %s: an effect is %s', async ([code, executed, thrown], { work }) => {
    work.upstream = () => Promise.reject(thrown);
    const opened = work.call(LOOK);
    expect(await failureOf(sendOf(work, opened))).toMatchObject({ code, executed });
    expect([opened.call.reached.departed, opened.call.reached.sent]).toEqual([true, undefined]);
    expect(work.spans.slice(-2)).toEqual(['client', `client ended ${code}`]);
  });

  it('of the second sending does not say that nothing was executed', async ({ work }) => {
    await sendOf(work, work.call(LOOK));
    work.bench.clock.advance(60_000);
    let came = 0;
    work.upstream = async (_outgoing, sink) => {
      came += 1;
      if (came === 2) throw new GatewayError('upstream_unreachable', 'Nobody is there.', { executed: 'no' });
      sink.whole(401, [], 'no');
      return { status: 401, complete: true };
    };
    expect(await failureOf(sendOf(work, work.call(LOOK)))).toMatchObject({ executed: 'maybe' });
  });
});

describe('a WebSocket', () => {
  it('is on record in its task when it opens, and is passed on its own connection', async ({ work }) => {
    work.mount = { webSocket: true };
    const task = await work.task();
    work.upstream = async () => {
      const [entry] = work.bench.store.tasks.calls(task.id);
      expect(entry).toMatchObject({ path: '/accounts', decision: 'allow' });
      expect(entry).not.toHaveProperty('status');
      return { status: 101, complete: true };
    };
    const opened = work.call({ ...LOOK, headers: ['countersign-task', task.id], upgrade: upgradeOf() });
    await sendOf(work, opened);
    expect([work.sent.length, opened.sink.told]).toEqual([1, []]);
  });
});
