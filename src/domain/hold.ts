// The durable record of one action waiting for approval. hold-store.ts has the port that keeps it.

import type { Action, ActionBinding, Digest, ToolChange, ToolWords } from './action.ts';
import type { CallSession } from './call-session.ts';
import type { EpochMs } from './clock.ts';
import type { MatchedRule, Requirement } from './decision.ts';
import type { Facts } from './facts.ts';
import type { Gist } from './gist.ts';
import type { PasskeyEvidence } from './passkey.ts';
import type { IssuerKind, Party } from './principal.ts';
import type { Reviewer } from './reviewer.ts';
import type { Provenance, Task, TaskCall, TaskWords } from './task.ts';
import type { HoldTrace, SpanRef } from './trace.ts';

/** One reviewer's verdict on one hold. */
export interface Vote {
  readonly reviewer: Reviewer;
  readonly decision: 'approve' | 'deny';
  readonly reason?: string;
  readonly at: EpochMs;
  readonly bindingDigest: Digest;
  /**
   * When this person first opened the hold; absent if they did not open it here. The time to decide is counted from
   * then.
   */
  readonly openedAt?: EpochMs;
  /** Present when the vote was signed with a passkey. */
  readonly passkey?: PasskeyEvidence;
  /** The `countersign.approval.review` span. */
  readonly span: SpanRef;
}

/** The action as lists and decisions see it. HeldContent has the large parts. */
export interface HeldAction
  extends ActionBinding,
    Pick<Action, 'protocol' | 'upstream' | 'authority' | 'method' | 'target' | 'path'>,
    Pick<Action, 'tool' | 'contentType' | 'upgrade' | 'boundHeaders'> {
  /** The arguments in one line; absent when the call has none that can be read. */
  readonly gist?: Gist;
  /** The MCP session in which the agent made the call. Not bound. */
  readonly session?: string;
  /** Names of the agent's header fields that are not sent. Absent when there are none. */
  readonly leftBehind?: readonly string[];
  readonly bodyDigest: Digest;
  /** In bytes. */
  readonly bodyLength: number;
}

/**
 * The large parts of a held call. They are read only for the hold's own page, where they are shown whole, and for
 * sending. The body is dropped when the hold ends unsent; its digest stays.
 */
export interface HeldContent {
  /**
   * MCP: the tool's definition as it was pinned and as it is now, for reviewers to compare; absent when they are equal.
   */
  readonly toolChange?: ToolChange;
  readonly toolWords?: ToolWords;
  /** The body as text: held bodies are UTF-8, others are refused with `unsupported_media_type`. Absent when empty. */
  readonly bodyText?: string;
  /** Where the arguments are in the body, as a path of members; absent when the body was not read as JSON. */
  readonly argsAt?: readonly string[];
  /** The task as it stood when the call was held. */
  readonly task?: HeldTaskWords;
}

export interface HeldTaskWords extends TaskWords {
  /** The task's calls before this one. */
  readonly calls: readonly TaskCall[];
  /** When the task is meant to end. */
  readonly endsBy?: EpochMs;
  /** Opened for those who look at the hold (review/whole-content.ts). Never stored with it. */
  readonly prompt?: string;
}

export interface HeldPrincipal extends Party {
  readonly kind: IssuerKind;
  readonly trustDomain?: string;
  readonly keyThumbprint?: string;
  /** The SPIFFE ID of the caller's X.509-SVID, when its token of another issuer is bound to that certificate. Bound. */
  readonly spiffeId?: string;
  /** The agent key of that SVID, where it is another text. Not bound. */
  readonly spiffeKey?: string;
  /**
   * The client that got the caller's token, and the issuer's name for the caller. They are shown and never compared, so
   * they are not bound.
   */
  readonly client?: string;
  readonly name?: string;
  readonly onBehalfOf: readonly Party[];
  /** Subjects of the people accountable for the agent (`identity.owners`). They may not vote. */
  readonly owners: readonly string[];
}

export interface HeldTask extends Pick<Task, 'id' | 'revision'> {
  /** The tasks above, the root first. Absent for a root, as in records of earlier versions. */
  readonly ancestors?: readonly string[];
  /** Absent for a task that its agent declared, as in records of earlier versions. */
  readonly provenance?: Exclude<Provenance, 'declared'>;
  /** The beginning of the task's objective, for lists. HeldContent has all of it. */
  readonly heading: string;
}

/** What every hold has, in every state. */
export interface HoldBase {
  /** `hold_` and 128 random bits in base64url. */
  readonly id: string;
  /** Counts changes; every change adds one. */
  readonly version: number;
  readonly action: HeldAction;
  readonly actionDigest: Digest;
  readonly principal: HeldPrincipal;
  readonly task?: HeldTask;
  readonly rules: readonly MatchedRule[];
  readonly requirements: readonly Requirement[];
  /** The session of the call that opened the hold. Bound where a requirement says so. */
  readonly session?: CallSession;
  /** What was known when the call was held. Absent in holds of earlier versions. */
  readonly facts?: Facts;
  /** Of what the configuration said of the call. Bound; absent in holds of earlier versions, which do not bind it. */
  readonly factsDigest?: Digest;
  readonly data?: string;
  readonly reversible?: boolean;
  /** Channels that are told of this hold. */
  readonly notify?: readonly string[];
  /** When a second group may vote as well, and is told; absent when no group is left to be told. The store's clock. */
  readonly escalateAt?: EpochMs;
  /** Escalations that have been told. */
  readonly escalations?: number;
  readonly policyDigest: Digest;
  readonly decisionDigest: Digest;
  readonly nonce: string;
  readonly bindingDigest: Digest;
  readonly idempotencyKey?: string;
  /**
   * Digest over the caller and the call, without policy, task revision and Idempotency-Key. The identical request has
   * the same digest.
   */
  readonly requestDigest: Digest;
  readonly createdAt: EpochMs;
  /** Until when reviewers may decide. */
  readonly deadline: EpochMs;
  readonly votes: readonly Vote[];
  readonly trace: HoldTrace;
}

