// The verdict of policy over one action. Approval is one input to it, never a bypass.

import type { BodyNeed, Digest } from './action.ts';
import type { Assurance } from './assurance.ts';
import type { Because } from './because.ts';
import type { Classifiable, Classification, Destinations, TaskNeed } from './classification.ts';
import type { EpochMs } from './clock.ts';
import type { Facts, HistoryFact } from './facts.ts';
import type { JsonObject } from './json.ts';
import type { Meter, Metering } from './meter.ts';
import type { Recognisable } from './novelty.ts';
import type { Task, TaskCall } from './task.ts';
import type { Escalation } from './tier.ts';

export type Effect = 'allow' | 'hold' | 'deny';

/** One of the seats that the tier of a matched hold rule asks for. A tier may have several. */
export interface Requirement {
  readonly tier: string;
  /** Who may vote: `group:<name>` or `user:<subject>`. */
  readonly reviewers: readonly string[];
  /**
   * Present where the tier asks for the owners of what the call concerns. `reviewers` are then the owners of one
   * resource, and nobody where no resource names an owner.
   */
  readonly owner?: true;
  /** Distinct people that must approve. */
  readonly count: number;
  readonly decideWithinMs: number;
  readonly useWithinMs: number;
  readonly stepUp: boolean;
  /** Besides `stepUp`. */
  readonly assurance?: Assurance;
  /** Only the session that asked may use the approval. */
  readonly bindSession?: true;
  readonly reasonRequired: boolean;
  /** Whether the agent may be told the reason of a denial. */
  readonly tellAgent?: boolean;
  /** Whether a call that this tier decides on needs a task; absent: no. */
  readonly requireTask?: TaskNeed;
  readonly escalate?: Escalation;
}

export interface MatchedRule {
  readonly id: string;
  readonly effect: Effect;
  /**
   * Why it counts: `matched`; `condition_failed` when its `when` could not be evaluated; `over_budget` when judging the
   * call took more steps than it may. Both of the latter fail closed.
   */
  readonly why: 'matched' | 'condition_failed' | 'over_budget';
  /** Who keeps the rule, as its author wrote it; shown to reviewers. */
  readonly maintainer?: string;
}

/** The same for reviewers. */
export const WHY: Readonly<Record<MatchedRule['why'], string>> = {
  matched: 'it matched',
  condition_failed: 'its condition could not be evaluated, which counts as a match',
  over_budget: 'judging this call took more steps than it may, which counts as a match',
};

/**
 * The credential that would be minted: its name under `credentials` and how the rule narrows it, templates filled in.
 */
export interface CredentialPlan {
  readonly name: string;
  readonly scope: JsonObject;
  /** A rule says `mint: perCall`: the credential is made for the call alone, and taken back after it. */
  readonly perCall?: true;
}

/** A machine-readable ground of a decision, as the audit log and problem documents show it. */
export type Reason =
  | `rule:${string}`
  | 'no_matching_rule'
  | 'conflicting_credential_scopes'
  /** A parameter of the path that the credential's scope would contain is not safe there. */
  | `unsafe_parameter:${string}`
  /** The call would be held, and its body was streamed: nobody could look at it. */
  | 'body_not_read'
  /** Judging the call took more steps than it may. */
  | 'over_budget'
  /** Judging the call failed: a fault of the gateway. */
  | 'evaluation_failed';

export interface Decision {
  readonly effect: Effect;
  /** Every rule that matched, in file order. */
  readonly rules: readonly MatchedRule[];
  /** Why, in the order of importance. */
  readonly reasons: readonly Reason[];
  /** For `hold`, and for an `allow` that an approval brought about: the seats of each distinct tier. */
  readonly requirements: readonly Requirement[];
  readonly credential?: CredentialPlan;
  /** The facts on which a hold or denial rests, as the agent may be told; absent where there are none. */
  readonly because?: readonly Because[];
  /** What the decisive rules say to the agent, where they say anything. */
  readonly messages?: readonly string[];
  /** What the matched rules say of the data in words that are no label, for reviewers. */
  readonly dataWords?: readonly string[];
  /** Channels of the decisive rules and their tiers, where there are any. */
  readonly notify?: readonly string[];
  /** Digest of the whole policy in force. */
  readonly policyDigest: Digest;
  /** Digest of the content of the matched rules and their tiers only: an unrelated edit leaves it as it was. */
  readonly decisionDigest: Digest;
}

/** What is known of an approval at the moment of a decision. */
export interface Approval {
  readonly count: number;
  /** Ids of the people who approved, see Reviewer.id. */
  readonly reviewers: readonly string[];
  /** From quorum until now. */
  readonly ageMs: number;
  /** True when every requirement in `requirements` is met by the votes. Computed by approvals/quorum.ts. */
  satisfies(requirements: readonly Requirement[]): boolean;
}

/** A call of which no facts are known, because its arguments are not. */
export interface OutlookInput extends Classifiable {
  readonly task?: Task;
  readonly calls: readonly TaskCall[];
  /** Absent before a hold is approved. */
  readonly approval?: Approval;
  readonly now: EpochMs;
}

export interface DecisionInput extends OutlookInput {
  readonly facts: Facts;
}

export type Outlook = 'allow' | 'may_hold' | 'hold' | 'deny';

/** The PDP. Immutable: a reload makes a new one. */
export interface Policy {
  readonly digest: Digest;
  /** How much of the body the rules that could match this call look at. */
  bodyNeed(upstream: string, method: string, path: string): BodyNeed;
  /**
   * The facts that the rules which could match this call read. A decision then holds only until one of them changes.
   */
  factsRead(upstream: string, method: string, path: string): ReadonlySet<HistoryFact>;
  /** Every meter of the configuration. */
  readonly meters: readonly Meter[];
  /** The meters that count this call, and those that a rule for it reads. Never throws. */
  meterings(call: Classifiable): readonly Metering[];
  /** What the configuration says of the action. Never throws: what cannot be evaluated counts as matching. */
  classify(call: Classifiable): Classification;
  /** Where the action leads. Looked for once, when it is first asked for. Never throws. */
  destinations(call: Classifiable): Destinations;
  /** The same where it was asked for before; undefined where it was not. */
  knownDestinations(call: Classifiable): Destinations | undefined;
  /**
   * By what the call is recognised when it is made again. Undefined where no rule of this policy reads what is new, and
   * for what opens and keeps an MCP session.
   */
  recognise(call: Classifiable, classification: Classification): Recognisable | undefined;
  /** Never throws: what cannot be evaluated fails closed. */
  decide(input: DecisionInput): Decision;
  /**
   * The best that this caller can expect of calls like this one, whatever their arguments: `deny` when no arguments
   * would pass, `hold` when every such call would be held, `may_hold` when some would or might be. The `args` of the
   * action are absent. This is not a decision: it clears nothing.
   */
  outlook(input: OutlookInput): Outlook;
}
