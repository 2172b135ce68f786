// The kinds of calls, and what may differ between them on their way. Which kind does what stands in pipeline.ts, and
// test/steps/ways.test.ts holds that table against what runs.

import type { Reached } from './stages.ts';

/**
 * - `resumed`: its agent has come back for a held call.
 * - `subcall`: the gateway makes it while it serves another call.
 * - `upgrade`: it asks for a WebSocket.
 * - `shared`: it concerns all servers of a shared mount. A call to one of them is `plain`.
 */
export type CallKind = 'plain' | 'resumed' | 'subcall' | 'upgrade' | 'shared';

/** What the steps do for one kind of call. */
export interface Way {
  /** Whose identity counts: the one that the request proves, or that of the call that it is made for. */
  readonly identify: 'token' | 'parent';
  /** Whether it is one of the calls that its agent may have under way. */
  readonly counted: boolean;
  /** What clears it: the decision of the rules, or in any case the approval of the hold that it came for. */
  readonly clearedBy: 'rules' | 'approval';
  /** What happens when a rule holds it. */
  readonly hold: 'wait' | 'deny';
  /** Whether it takes a place in the pool of its upstream. */
  readonly place: boolean;
  /** What takes it to its upstream, or answers in place of one. */
  readonly sentBy: 'forwarder' | 'webSocket' | 'handler';
  /** Whether it is sent once more when the upstream refuses a shared credential. An approved call never is. */
  readonly again: boolean;
  /** When its task's history has it: with the status of its answer, or as soon as it is sent. */
  readonly history: 'answer' | 'sent';
  /** What the kill switch cuts while the call is with its upstream. Of an approved call it cuts no stream. */
  readonly cut: 'stream' | 'connection' | 'nothing';
}

type ByKind<Cell> = Readonly<Record<CallKind, Cell>>;

/** A row for each thing that differs, a cell for each kind. */
export type Ways = { readonly [Name in keyof Way]: ByKind<Way[Name]> };

export const byKind = <Cell>(plain: Cell, resumed: Cell, subcall: Cell, upgrade: Cell, shared: Cell): ByKind<Cell> => ({
  plain,
  resumed,
  subcall,
  upgrade,
  shared,
});

/**
 * As far as it is known by now. A call is `resumed` only from `classify` on; until then a call to one server of a
 * shared mount counts as `shared`.
 */
export function kindOf({ call, mount, resumes }: Reached): CallKind {
  if (call.subcall !== undefined) return 'subcall';
  if (call.upgrade !== undefined) return 'upgrade';
  if (resumes !== undefined) return 'resumed';
  return mount?.kind === 'shared' ? 'shared' : 'plain';
}