interface Approved {
  /** When the quorum was reached. */
  readonly approvedAt: EpochMs;
  /** Until when the approval may be claimed. */
  readonly useBy: EpochMs;
}

interface Claimed extends Approved {
  /** The claim that won the release; a fresh random value per claim. */
  readonly claim: string;
  /** The gateway process that claimed it; at boot, other values' RELEASING and SENT holds are swept. */
  readonly claimedBy: string;
}

interface Sent extends Claimed {
  readonly sentAt: EpochMs;
}

/** Some holds end before the quorum as well as after it. */
type PerhapsApproved = Approved | { readonly [Member in keyof Approved]?: never };

/** What became of the call once it was sent. The status is the upstream's HTTP status. */
type SentEnding =
  | { readonly state: 'EXECUTED'; readonly outcomeStatus: number }
  /** Without a status: not a byte of it reached the upstream. */
  | { readonly state: 'UPSTREAM_ERROR'; readonly outcomeStatus?: number }
  /** With a status: the answer began, and did not come to its end. */
  | { readonly state: 'OUTCOME_UNKNOWN'; readonly outcomeStatus?: number };

/** How a hold ends whose call was never sent. */
type UnsentEnding =
  | (PerhapsApproved & { readonly state: 'DENIED' })
  | (PerhapsApproved & { readonly state: 'CANCELLED' })
  /** `endedBecause`: who took it back, as a sentence. */
  | (PerhapsApproved & { readonly state: 'REVOKED'; readonly endedBecause: string })
  /** `endedBecause`: what changed, as a sentence. */
  | (PerhapsApproved & { readonly state: 'INVALIDATED'; readonly endedBecause: string })
  /** Nobody decided in time. */
  | { readonly state: 'EXPIRED'; readonly expiryReason: 'undecided' }
  /** Nobody used the approval in time. */
  | (Approved & { readonly state: 'EXPIRED'; readonly expiryReason: 'unused' })
  /** The approval was claimed, and the call ended, or the gateway died, before it was sent. */
  | (Claimed & { readonly state: 'EXPIRED'; readonly expiryReason: 'abandoned' });

interface Ended {
  readonly endedAt: EpochMs;
  /** When the agent was told of an ending that forbids the call; the next identical request is then a new one. */
  readonly reportedAt?: EpochMs;
}

export type PendingHold = HoldBase & { readonly state: 'PENDING' };
export type ApprovedHold = HoldBase & Approved & { readonly state: 'APPROVED' };
/** A hold that reviewers may still decide on, as long as its clock runs. */
export type OpenHold = PendingHold | ApprovedHold;
export type ReleasingHold = HoldBase & Claimed & { readonly state: 'RELEASING' };
export type SentHold = HoldBase & Sent & { readonly state: 'SENT' };
export type EndedHold = HoldBase & Ended & ((Sent & SentEnding) | UnsentEnding);

/** A held call in one of its states (approvals/machine.ts). What a state does not have, its type does not have. */
export type Hold = OpenHold | ReleasingHold | SentHold | EndedHold;

export type HoldState = Hold['state'];

/** The states from which a hold goes on. */
export const OPEN_STATES: readonly HoldState[] = ['PENDING', 'APPROVED', 'RELEASING', 'SENT'];
/** The states in which a hold has ended. */
export const ENDED_STATES: readonly HoldState[] = [
  ...(['EXECUTED', 'UPSTREAM_ERROR', 'OUTCOME_UNKNOWN'] as const),
  ...(['DENIED', 'EXPIRED', 'CANCELLED', 'REVOKED', 'INVALIDATED'] as const),
];
/** A hold whose call was sent and has ended, with a known or an unknown outcome. */
export type SettledHold = Extract<Hold, { readonly state: SentEnding['state'] }>;
export type DeniedHold = Extract<Hold, { readonly state: 'DENIED' }>;
/** A hold that has reached its quorum, whatever its state is now. */
export type OnceApprovedHold = Extract<Hold, { readonly approvedAt: EpochMs }>;

/**
 * A hold as lists, records and views read it: a member is present when the hold's state has it. Every Hold is a
 * HoldProgress.
 */
export interface HoldProgress {
  readonly state: HoldState;
  readonly approvedAt?: EpochMs;
  readonly useBy?: EpochMs;
  readonly claimedBy?: string;
  readonly sentAt?: EpochMs;
  readonly endedAt?: EpochMs;
  readonly expiryReason?: 'undecided' | 'unused' | 'abandoned';
  readonly endedBecause?: string;
  readonly outcomeStatus?: number;
}

/** Why an open hold ends from outside, without a vote and before its clock has run out. */
export type Closing = { readonly type: 'revoke' | 'invalidate'; readonly because: string };

/**
 * Makes the next version of an open hold that ends for this reason. approvals/ implements it, because it alone knows
 * which state follows on which.
 */
export type CloseHold = (hold: Hold, closing: Closing, now: EpochMs) => Hold;

/** A hold before it is opened: times, votes and the binding digest are added then. */
export type NewHold = Omit<
  HoldBase,
  'version' | 'votes' | 'createdAt' | 'deadline' | 'bindingDigest' | 'escalateAt' | 'escalations'
>;
