// What a call is, as the configuration says it: how sensitive, which kind of operation, to where, whose. Rules decide on
// it and reviewers see it. Nothing in it is a word of the agent, except that the agent chose the action itself.

import type { Action } from './action.ts';
import type { HeaderList } from './headers.ts';
import type { Principal } from './principal.ts';

/** Kinds of operation, mildest first. */
export const OPERATIONS = [
  'read',
  'write',
  'delete',
  'export',
  'transfer',
  'deploy',
  'privilege',
  'secret',
  'execute',
] as const;
export type Operation = (typeof OPERATIONS)[number];

export interface Classification {
  /** Ids of the entries of `resources` that match, in the order of the file. */
  readonly resources: readonly string[];
  readonly operation: Operation;
  /** The owners that each matching resource with owners names: `group:<name>` or `user:<subject>`. */
  readonly owners: readonly (readonly string[])[];
}

/** What a classification may look at. */
export interface Classifiable {
  readonly principal: Principal;
  readonly action: Action;
  /** The agent's forwardable header fields. */
  readonly headers: HeaderList;
}
