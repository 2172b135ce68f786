// The kill switch: who or what may do nothing until the suspension is lifted or ends by itself. `keysOf` alone says
// which suspensions cover a call; everything else (refusals, cuts, holds, credentials) asks it.

import { GatewayError } from '../errors.ts';
import type { EpochMs } from './clock.ts';
import { nameKey } from './name.ts';
import { type Named, type NamedAgent, personKeys } from './person.ts';

/** What is suspended. */
export type Suspended =
  /** An agent by its key or one of its ids, or a principal that callers act for. */
  | { readonly principal: string }
  /** A person whom callers act for, by any name that their issuer has for the person (person.ts). */
  | { readonly person: string }
  /** Every caller with a SPIFFE ID of this trust domain. */
  | { readonly trustDomain: string }
  /** A task, and every task below it. */
  | { readonly task: string }
  /** An upstream, and every server of a mount of this name. */
  | { readonly upstream: string }
  | { readonly everything: true };

/** With the agent key of a suspended id, where that is another text: every id of the key is suspended. */
export type Stopped = Suspended & { readonly agentKey?: string };

export type Suspension = Stopped & {
  /** `susp_` and random bits. */
  readonly id: string;
  readonly reason: string;
  /** The reviewer's id, or the entry under `violations` that did it: `violations[0]`. */
  readonly by: string;
  readonly at: EpochMs;
  /** When it ends by itself; absent: when it is lifted. The store's clock. */
  readonly until?: EpochMs;
};

/** What is suspended, without when, why and by whom. */
export function suspendedOf({ id: _, reason: __, by: ___, at: ____, until: _____, ...what }: Suspension): Stopped {
  return what;
}

/** A call, or a held call, as suspensions see it. */
export interface Suspendable {
  readonly principal: Caller;
  readonly action: { readonly upstream: string };
  readonly task?: SuspendableTask;
}

/** `ancestors` are the tasks above; absent where only the name of the task is known. */
export interface SuspendableTask {
  readonly id: string;
  readonly ancestors?: readonly string[];
}

interface Caller extends Named, NamedAgent {
  /** A second identity that it proved, and its agent key where that is another text. */
  readonly spiffeId?: string;
  readonly spiffeKey?: string;
  readonly onBehalfOf: readonly (Named & NamedAgent)[];
}

export interface SuspensionOrder {
  readonly by: string;
  readonly reason: string;
  /** Default: until it is lifted. */
  readonly until?: EpochMs;
}

/** Durable suspensions, with those in force in memory. */
export interface SuspensionStore {
  /** The one that covers this call, if any. Synchronous and cheap: it is asked on the way of every call. */
  covering(call: Suspendable): Suspension | undefined;
  /**
   * In force when it returns, durable when it resolves; in the same transaction PENDING and APPROVED holds under it
   * become REVOKED. Suspending what is suspended for at least as long gives the suspension that is there. Throws
   * `store_unavailable`, and then nothing is suspended.
   */
  suspend(
    what: Suspended,
    order: SuspensionOrder,
  ): Promise<{ readonly suspension: Suspension; readonly revoked: number; readonly isNew: boolean }>;
  /** Undefined when none of this id is in force. */
  get(id: string): Suspension | undefined;
  /** Ends one. Holds that it revoked stay revoked. Throws `not_found`. */
  lift(id: string, by: string): Promise<Suspension>;
  /**
   * Tells the key of the agent of an id, where it is known. Called at start, and whenever the issuers are configured anew:
   * an id that was suspended under another key, or under none, stops its agent by the key of now as well.
   */
  rekey(agentKeyOf: (id: string) => string | undefined): void;
  /** Those in force, newest first. */
  list(): readonly Suspension[];
  /** Those whose time is over and that nobody has ended yet. They cover nothing any more. */
  over(): readonly Suspension[];
}

/**
 * Puts a suspension into effect. In force and durable when it resolves, with what it covers cut. `recorded` rejects when
 * the record failed; `credentialsRevoked` is false when some could not be taken back yet.
 */
