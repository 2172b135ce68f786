// identify: who calls, whether they are suspended, and how many calls of theirs are under way.

import { describe, expect } from 'vitest';
import { GatewayError } from '../../src/errors.ts';
import { codeOf } from '../support/failures.ts';
import { principalOf } from '../support/holds/values.ts';
import { it, LOOK } from './workbench.ts';

describe('the caller', () => {
  it('is on the call from then on, with the token that proved it', async ({ work }) => {
    const opened = work.call();
    const { principal, token } = await work.recognised(opened);
    expect([principal.id, token?.reveal()]).toEqual([principalOf().id, 'agents-token-literal']);
    expect(opened.call.reached.principal).toBe(principal);
  });

  it('who proves nothing is refused by the reason that identity gives', async ({ work }) => {
    const opened = work.call();
    const refused = new GatewayError('token_expired', 'The token has expired (exp).');
    const runtime = { ...opened.call.runtime.identity, identify: () => Promise.reject(refused) };
    Object.assign(opened.call.runtime, { identity: runtime });
    expect(await codeOf(work.recognised(opened))).toBe('token_expired');
    expect(opened.call.reached.principal).toBeUndefined();
  });

  it('who is suspended is refused, and named in what is known of the call', async ({ work }) => {
    await work.suspend();
    const opened = work.call();
    expect(await codeOf(work.recognised(opened))).toBe('principal_suspended');
    expect(opened.call.reached.principal?.id).toBe(principalOf().id);
  });

  it('is refused for a task that is suspended, and not for another', async ({ work }) => {
    const [stopped, other] = [await work.task(), await work.task()];
    await work.bench.store.suspensions.suspend({ task: stopped.id }, { by: 'idp#sam', reason: 'odd' });
    const under = (task: string) => work.recognised(work.call({ ...LOOK, headers: ['countersign-task', task] }));
    expect(await codeOf(under(stopped.id))).toBe('principal_suspended');
    expect((await under(other.id)).principal.id).toBe(principalOf().id);
  });
});

describe('a call that the gateway makes for another', () => {
  const subcall = (expiresAt: number) => ({
    mount: 'ledger',
    identified: { principal: principalOf({ id: 'spiffe://prod.example.org/other', expiresAt }) },
  });

  it('is that caller’s, without another proof', async ({ work }) => {
    const { principal } = await work.recognised(work.call({ subcall: subcall(Number.MAX_SAFE_INTEGER) }));
    expect(principal.id).toBe('spiffe://prod.example.org/other');
  });

  it('is refused from the moment when that caller’s proof has expired', async ({ work }) => {
    const now = work.bench.clock.now();
    expect(await codeOf(work.recognised(work.call({ subcall: subcall(now) })))).toBe('token_expired');
    expect(await codeOf(work.recognised(work.call({ subcall: subcall(now + 1) })))).toBe('resolved');
  });

  it('does not count among the calls of its agent', async ({ work }) => {
    work.limits = { callsPerAgent: 1 };
    await work.recognised(work.call());
    expect(await codeOf(work.recognised(work.call({ subcall: subcall(Number.MAX_SAFE_INTEGER) })))).toBe('resolved');
    expect(await codeOf(work.recognised(work.call()))).toBe('too_many_calls');
  });
});
