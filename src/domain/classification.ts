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

/** What a call needs besides a rule that lets it pass: a task, or one that somebody else vouches for. */
export type TaskNeed = true | 'attested';

/** The sum of every entry that matches: an entry more can make it stricter, and never milder. */
export interface Classification {
  /** Ids of the entries of `resources` that match, in the order of the file. */
  readonly resources: readonly string[];
  /** The highest label; absent where nothing says how sensitive it is. */
  readonly data?: string;
  /** Whether the effect can be undone; absent where nothing says so. */
  readonly reversible?: boolean;
  readonly operation: Operation;
  /** `sandbox` only if everything that names an environment says so; absent where nothing names one. */
  readonly environment?: string;
  /** The owners that each matching resource with owners names: `group:<name>` or `user:<subject>`. */
  readonly owners: readonly (readonly string[])[];
  /** Names of the marks that an answer leaves on the caller. */
  readonly taints: readonly string[];
  /** Ids of the matching resources that carry marks. */
  readonly carries: readonly string[];
  /** JSON Pointers: the members of the answer that are recorded. */
  readonly result: readonly string[];
  readonly requireTask?: TaskNeed;
}

/** Whether the configuration says anything of the call. */
export const isClassified = ({ resources, data, reversible, environment }: Classification): boolean =>
  resources.length > 0 || data !== undefined || reversible !== undefined || environment !== undefined;

/** Where a call leads. */
export interface Destination {
  /** As it stands in the call: at most its first 256 characters. */
  readonly value: string;
  /** In normal form; absent where the text names no host, or none that could be read. */
  readonly host?: string;
  /** A name under `destinations`, or `external`. */
  readonly trust: string;
  /** Whether the call goes there, or names it in some text. */
  readonly role: 'target' | 'mention';
}

export interface Destinations {
  readonly targets: readonly Destination[];
  /** Without those that are targets. */
  readonly mentions: readonly Destination[];
  /** The least trusted of the targets, and of the mentions unless a resource says where the call sends to. */
  readonly trust: string;
  /** Why not every destination is known. What rests on them then fails to evaluate. */
  readonly unknown?: 'body_not_parsed' | 'too_many';
}

/** What a classification may look at. */
export interface Classifiable {
  readonly principal: Principal;
  readonly action: Action;
  /** The agent's forwardable header fields. */
  readonly headers: HeaderList;
}
