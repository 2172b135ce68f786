// refuse: how a call ends that does not come back from an upstream: on record, on the span, and in words to the agent.

import { describe, expect } from 'vitest';
import { GatewayError } from '../../src/errors.ts';
import { it, LOOK, TRANSFER, type Workbench } from './workbench.ts';

const told = (text: string | undefined) => JSON.parse(text?.replace(/^\d+ /, '') ?? '') as Record<string, unknown>;
const decisions = (work: Workbench) => work.bench.audit.filter(({ type }) => type === 'decision');

describe('a refused call', () => {
  it('is told its agent as a problem document', async ({ work }) => {
    const opened = work.call({ method: 'DELETE', path: '/accounts' });
    await work.run(opened);
    expect(opened.sink.told).toHaveLength(1);
    expect(told(opened.sink.told[0])).toMatchObject({ status: 403, code: 'denied', reasons: ['rule:drop'] });
    expect(opened.call.told).toBe(403);
  });

  it('is on record when its caller is known, with the reason, and has one span that ends with it', async ({ work }) => {
    const opened = work.call({ method: 'DELETE', path: '/accounts' });
    await work.run(opened);
    expect(decisions(work)).toMatchObject([
      { record: { call: opened.call.id, error: 'denied', decision: { effect: 'deny' } } },
    ]);
    expect(opened.call.reached.auditSeq).toBe(1);
    expect(work.spans).toEqual(['admit', 'admit ended denied']);
  });

  it('is not on record when nobody knows who called', async ({ work }) => {
    const opened = work.call({ mount: 'elsewhere' });
    await work.run(opened);
    expect([work.bench.audit, opened.call.told]).toEqual([[], 404]);
    expect(work.spans).toEqual(['admit', 'admit ended not_found']);
  });

  it('is told its agent although the record cannot be written', async ({ work }) => {
    work.bench.onAppend(() => Promise.reject(new Error('the disk is full')));
    const opened = work.call({ method: 'DELETE', path: '/accounts' });
    await work.run(opened);
    expect(told(opened.sink.told[0]).code).toBe('denied');
    expect(opened.call.reached.auditSeq).toBeUndefined();
  });

  it('is not on record twice when it was cleared before', async ({ work }) => {
    work.upstream = () =>
      Promise.reject(new GatewayError('upstream_unreachable', 'Nobody is there.', { executed: 'no' }));
    await work.run(work.call(LOOK));
    expect(work.bench.audit.map(({ type }) => type)).toEqual(['decision', 'outcome']);
  });

  it('that waits for people has no span beside its hold’s', async ({ work }) => {
    await work.run(work.call(TRANSFER));
    expect(work.spans).toEqual(['admit', 'admit ended']);
  });
});

describe('a fault of the gateway', () => {
  it('is logged, and the agent is told nothing of it', async ({ work }) => {
    work.upstream = () => Promise.reject(new Error('a bug with a secret'));
    const opened = work.call(LOOK);
    await work.run(opened);
    expect(work.lines).toContain('countersign.call.failed');
    expect(told(opened.sink.told[0]).code).toBe('internal');
    expect(opened.sink.told.join()).not.toContain('a bug with a secret');
  });
});

describe('an answer that has begun', () => {
  it('is cut: nothing can be said any more', async ({ work }) => {
    work.upstream = async (_outgoing, sink) => {
      sink.head(200, []);
      throw new GatewayError('upstream_aborted', 'It broke off.');
    };
    const opened = work.call(LOOK);
    await work.run(opened);
    expect([opened.sink.told, opened.call.told]).toEqual([['head 200', 'abort'], undefined]);
  });
});

describe('an approval that was claimed', () => {
  it('and not sent is spent, and the agent is told so with the hold', async ({ work }) => {
    work.mint = () => Promise.reject(new GatewayError('credential_unavailable', 'The issuer is away.'));
    const opened = await work.approved();
    await work.run(opened);
    const hold = await work.hold();
    expect(told(opened.sink.told[0])).toMatchObject({
      code: 'credential_unavailable',
      detail: expect.stringContaining('The issuer is away. The approval of this call is spent. Nothing was executed.'),
      hold: { id: hold.id },
    });
    expect(opened.call.reached.error?.executed).toBe('no');
  });

  it('and may have been sent is not said to be without effect', async ({ work }) => {
    work.upstream = () => Promise.reject(new GatewayError('upstream_aborted', 'It broke off.', { executed: 'maybe' }));
    const opened = await work.approved();
    await work.run(opened);
    expect(told(opened.sink.told[0]).detail).not.toContain('spent');
    expect(opened.call.reached.error?.executed).toBe('maybe');
  });
});