export type Suspending = (
  what: Suspended,
  order: SuspensionOrder,
) => Promise<{
  readonly suspension: Suspension;
  readonly revoked: number;
  readonly isNew: boolean;
  readonly cut: number;
  readonly recorded: Promise<unknown>;
  readonly credentialsRevoked: Promise<boolean>;
}>;

/** One text for each thing that can be suspended. */
export function keyOf(what: Suspended): string {
  if ('principal' in what) return `principal ${what.principal}`;
  if ('person' in what) return personKey(nameKey(what.person));
  if ('trustDomain' in what) return `trust-domain ${what.trustDomain}`;
  if ('task' in what) return `task ${what.task}`;
  if ('upstream' in what) return `upstream ${what.upstream}`;
  return 'everything';
}

/** One for what is suspended, and one for its agent. */
export function keysOfStopped({ agentKey, ...what }: Stopped): readonly string[] {
  return agentKey === undefined ? [keyOf(what)] : [keyOf(what), keyOf({ principal: agentKey })];
}

/** Whether this suspension stops calls with these keys (`keysOf`). */
export const stops = (what: Stopped, keys: readonly string[]): boolean =>
  keysOfStopped(what).some((key) => keys.includes(key));

const personKey = (folded: string): string => `person ${folded}`;

/** The keys of every suspension that would stop this call. */
export function keysOf({ principal, task, action }: Suspendable): readonly string[] {
  const chain = [principal, ...principal.onBehalfOf];
  const { spiffeId, spiffeKey } = principal;
  const ids = [...chain.map(({ id }) => id), ...present(spiffeId)];
  const agents = [...ids, ...chain.flatMap(({ agentKey }) => present(agentKey)), ...present(spiffeKey)];
  const tasks = task === undefined ? [] : [task.id, ...(task.ancestors ?? [])];
  return [
    ...agents.map((id) => keyOf({ principal: id })),
    ...chain.flatMap(personKeys).map(personKey),
    ...ids.flatMap((id) => trustDomainOf(id) ?? []).map((trustDomain) => keyOf({ trustDomain })),
    ...tasks.map((id) => keyOf({ task: id })),
    ...mountsOf(action.upstream).map((upstream) => keyOf({ upstream })),
    keyOf({ everything: true }),
  ];
}

const present = (text: string | undefined): readonly string[] => (text === undefined ? [] : [text]);

/** SPIFFE ID, section 2: what stands between the scheme and the path. */
const trustDomainOf = (id: string): string | undefined => /^spiffe:\/\/([^/]+)/.exec(id)?.[1];

/** A server of a shared mount has its own name, and its mount's before the slash (server-names.ts). */
const mountsOf = (upstream: string): readonly string[] => [...new Set([upstream, upstream.replace(/\/.*/, '')])];

const KINDS = ['principal', 'person', 'trustDomain', 'task', 'upstream', 'everything'] as const;

/** How many there are of each kind, those without any included. */
export function countByKind(suspensions: readonly Suspended[]): Readonly<Record<string, number>> {
  return Object.fromEntries(KINDS.map((kind) => [kind, suspensions.filter((one) => kind in one).length]));
}

/** In words, for people and for the agent. */
export function describeSuspended(what: Suspended): string {
  if ('principal' in what) return 'this agent, or someone it acts for';
  if ('person' in what) return 'a person this agent acts for';
  if ('trustDomain' in what) return 'the trust domain of this agent';
  if ('task' in what) return 'this task, or a task above it';
  if ('upstream' in what) return 'this upstream';
  return 'every call';
}

/** Throws `principal_suspended`. */
export function refuseSuspended(suspensions: Pick<SuspensionStore, 'covering'>, call: Suspendable): void {
  const suspension = suspensions.covering(call);
  if (suspension === undefined) return;
  const what = describeSuspended(suspension);
  const said = `${what.charAt(0).toUpperCase()}${what.slice(1)} was suspended`;
  throw new GatewayError(
    'principal_suspended',
    suspension.until === undefined
      ? `${said}, until a person lifts it.`
      : `${said}, until ${new Date(suspension.until).toISOString()}.`,
  );
}
