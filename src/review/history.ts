// Earlier holds to compare with: the last approved action of the same kind, and denials of the same agent. Only holds
// that name the reader.

import { heldArguments } from '../domain/held-arguments.ts';
import type { DeniedHold, Hold, HoldState, OnceApprovedHold } from '../domain/hold.ts';
import type { HoldStore } from '../domain/hold-store.ts';
import type { Json } from '../domain/json.ts';
import type { Reviewer } from '../domain/reviewer.ts';
import { type Eligibility, isNamed } from './permissions.ts';

export interface HoldHistory {
  /** Same agent, upstream and method, and the same tool or path. A WebSocket is compared with WebSockets only. */
  readonly approved?: { readonly hold: OnceApprovedHold; readonly value?: Json };
  /** Of this agent, newest first. */
  readonly denied: readonly DeniedHold[];
}

const USED: readonly HoldState[] = ['EXECUTED', 'UPSTREAM_ERROR', 'SENT', 'RELEASING', 'APPROVED', 'OUTCOME_UNKNOWN'];
const DENIALS_SHOWN = 5;

export async function loadHistory(
  holds: HoldStore,
  eligibility: Eligibility,
  reviewer: Reviewer,
  hold: Hold,
): Promise<HoldHistory> {
  const principalId = hold.principal.id;
  const [used, denied] = await Promise.all([
    holds.list({ principalId, states: USED, limit: 200 }),
    holds.list({ principalId, states: ['DENIED'], limit: 50 }),
  ]);
  const before = (other: Hold): boolean =>
    other.id !== hold.id && other.createdAt <= hold.createdAt && isNamed(eligibility, other, reviewer);
  const approved = used.holds.find(
    (other): other is OnceApprovedHold => 'approvedAt' in other && before(other) && isSimilar(other, hold),
  );
  const value = approved && heldArguments((await holds.content(approved.id)) ?? {});
  return {
    ...(approved !== undefined && { approved: { hold: approved, ...(value !== undefined && { value }) } }),
    denied: denied.holds
      .filter((other): other is DeniedHold => other.state === 'DENIED' && before(other))
      .slice(0, DENIALS_SHOWN),
  };
}

function isSimilar({ action: a }: Hold, { action: b }: Hold): boolean {
  if ((a.upgrade === undefined) !== (b.upgrade === undefined)) return false;
  return (
    a.upstream === b.upstream &&
    a.method === b.method &&
    (a.tool === undefined ? b.tool === undefined && a.path === b.path : a.tool === b.tool)
  );
}
