// What the gateway's steps know of tracing. The SDK and all span and attribute names live in telemetry/.

import type { ErrorCode } from '../errors.ts';
import type { CallFacts } from './call-facts.ts';
import type { Hold, Vote } from './hold.ts';

/** Where a span is, as W3C Trace Context names it. Small enough to be stored with a hold. */
export interface SpanRef {
  /** 32 hex digits. */
  readonly traceId: string;
  /** 16 hex digits. */
  readonly spanId: string;
  readonly sampled: boolean;
}

/** The field's value (W3C Trace Context, section 3.2). */
export function traceparent({ traceId, spanId, sampled }: SpanRef): string {
  return `00-${traceId}-${spanId}-${sampled ? '01' : '00'}`;
}

/** A span in progress. `end` is called exactly once. */
export interface Span {
  readonly ref: SpanRef;
  /**
   * Starts `countersign.credential.mint` / `.revoke`, or the CLIENT span of the forwarded call. The facts are asked for
   * when the span is written, if it is written at all: that may be as late as the end of the call.
   */
  child(kind: 'mint' | 'revoke' | 'client', facts: () => CallFacts): ChildSpan;
  end(facts: CallFacts): void;
}

export interface ChildSpan {
  readonly ref: SpanRef;
  end(error?: ErrorCode): void;
}

/**
 * The spans that a new hold leaves behind, stored in it so that release and review can link to them after a restart.
 */
export interface HoldTrace {
  readonly admit: SpanRef;
  readonly approval: SpanRef;
}

export interface Tracing {
  /**
   * Opens the SERVER span once the decision (or the refusal) is known, back-dated to `receivedAt`. Of allowed calls a
   * share is sampled; hold, deny and error are always sampled.
   */
  admit(facts: Pick<CallFacts, 'receivedAt' | 'decision' | 'hold' | 'error'>): Span;
  /**
   * Writes `countersign.approval.request` (root of the approval trace), linked both ways with the admit span. The
   * caller then ends the admit span.
   */
  held(admit: Span, facts: CallFacts): HoldTrace;
  /** `countersign.approval.review`, one per vote, in the approval trace and linked to admit. */
  reviewed(hold: Hold, vote: Omit<Vote, 'span'>): SpanRef;
  /** The release span: in the admit trace, parent = the stored span context, linked to every review span. */
  release(hold: Hold): Span;
}
