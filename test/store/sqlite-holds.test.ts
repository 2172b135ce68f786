import { describe, expect, it } from 'vitest';
import { recordHold } from '../../src/approvals/hold-record.ts';
import { advance, openHold } from '../../src/approvals/machine.ts';
import type { Hold, HoldState, PendingHold } from '../../src/domain/hold.ts';
import { GatewayError } from '../../src/errors.ts';
import { codeOf } from '../support/failures.ts';
import { approve, openHoldBy } from '../support/holds/bench.ts';
import { useBench } from '../support/holds/use-bench.ts';
import { actionOf, decisionOf, principalOf, requestOf, requirementOf } from '../support/holds/values.ts';
import { taskOf } from '../support/tasks.ts';

const bench = useBench();

const openMany = (count: number) =>
  Promise.all(Array.from({ length: count }, (_, i) => openHoldBy(bench, { action: actionOf({}, String(i)) })));
const cancel = (hold: Hold) =>
  bench.store.holds.change(hold.id, (seen, now) => ({
    next: advance(seen, { type: 'cancel' }, now),
    answer: `was ${seen.state}`,
  }));

describe('holds in SQLite', () => {
  it('gives back exactly what was stored', async () => {
    const hold = openHold(
      recordHold(
        requestOf({
          idempotencyKey: 'k',
          action: actionOf(
            { args: JSON.parse('{"__proto__": 1, "é": [null, true]}'), tool: 't' },
            'body \u0000 \u{1f512}',
          ),
          task: taskOf({ revision: 3, plan: ['a'], labels: ['l'] }),
        }),
        'digest',
        ['owner'],
      ),
      bench.clock.now(),
    );
    await bench.store.holds.admit(
      { principalId: hold.principal.id, agentKey: hold.principal.id, requestDigest: 'digest' },
      () => ({
        opened: { hold, content: {}, reserves: [] },
        answer: undefined,
      }),
    );
    expect(await bench.store.holds.get(hold.id)).toEqual(JSON.parse(JSON.stringify(hold)));
    expect(await bench.store.holds.get('hold_none')).toBeUndefined();
  });

  it('shows admission the holds with the same request or the same key, newest first, and of this principal only', async () => {
    const first = await openHoldBy(bench, { idempotencyKey: 'k' });
    await bench.approvals.cancel(first.id, principalOf());
    await openHoldBy(bench, { principal: principalOf({ id: 'spiffe://prod.example.org/other' }), idempotencyKey: 'k' });
    const second = await openHoldBy(bench);
    await openHoldBy(bench, { action: actionOf({}, 'unrelated') });
    const seen = await bench.store.holds.admit(
      { principalId: first.principal.id, agentKey: first.principal.id, requestDigest: first.requestDigest },
      (known, usage) => ({
        answer: { ids: known.map((hold) => hold.id), pending: usage().pending },
      }),
    );
    expect(seen).toEqual({ ids: [second.id, first.id], pending: 2 });
    const byKey = await bench.store.holds.admit(
      { principalId: first.principal.id, agentKey: first.principal.id, requestDigest: 'other', idempotencyKey: 'k' },
      (known) => ({
        answer: known.map((hold) => hold.id),
      }),
    );
    expect(byKey).toEqual([first.id]);
  });

  it('undoes a change that throws, alone, and keeps those of the same turn', async () => {
    const [a, b, c] = (await openMany(3)) as [Hold, Hold, Hold];
    const outcomes = await Promise.allSettled([
      cancel(a),
      bench.store.holds.change(b.id, (seen, now) => {
        const next = advance(seen, { type: 'cancel' }, now);
        if (next.state === 'CANCELLED') throw new GatewayError('hold_closed', 'no');
        return { next, answer: undefined };
      }),
      cancel(c),
    ]);
    expect(outcomes.map((outcome) => outcome.status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    const states = await Promise.all([a, b, c].map(async (hold) => (await bench.store.holds.get(hold.id))?.state));
    expect(states).toEqual(['CANCELLED', 'PENDING', 'CANCELLED']);
  });

  it('undoes a write that failed after its first statement', async () => {
    const hold = (await openHoldBy(bench)) as PendingHold;
    const twin = { ...hold, id: 'hold_twin', action: { ...hold.action, args: JSON.parse('{}') } };
    Object.defineProperty(twin.action, 'toJSON', {
      value: () => {
        throw new RangeError('cannot be written');
      },
    });
    const write = bench.store.holds.admit({ principalId: 'p', agentKey: 'p', requestDigest: 'd' }, () => ({
      opened: { hold: twin, content: {}, reserves: [] },
      answer: undefined,
    }));
    await expect(write).rejects.toThrow(RangeError);
    expect(await bench.store.holds.get('hold_twin')).toBeUndefined();
    expect((await bench.store.holds.list({})).holds).toHaveLength(1);
  });

  it('counts versions and answers with the hold as it now stands', async () => {
    const hold = await openHoldBy(bench);
    expect(await cancel(hold)).toMatchObject({ hold: { state: 'CANCELLED', version: 2 }, answer: 'was PENDING' });
    const unchanged = await bench.store.holds.change(hold.id, () => ({ answer: 7 }));
    expect(unchanged).toMatchObject({ hold: { version: 2 }, answer: 7 });
    expect(await codeOf(bench.store.holds.change('hold_none', () => ({ answer: 0 })))).toBe('hold_not_found');
  });

  it.each(['action', 'principal', 'bindingDigest', 'deadline', 'requirements'] as const)(
    'refuses to change a hold’s %s',
    async (member) => {
      const hold = await openHoldBy(bench);
      const change = bench.store.holds.change(hold.id, (seen) => ({
        next: { ...seen, [member]: structuredClone({ other: 1 }) },
        answer: undefined,
      }));
      await expect(change).rejects.toThrow(TypeError);
      expect((await bench.store.holds.get(hold.id))?.version).toBe(1);
    },
  );

  it('pages newest first through every hold, once', async () => {
    const ids = (await openMany(7)).map((hold) => hold.id);
    const seen: string[] = [];
    let after: string | undefined;
    do {
      const page = await bench.store.holds.list({ limit: 3, ...(after === undefined ? {} : { after }) });
      seen.push(...page.holds.map((hold) => hold.id));
      after = page.next;
    } while (after !== undefined);
    expect(seen).toHaveLength(7);
    expect(new Set(seen)).toEqual(new Set(ids));
  });

  it('lists by state, principal and task, and takes a foreign cursor for the end', async () => {
    const [first] = (await openMany(2)) as [Hold, Hold];
    await cancel(first);
    const list = async (query: Parameters<typeof bench.store.holds.list>[0]) =>
      (await bench.store.holds.list(query)).holds.length;
    expect(await list({ states: ['CANCELLED'] })).toBe(1);
    expect(await list({ states: ['PENDING', 'CANCELLED'] })).toBe(2);
    expect(await list({ states: [] })).toBe(0);
    expect(await list({ principalId: 'nobody' })).toBe(0);
    expect(await list({ taskId: 'none' })).toBe(0);
    expect(await list({ after: "1' OR 1=1 --" })).toBe(0);
  });

  it('names what is due by its own clock, and what other processes claimed', async () => {
    const [a, b] = (await openMany(2)) as [Hold, Hold];
    await approve(bench, a);
    expect(await bench.store.holds.due(10)).toEqual([]);
    bench.clock.advance(2 * 60_000);
    expect(await bench.store.holds.due(10)).toEqual([a.id]);
    bench.clock.advance(13 * 60_000);
    expect([...(await bench.store.holds.due(10))].sort()).toEqual([a.id, b.id].sort());
    expect(await bench.store.holds.due(1)).toHaveLength(1);
  });

  it('tells listeners every committed change in order, with the state before it, and nothing that was undone', async () => {
    const seen: [HoldState | undefined, HoldState][] = [];
    const stop = bench.store.holds.subscribe((hold, before) => seen.push([before, hold.state]));
    const hold = await openHoldBy(bench);
    await bench.store.holds.change(hold.id, () => Promise.reject as never).catch(() => {});
    await approve(bench, hold);
    await cancel(hold);
    stop();
    await openMany(1);
    expect(seen).toEqual([
      [undefined, 'PENDING'],
      ['PENDING', 'APPROVED'],
      ['APPROVED', 'CANCELLED'],
    ]);
  });

  it('lets other turns of the event loop in while thousands of writes wait', async () => {
    const holds = await openMany(1_000);
    let turns = 0;
    let done = false;
    const count = () => {
      turns++;
      if (!done) setImmediate(count);
    };
    setImmediate(count);
    await Promise.all(holds.map(cancel));
    done = true;
    expect(turns).toBeGreaterThanOrEqual(5);
  });
});

describe('a hold whose record is damaged', () => {
  /** The record as it is after somebody, or a disk, took its end away: APPROVED, and no time until when. */
  async function damaged(hold: Hold): Promise<void> {
    await bench.restart((db) => {
      db.prepare(
        "UPDATE hold SET state = 'APPROVED', record = json_set(record, '$.state', 'APPROVED') WHERE id = ?",
      ).run(hold.id);
    });
    expect(await codeOf(bench.store.holds.get(hold.id))).toBe('store_unavailable');
  }

  it('does not keep its agent from being suspended, and the agent’s other holds from being revoked', async () => {
    const [broken, whole] = (await openMany(2)) as [Hold, Hold];
    await damaged(broken);
    const { revoked } = await bench.store.suspensions.suspend(
      { principal: principalOf().id },
      { by: 'idp#sam', reason: 'odd' },
    );
    expect(revoked).toBe(1);
    expect((await bench.store.holds.get(whole.id))?.state).toBe('REVOKED');
    expect(bench.store.suspensions.covering(whole)).toBeDefined();
  });

  it('does not hide the others from their reviewers', async () => {
    const [first, broken, last] = (await openMany(3)) as [Hold, Hold, Hold];
    await damaged(broken);
    expect((await bench.store.holds.list({})).holds.map(({ id }) => id)).toEqual([last.id, first.id]);
  });

  it('does not keep the sweep from the others, and the operator hears of it', async () => {
    const broken = await openHoldBy(bench);
    const escalate = { afterMs: 1_000, to: ['group:heads'] };
    const requirements = [requirementOf({ escalate, decideWithinMs: 48 * 3_600_000 })];
    const escalating = await openHoldBy(bench, {
      action: actionOf({}, 'another'),
      decision: decisionOf({ requirements }),
    });
    await bench.restart((db) => {
      db.prepare("UPDATE hold SET record = json_set(record, '$.claim', 'x') WHERE id = ?").run(broken.id);
    });
    bench.clock.advance(24 * 3_600_000);
    await bench.approvals.sweep();
    expect(await bench.store.holds.get(escalating.id)).toMatchObject({ state: 'PENDING', escalations: 1 });
    expect(bench.errors).toEqual(['approvals.sweep_failed']);
  });

  it('does not keep the gateway from starting', async () => {
    const broken = await openHoldBy(bench);
    await bench.restart((db) => {
      db.prepare("UPDATE hold SET state = 'SENT', record = json_set(record, '$.state', 'SENT') WHERE id = ?").run(
        broken.id,
      );
    });
    await bench.approvals.start();
    expect(bench.errors).toEqual(['approvals.sweep_failed']);
  });
});
