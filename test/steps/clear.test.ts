// clear: from a decision to the right to send. An allow clears itself, a deny ends the call, a hold waits for people.

import { describe, expect } from 'vitest';
import type { GatewayError } from '../../src/errors.ts';
import { codeOf, failureOf } from '../support/failures.ts';
import { deny } from '../support/holds/bench.ts';
import { principalOf } from '../support/holds/values.ts';
import { it, LOOK, RULES, TRANSFER, type Workbench } from './workbench.ts';

const refusalOf = async (promise: Promise<unknown>) => (await failureOf(promise)) as GatewayError;

describe('a call that a rule allows', () => {
  it('is cleared by that alone', async ({ work }) => {
    const { clearance } = await work.cleared(work.call(LOOK));
    expect([clearance.kind, clearance.decision.effect]).toEqual(['allowed', 'allow']);
    expect((await work.bench.store.holds.list({})).holds).toEqual([]);
    expect(work.spans).toEqual(['admit']);
  });
});

describe('a call that policy denies', () => {
  it.for([
    ['DELETE', 'denied', /^Policy denies this call\..*Nothing is deleted\./, ['rule:drop']],
    ['PUT', 'no_matching_rule', /^No rule allows this call\.$/, ['no_matching_rule']],
  ] as const)('%s ends with %s, and asks nobody', async ([method, code, detail, reasons], { work }) => {
    const refusal = await refusalOf(work.cleared(work.call({ method, path: '/accounts' })));
    expect(refusal).toMatchObject({ code, detail: expect.stringMatching(detail), details: { members: { reasons } } });
    expect((await work.bench.store.holds.list({})).holds).toEqual([]);
    expect(work.spans).toEqual([]);
  });
});

describe('a call that needs people', () => {
  it('is pending at once when the agent does not wait, and its hold is durable', async ({ work }) => {
    const opened = work.call(TRANSFER);
    const refusal = await refusalOf(work.cleared(opened));
    const hold = await work.hold();
    expect(refusal).toMatchObject({ code: 'approval_pending', details: { holdId: hold.id } });
    expect(hold).toMatchObject({ state: 'PENDING', action: { path: '/transfers', bodyLength: 12 } });
    expect(opened.call.reached).toMatchObject({ hold: { id: hold.id }, heldMs: 0 });
    expect([opened.call.span, work.spans]).toEqual([undefined, ['admit', 'admit ended']]);
  });

  it.for([
    [[], 60_000],
    [['prefer', 'wait=5'], 5_000],
    [['prefer', 'wait=600'], 60_000],
    [['prefer', 'respond-async'], 0],
    [['prefer', 'respond-async, wait=5'], 5_000],
  ] as const)(
    'waits as long as the agent prefers, and never longer than limits.wait: %j',
    async ([headers, waitMs], { work }) => {
      work.limits = { waitMs: 60_000 };
      const asked: number[] = [];
      const { approvals } = work.bench;
      const { obtain } = approvals;
      Object.assign(approvals, {
        obtain(request: Parameters<typeof obtain>[0]) {
          asked.push(request.waitMs);
          return obtain.call(approvals, { ...request, waitMs: 0 });
        },
      });
      expect(await codeOf(work.cleared(work.call({ ...TRANSFER, headers })))).toBe('approval_pending');
      expect(asked).toEqual([waitMs]);
    },
  );

  it('is cleared by its approval, under the hold’s own span, and by no other call’s', async ({ work }) => {
    const opened = await work.approved();
    const { clearance, hold, decision } = await work.cleared(opened);
    expect([clearance.kind, decision.effect, hold?.state]).toEqual(['released', 'allow', 'RELEASING']);
    expect(work.spans.slice(-2)).toEqual(['admit', 'release']);
    expect(opened.call.answerSpan).toBeDefined();
    const other = work.call({ ...TRANSFER, body: { amount: 6 } });
    expect(await codeOf(work.cleared(other))).toBe('approval_pending');
  });

  it('is told that people denied it', async ({ work }) => {
    await work.run(work.call(TRANSFER));
    await deny(work.bench, await work.hold());
    expect(await codeOf(work.cleared(work.call(TRANSFER)))).toBe('approval_denied');
  });

  const dataChanged = RULES.map((rule) => (rule.id === 'pay' ? { ...rule, data: 'secret' } : rule));
  it.for<[string, (work: Workbench) => Promise<unknown> | unknown]>([
    ['a change of the rule', (work) => Object.assign(work, { rules: dataChanged })],
    ['a move of the upstream', (work) => Object.assign(work.mount, { url: 'https://elsewhere.example.org' })],
    ['a suspension of the caller', (work) => work.suspend()],
  ])('is not cleared by an approval that was given before %s', async ([_what, change], { work }) => {
    const opened = await work.approved();
    await change(work);
    expect(await codeOf(work.cleared(opened))).toMatch(/^(approval_invalidated|principal_suspended)$/);
    expect((await work.hold()).state).toMatch(/^(INVALIDATED|REVOKED)$/);
  });

  it('keeps its approval when there is no place at its upstream', async ({ work }) => {
    work.mount = { pool: { connections: 1, queue: 1, waitMs: 1 } };
    await work.armed(work.call(LOOK));
    const opened = await work.approved();
    const refusal = await refusalOf(work.cleared(opened));
    expect(refusal).toMatchObject({ code: 'too_many_calls', detail: expect.stringContaining('The approval stays') });
    expect((await work.hold()).state).toBe('APPROVED');
  });
});

