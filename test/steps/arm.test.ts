// arm: the credential for this call, made after clearance and record.

import { describe, expect } from 'vitest';
import { GatewayError } from '../../src/errors.ts';
import { codeOf } from '../support/failures.ts';
import { it, LOOK } from './workbench.ts';

describe('the credential of a call', () => {
  it('is one of its own for what people approved, and one that others share for what a rule allows', async ({
    work,
  }) => {
    const [first, second] = [await work.armed(work.call(LOOK)), await work.armed(work.call(LOOK))];
    expect(first.credential?.exclusive).toBe(false);
    expect(second.credential).toBe(first.credential);
    const opened = await work.approved();
    const released = await work.armed(opened);
    expect(released.credential?.exclusive).toBe(true);
    expect(opened.call.reached.credential).toBe(released.credential);
    expect([...work.ledger.entries.values()].map(({ holdId }) => holdId)).toContain(released.hold?.id);
  });

  it('is made for the caller, the action and the plan of the decision', async ({ work }) => {
    const grants: unknown[] = [];
    const { mint } = work;
    work.mint = (grant) => {
      grants.push(grant);
      return mint(grant);
    };
    const { principal, action } = await work.armed(work.call(LOOK));
    expect(grants).toMatchObject([{ principal, action, plan: { name: 'key' } }]);
  });

  it('is none where the upstream has none', async ({ work }) => {
    work.credential = undefined;
    expect(await work.armed(work.call(LOOK))).not.toHaveProperty('credential');
    expect(work.spans).toEqual(['admit']);
  });

  it('that cannot be made ends the call, and its span says why', async ({ work }) => {
    work.mint = () => Promise.reject(new GatewayError('credential_unavailable', 'The issuer is away.'));
    expect(await codeOf(work.armed(work.call(LOOK)))).toBe('credential_unavailable');
    expect(work.spans).toEqual(['admit', 'mint', 'mint ended credential_unavailable']);
  });

  it('costs a span when it is made, and none when it is at hand', async ({ work }) => {
    await work.armed(work.call(LOOK));
    await work.armed(work.call(LOOK));
    expect(work.spans).toEqual(['admit', 'mint', 'mint ended', 'admit']);
  });
});

describe('a caller who is suspended', () => {
  it('since the call was identified gets no credential', async ({ work }) => {
    const journaled = await work.journaled(work.call(LOOK));
    await work.suspend();
    expect(() => work.steps.arm(journaled)).toThrow(expect.objectContaining({ code: 'principal_suspended' }));
    expect(work.ledger.entries.size).toBe(0);
  });

  it('while the credential is made gets the refusal, and the credential is known to be taken back', async ({
    work,
  }) => {
    const { mint } = work;
    work.mint = async (grant) => {
      await work.suspend();
      return mint(grant);
    };
    work.shareable = false;
    const opened = work.call(LOOK);
    expect(await codeOf(work.armed(opened))).toBe('principal_suspended');
    expect(opened.call.reached.credential).toBeDefined();
    await work.steps.settle(opened.call.reached);
    expect([work.revoked.length, work.ledger.entries.size]).toEqual([1, 0]);
  });
});

describe('a place at the upstream', () => {
  it('is taken before the credential is made, and waited for', async ({ work }) => {
    work.mount = { pool: { connections: 1, queue: 1, waitMs: 60_000 } };
    const first = work.call(LOOK);
    await work.armed(first);
    const second = work.call(LOOK);
    const journaled = await work.journaled(second);
    const armed = Promise.resolve(work.steps.arm(journaled));
    expect(second.call.slot).toBeUndefined();
    await work.steps.settle(first.call.reached);
    expect((await armed).credential).toBeDefined();
    expect(second.call.slot).toBe('ledger');
  });
});
