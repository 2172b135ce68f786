// One wide event per call: the steps of the pipeline fill it in, and the log line, the spans, the metrics and the
// audit record are all written from it. It holds names and digests, never bodies, tokens or secrets.

import type { ErrorCode } from '../errors.ts';
import type { Action, Digest } from './action.ts';
import type { EpochMs } from './clock.ts';
import type { Credential } from './credential.ts';
import type { Decision } from './decision.ts';
import type { Hold } from './hold.ts';
import type { Principal } from './principal.ts';
import type { InboundRequest } from './request.ts';
import type { Task } from './task.ts';

export interface CallFacts {
  readonly id: string;
  readonly receivedAt: EpochMs;
  readonly method: string;
  request?: InboundRequest;
  principal?: Principal;
  action?: Action;
  actionDigest?: Digest;
  task?: Task;
  decision?: Decision;
  /**
   * Known a moment before `hold`, while the approval's first span is written; and alone for a refusal that a hold of
   * before stands behind.
   */
  holdId?: string;
  hold?: Hold;
  credential?: Credential;
  auditSeq?: number;
  /** Milliseconds the call spent waiting for people; not part of the request duration metric. */
  heldMs?: number;
  upstreamStatus?: number;
  /**
   * MCP: what the upstream asked of the agent's side while it answered, and whether that was let through. At most 100.
   */
  serverRequests?: { readonly method: string; readonly passed: boolean }[];
  /** MCP: servers of a shared mount that had no part in the answer, and why. */
  missingServers?: readonly { readonly server: string; readonly error: string }[];
  /** The status the agent got. */
  status?: number;
  error?: ErrorCode;
}
