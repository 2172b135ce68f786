// What policy is made of, as this folder needs it. The configuration has exactly this shape, so a loaded file can be
// passed as it is. Only the types are trusted: checkPolicy reports what is wrong in the content.

import type { Protocol } from '../domain/action.ts';
import type { Operation, TaskNeed } from '../domain/classification.ts';
import type { Effect, Requirement } from '../domain/decision.ts';
import type { JsonObject } from '../domain/json.ts';
import type { MeterScope } from '../domain/meter.ts';
import type { TierPeople } from '../domain/tier.ts';
import type { DestinationOptions } from './destinations/trust-table.ts';
import type { ConfiguredNames } from './variables/variable.ts';

/** What calls an entry is about. Every key that is given must match; a key that is left out matches everything. */
export interface CallMatch {
  /** A name under `upstreams`. */
  readonly upstream?: string;
  /** MCP: one of the servers that share the upstream's mount. */
  readonly server?: string;
  /** HTTP methods, in capitals. */
  readonly methods?: readonly string[];
  /**
   * True: requests that open a WebSocket; false: all others. Without the key, an allow rule matches only the others,
   * and a hold or deny rule matches both.
   */
  readonly upgrade?: boolean;
  /** A URLPattern pathname below the upstream's mount. */
  readonly path?: string;
  /** MCP: the tool of a `tools/call`; `*` stands for any text. */
  readonly tool?: string;
  /** MCP: JSON-RPC methods; `*` stands for any text. */
  readonly mcp?: readonly string[];
  /** MCP: a URI pattern for what a message reads or subscribes to; `*` stands for any text. */
  readonly resource?: string;
  /** MCP: the prompt of a `prompts/get`; `*` stands for any text. */
  readonly prompt?: string;
  /** Built-in rules only: calls of tools whose definition is not the pinned one. */
  readonly toolChanged?: true;
}

export interface RuleOptions {
  readonly id: string;
  readonly match: CallMatch;
  /** A CEL condition, see conditions.ts. */
  readonly when?: string;
  readonly decide: Effect;
  /** For hold rules: a name under `tiers`. */
  readonly tier?: string;
  /** How the upstream's credential is narrowed. Strings may contain `{name}` for a parameter of `match.path`. */
  readonly credential?: JsonObject;
  /** For allow rules: the credential is made for each call alone, and taken back after it. */
  readonly mint?: 'perCall';
  /** For hold rules: it is known that an approved WebSocket passes unseen. Changes no decision. */
  readonly wholeSession?: true;
  /** For allow rules: holds until then, and only for callers without a mark. `until` is a date or time of ISO 8601. */
  readonly exempt?: { readonly because: string; readonly maintainer: string; readonly until: string };
  /** What the agent is told when this rule holds or denies a call. */
  readonly message?: string;
  /** Whether the agent is told the facts on which it rests; default: as the configuration says for all rules. */
  readonly tellFacts?: boolean;
  /** A label of `sensitivity`, which counts wherever `match` matches; any other text is shown to reviewers. */
  readonly data?: string;
  /** Whether the effect can be undone; counts wherever `match` matches. */
  readonly reversible?: boolean;
  /** Channels that are told. */
  readonly notify?: readonly string[];
  /** Who keeps the rule. */
  readonly maintainer?: string;
}

/** What a tier asks of people, and who is told of its holds. */
export type TierOptions = TierPeople &
  Omit<Requirement, 'tier' | 'reviewers' | 'owner' | 'count' | 'escalate' | 'bindSession'> & {
    readonly notify?: readonly string[];
    readonly bindSession?: boolean;
  };

/** `hold` names the tier that decides on a changed tool. */
export type ToolChanges = 'allow' | 'deny' | { readonly hold: string };

