// Passkeys of reviewers (WebAuthn): what is kept of each, and the evidence that a vote leaves behind.

import type { Digest } from './action.ts';
import { canonicalDigest } from './canonical.ts';
import type { EpochMs } from './clock.ts';

/** A reviewer's registered passkey. Nothing in it is secret. */
export interface Passkey {
  /** The credential id, base64url. */
  readonly id: string;
  /** Whose it is: Reviewer.id. */
  readonly reviewerId: string;
  /** COSE_Key, base64url. */
  readonly publicKey: string;
  /** The authenticator's signature counter; 0 where it keeps none. */
  readonly counter: number;
  readonly transports: readonly string[];
  /** What its owner calls it. */
  readonly label: string;
  readonly createdAt: EpochMs;
}

export interface PasskeyStore {
  of(reviewerId: string): Promise<readonly Passkey[]>;
  /** An id that is there already is refused with `bad_request`: a passkey belongs to one person. */
  add(passkey: Passkey): Promise<void>;
  /** Keeps the counter after a use. */
  used(id: string, counter: number): Promise<void>;
  /** Only the owner's own. */
  remove(id: string, reviewerId: string): Promise<void>;
}

/**
 * A WebAuthn assertion over one decision on one hold, verified when the vote was cast and kept so that anybody can
 * verify it again: the challenge follows from the vote itself (voteChallenge), and the public key stands beside the
 * signature.
 */
export interface PasskeyEvidence {
  readonly credentialId: string;
  /** COSE_Key, base64url. */
  readonly publicKey: string;
  readonly nonce: string;
  readonly rpId: string;
  readonly origin: string;
  /** As WebAuthn names them, base64url. */
  readonly clientDataJSON: string;
  readonly authenticatorData: string;
  readonly signature: string;
}

export interface VoteChallenge {
  readonly bindingDigest: Digest;
  readonly decision: 'approve' | 'deny';
  readonly nonce: string;
  /** Reviewer.id. */
  readonly reviewer: string;
}

/**
 * The bytes that a passkey signs, in hex: SHA-256 over `countersign/vote/v1` and the canonical form of what is decided,
 * by whom.
 */
export function voteChallenge({ bindingDigest, decision, nonce, reviewer }: VoteChallenge): Digest {
  return canonicalDigest('countersign/vote/v1', { bindingDigest, decision, nonce, reviewer });
}