describe('what cannot be held', () => {
  it('is a body that is larger than limits.heldBody', async ({ work }) => {
    work.limits = { heldBodyBytes: 11 };
    expect(await codeOf(work.cleared(work.call(TRANSFER)))).toBe('payload_too_large');
    work.limits = { heldBodyBytes: 12 };
    expect(await codeOf(work.cleared(work.call(TRANSFER)))).toBe('approval_pending');
  });

  it('is a call that would lose a field on which its effect depends; other fields are named to people', async ({
    work,
  }) => {
    const deciding = work.call({ ...TRANSFER, headers: ['if-unmodified-cache', '1'] });
    expect(await refusalOf(work.cleared(deciding))).toMatchObject({
      code: 'field_not_bound',
      details: { members: { fields: ['if-unmodified-cache'] } },
    });
    expect((await work.bench.store.holds.list({})).holds).toEqual([]);
    expect(await codeOf(work.cleared(work.call({ ...TRANSFER, headers: ['x-colour', 'red'] })))).toBe(
      'approval_pending',
    );
    expect((await work.hold()).action.leftBehind).toEqual(['x-colour']);
  });
});

describe('an agent that goes away while it waits', () => {
  it.for([
    [true, 'CANCELLED'],
    [false, 'PENDING'],
  ] as const)(
    'cancels its hold where the protocol says so (%s): the hold is %s',
    async ([cancelsOnClose, state], { work }) => {
      work.limits = { waitMs: 60_000 };
      const { promise: begun, resolve } = Promise.withResolvers<void>();
      work.handler = {
        ...{ requestHeaders: () => [], onMessage: () => undefined, enrich: (action) => action },
        beforeSend: async () => ({ detached: false, through: (sink) => sink }),
        afterResponse: async () => {},
        refusal: () => undefined,
        onHold: (_decided, waitMs) => ({ waitMs, cancelsOnClose, begin: () => resolve(), end() {} }),
      };
      const opened = work.call(TRANSFER);
      const cleared = codeOf(work.cleared(opened));
      await begun;
      opened.leave();
      expect(await cleared).toBe('client_closed');
      await expect.poll(async () => (await work.hold()).state).toBe(state);
      expect((await work.hold()).principal.id).toBe(principalOf().id);
    },
  );
});