export interface PolicyUpstream {
  readonly protocol: Protocol;
  /** A name under `credentials`. */
  readonly credential?: string;
  /**
   * Whether the upstream distinguishes case in paths, query parameters and tools. Hold and deny rules then do so too.
   * Default false.
   */
  readonly caseSensitive?: boolean;
  /** MCP: whether the built-in rules of mcp-lifecycle.ts apply; default true. */
  readonly mcpLifecycle?: boolean;
  /** MCP: what happens to calls of a tool whose definition changed; default deny. */
  readonly toolChanges?: ToolChanges;
  /**
   * MCP: the servers that share the mount. Each is an upstream of its own too, as `mount/server`
   * (domain/server-names.ts).
   */
  readonly servers?: Readonly<
    Record<string, { readonly environment?: string; readonly boundHeaders?: readonly string[] }>
  >;
  /** Header fields that an approval binds, besides those of domain/bound-fields.ts. */
  readonly boundHeaders?: readonly string[];
  readonly forwardHeaders?: readonly string[];
  /** `sandbox`, `production`, or another name. */
  readonly environment?: string;
  /** How far it is trusted as a target: a name under `destinations`. */
  readonly trust?: string;
}

/** What an action touches. All resources that match a call add up. */
export interface ResourceOptions {
  readonly id: string;
  readonly match: CallMatch;
  /** A CEL condition over `agent`, `request`, `tool` and `args`. One that fails to evaluate counts as true. */
  readonly when?: string;
  /** A label of `sensitivity`. */
  readonly data?: string;
  readonly reversible?: boolean;
  /** `sandbox`, `production`, or another name. */
  readonly environment?: string;
  readonly operation?: Operation;
  /** `group:<name>` or `user:<subject>`. */
  readonly owners?: readonly string[];
  readonly taints?: readonly string[];
  /** CEL over the same variables: a text or a list of texts that say where a call sends to, in place of the upstream. */
  readonly sendsTo?: readonly string[];
  /** JSON Pointers: the members of an answer that are recorded. */
  readonly result?: readonly string[];
  /** Whether marks stick to what is written there. */
  readonly carries?: boolean;
  readonly requireTask?: TaskNeed;
}

/** What actions are, by the configuration. */
export interface ClassificationOptions {
  /** Labels, lowest first. */
  readonly sensitivity: readonly string[];
  /** The label of what nothing classifies. */
  readonly unclassified?: string;
  /** Names of trust with the patterns of what is trusted so, most trusted first. */
  readonly destinations: DestinationOptions;
  readonly resources: readonly ResourceOptions[];
  /** Names of marks. */
  readonly taints: Readonly<Record<string, unknown>>;
}

/** What a meter counts, for whom, and for how long. */
export interface MeterOptions {
  readonly match: CallMatch;
  /** A CEL condition over the call itself. One that fails to evaluate counts as true. */
  readonly when?: string;
  /** CEL: the amount that a call adds; default 1. */
  readonly value?: string;
  /** CEL: a value of which each different one counts once. Not beside `value`. */
  readonly distinct?: string;
  readonly per: readonly MeterScope[];
  readonly windowMs: number;
  /** Counts are on disk before their calls are sent. */
  readonly durable?: 'strict';
}

export interface PolicyOptions extends ClassificationOptions {
  readonly rules: readonly RuleOptions[];
  /** Whether every token says for which person a call is (`subject: person` at each issuer of agents); for `check`. */
  readonly peopleAreNamed?: boolean;
  /** Whether agents are told the facts on which a hold or denial rests; default true. */
  readonly tellFacts?: boolean;
  readonly tiers: Readonly<Record<string, TierOptions>>;
  readonly upstreams: Readonly<Record<string, PolicyUpstream>>;
  readonly meters?: Readonly<Record<string, MeterOptions>>;
}

/** The names that the configuration gives to its conditions. */
export function namesOf({ meters }: Pick<PolicyOptions, 'meters'>): ConfiguredNames {
  return { meters: Object.keys(meters ?? {}) };
}
