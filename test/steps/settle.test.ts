// settle: runs for every call. Takes the credential back, writes the outcome, and closes what is open.

import { describe, expect } from 'vitest';
import { GatewayError } from '../../src/errors.ts';
import { it, LOOK, type OpenedCall, TRANSFER, type Workbench } from './workbench.ts';

const outcomes = (work: Workbench) =>
  work.bench.audit.filter(({ type }) => type === 'outcome').map(({ record }) => record);

describe('the credential', () => {
  it('of what people approved is taken back, and the record says so', async ({ work }) => {
    await work.run(await work.approved());
    expect([work.revoked, work.ledger.entries.size]).toEqual([['secret-1'], 0]);
    expect(outcomes(work)).toMatchObject([{ sent: true, status: 200, credential: { revoked: true } }]);
    expect(work.spans).toContain('revoke ended');
  });

  it('that cannot be taken back is said to be out there', async ({ work }) => {
    work.revoke = () => Promise.reject(new Error('the issuer is away'));
    await work.run(await work.approved());
    expect(work.spans).toContain('revoke ended credential_unavailable');
    expect(outcomes(work)).toMatchObject([{ credential: { revoked: false } }]);
    expect(work.ledger.entries.size).toBe(1);
  });

  it('that others share stays, unless the upstream refused it', async ({ work }) => {
    await work.run(work.call(LOOK));
    await work.run(work.call(LOOK));
    // So fresh a credential cannot be stale.
    work.bench.clock.advance(60_000);
    work.upstream = async () => ({ status: 401, complete: true });
    await work.run(work.call(LOOK));
    await work.run(work.call(LOOK));
    const ids = work.sent.map(({ credential }) => credential?.id);
    expect([work.revoked, new Set(ids.slice(0, 3)).size]).toEqual([[], 1]);
    expect(ids[3]).not.toBe(ids[0]);
  });
});

describe('the outcome of a hold', () => {
  it.for<[string, Workbench['upstream'], string]>([
    ['that was answered', async () => ({ status: 201, complete: true }), 'EXECUTED'],
    ['that the upstream refused', async () => ({ status: 500, complete: true }), 'UPSTREAM_ERROR'],
    [
      'of which no byte went out',
      () => Promise.reject(new GatewayError('upstream_unreachable', 'Nobody is there.', { executed: 'no' })),
      'UPSTREAM_ERROR',
    ],
    [
      'that broke off',
      () => Promise.reject(new GatewayError('upstream_aborted', 'It broke off.', { executed: 'maybe' })),
      'OUTCOME_UNKNOWN',
    ],
  ])('%s is recorded as it is known', async ([_what, upstream, state], { work }) => {
    work.upstream = upstream;
    const opened = await work.approved();
    await work.run(opened);
    expect((await work.hold()).state).toBe(state);
    expect(outcomes(work)).toMatchObject([{ call: opened.call.id, hold: { state } }]);
  });

  it('that was claimed and never sent is the end of its approval', async ({ work }) => {
    work.mint = () => Promise.reject(new GatewayError('credential_unavailable', 'The issuer is away.'));
    await work.run(await work.approved());
    expect(await work.hold()).toMatchObject({ state: 'EXPIRED', expiryReason: 'abandoned' });
    expect(outcomes(work)).toMatchObject([{ sent: false }]);
  });
});

describe('every call', () => {
  it('has one line, one count and one end of its span, whatever became of it', async ({ work }) => {
    for (const shape of [LOOK, { method: 'DELETE', path: '/x' }, { mount: 'elsewhere' }, TRANSFER])
      await work.run(work.call(shape));
    expect(work.lines.filter((event) => event === 'countersign.call.completed')).toHaveLength(4);
    expect(work.counted.map(({ status, error }) => [status, error])).toEqual([
      [200, undefined],
      [403, 'denied'],
      [404, 'not_found'],
      [409, 'approval_pending'],
    ]);
    expect(work.spans.filter((span) => span.startsWith('admit ended'))).toHaveLength(4);
  });

  it('is in the history of its task once, with the status that the agent got', async ({ work }) => {
    const { id } = await work.task();
    const headers = ['countersign-task', id];
    await work.run(work.call({ ...LOOK, headers }));
    await work.run(work.call({ method: 'DELETE', path: '/x', headers }));
    expect(work.bench.store.tasks.calls(id).map(({ method, decision, status }) => [method, decision, status])).toEqual([
      ['GET', 'allow', 200],
      ['DELETE', 'deny', 403],
    ]);
  });

  it('gives back what it counted: the calls of its agent and the place at its upstream', async ({ work }) => {
    work.limits = { callsPerAgent: 1 };
    work.mount = { pool: { connections: 1, queue: 1, waitMs: 60_000 } };
    for (let n = 0; n < 3; n++) await work.run(work.call(LOOK));
    expect(work.counted.map(({ status }) => status)).toEqual([200, 200, 200]);
  });

  it('that was cleared has its outcome on disk where people approved it, and soon otherwise', async ({ work }) => {
    const asked: string[] = [];
    const { audit } = work.bench.options;
    const { append } = audit;
    Object.assign(audit, {
      append: (...args: Parameters<typeof append>) => {
        if (args[0] === 'outcome') asked.push(args[3]);
        return append.apply(audit, args);
      },
    });
    await work.run(work.call(LOOK));
    await work.run(await work.approved());
    expect(asked).toEqual(['soon', 'fsync']);
  });

  it('is over for its agent although the outcome cannot be written, which is logged', async ({ work }) => {
    work.bench.onAppend(({ type }) => (type === 'outcome' ? Promise.reject(new Error('the disk is full')) : undefined));
    await work.run(work.call(LOOK));
    expect(work.lines).toEqual(['countersign.audit.outcome_lost', 'countersign.call.completed']);
  });
});

describe('an open call', () => {
  /** How many connections the kill switch cuts while this call's answer is under way, and how many after its end. */
  async function cutsOf(work: Workbench, opened: OpenedCall): Promise<readonly number[]> {
    const cuts: number[] = [];
    work.upstream = async (_outgoing, sink) => {
      sink.head(200, []);
      await work.suspend();
      cuts.push(work.openCalls.cut());
      if (cuts[0] === 1) throw new GatewayError('client_closed', 'The agent went away.');
      return { status: 200, complete: true };
    };
    await work.run(opened);
    return [...cuts, work.openCalls.cut()];
  }

  it('can be cut by the kill switch while it is with its upstream, and not after', async ({ work }) => {
    const opened = work.call(LOOK);
    expect(await cutsOf(work, opened)).toEqual([1, 0]);
    expect(opened.sink.told).toEqual(['head 200', 'abort', 'abort']);
    expect(work.counted.map(({ error }) => error)).toEqual(['principal_suspended']);
  });

  it('that the gateway makes for another is left alone: it ends with the call that it is for', async ({ work }) => {
    const subcall = { mount: 'ledger', identified: work.caller };
    expect(await cutsOf(work, work.call({ ...LOOK, subcall }))).toEqual([0, 0]);
  });

  it('that people approved runs to its end', async ({ work }) => {
    expect(await cutsOf(work, await work.approved())).toEqual([0, 0]);
  });
});
