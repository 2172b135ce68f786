// A held call has three traces: admit, approval, release. Every other call has one (DESIGN section 9). Links are
// written on both sides, and trace ids are repeated as flat attributes, because trace viewers follow links one way
// only. Holds, denials and errors are always kept, and a share of allowed calls. An allowed call that fails later is
// kept whole.

import { type Link, ROOT_CONTEXT, type SpanContext, SpanKind } from '@opentelemetry/api';
import { RandomIdGenerator, SamplingDecision, TraceIdRatioBasedSampler } from '@opentelemetry/sdk-trace';
import type { CallFacts } from '../domain/call-facts.ts';
import type { Clock } from '../domain/clock.ts';
import type { Hold, HoldState, Vote } from '../domain/hold.ts';
import type { ChildSpan, HoldTrace, Span, SpanRef, Tracing } from '../domain/trace.ts';
import type { ErrorCode } from '../errors.ts';
import type { EmitEvent } from './events.ts';
import { ATTR, type EventName, SPAN } from './names.ts';
import type { Recorder } from './recorder.ts';
import {
  callName,
  clientAttributes,
  clientFailure,
  clientName,
  commonAttributes,
  credentialAttributes,
  decisionLabel,
  holdAttributes,
  reviewerRef,
  type Scheme,
  serverAttributes,
  serverFailure,
} from './span-attributes.ts';
import { callerSpan, spanContext } from './trace-context.ts';

export interface CallTracingOptions {
  /** Absent when nothing is exported: spans still have ids, for logs, audit and hold records, and nothing else. */
  readonly recorder?: Recorder;
  readonly emitEvent: EmitEvent;
  /** The share of allowed calls that is kept, 0 to 1. */
  readonly sampledShare: number;
  /** Of the agents' listener. */
  readonly scheme: Scheme;
  readonly clock: Clock;
}

export interface CallTracing extends Tracing {
  /**
   * For `HoldStore.subscribe`: writes `countersign.approval.close` for a hold that ended without a vote and without
   * being sent.
   */
  holdChanged(hold: Hold, before: HoldState | undefined): void;
}

/** Final states that come from neither a vote nor an upstream response. */
type QuietEnding = 'EXPIRED' | 'CANCELLED' | 'REVOKED' | 'INVALIDATED' | 'OUTCOME_UNKNOWN';
const QUIET_ENDINGS: Readonly<Record<QuietEnding, true>> = {
  EXPIRED: true,
  CANCELLED: true,
  REVOKED: true,
  INVALIDATED: true,
  OUTCOME_UNKNOWN: true,
};
const endsQuietly = (hold: Hold): hold is Hold & { readonly state: QuietEnding } =>
  Object.hasOwn(QUIET_ENDINGS, hold.state);

type ChildKind = 'mint' | 'revoke' | 'client';

/** What the spans of one call share. */
interface Tree {
  kept: boolean;
  /** Ended spans of a call that is not kept so far: written when the call fails after all. */
  late?: (() => void)[];
  /** ms since the epoch, with fractions; never goes back within a call. */
  now(): number;
}

interface SpanPlace {
  readonly tree: Tree;
  readonly ref: SpanRef;
  readonly parent?: SpanRef;
  readonly startMs: number;
}

export function createCallTracing({
  recorder,
  emitEvent,
  sampledShare,
  scheme,
  clock,
}: CallTracingOptions): CallTracing {
  const ids = new RandomIdGenerator();
  const sampler = new TraceIdRatioBasedSampler(sampledShare);
  const exporting = recorder !== undefined;
  const approvalOf = new WeakMap<Span, SpanRef>();

  const newRef = (traceId: string, sampled: boolean): SpanRef => ({ traceId, spanId: ids.generateSpanId(), sampled });
  const inShare = (traceId: string): boolean =>
    sampler.shouldSample(ROOT_CONTEXT, traceId).decision === SamplingDecision.RECORD_AND_SAMPLED;

  function openTree(kept: boolean): Tree {
    const wall = clock.now() - performance.now();
    return { kept, now: () => wall + performance.now() };
  }

  function openChild(kind: ChildKind, { tree, ref: parent }: SpanPlace, facts: () => CallFacts): ChildSpan {
    const place: SpanPlace = { tree, ref: newRef(parent.traceId, parent.sampled), parent, startMs: tree.now() };
    return {
      ref: place.ref,
      end(error) {
        if (recorder === undefined) return;
        const endMs = tree.now();
        const write = () => writeChild(recorder, kind, place, endMs, facts(), error);
        if (tree.kept) write();
        else if (tree.late === undefined) tree.late = [write];
        else tree.late.push(write);
      },
    };
  }

  function writeChild(
    to: Recorder,
    kind: ChildKind,
    { ref, parent, startMs }: SpanPlace,
    endMs: number,
    facts: CallFacts,
    error: ErrorCode | undefined,
  ): void {
    const attributes = kind === 'client' ? clientAttributes(facts) : credentialAttributes(facts, endMs);
    const { type, failed } =
      kind === 'client' ? clientFailure(facts, error) : { type: error, failed: error !== undefined };
    if (type !== undefined) attributes[ATTR.error] = type;
    const common = { ref, ...(parent && { parent }), startMs, endMs, attributes, links: [], failed };
    if (kind === 'client') {
      to.record({ ...common, name: clientName(facts), kind: SpanKind.CLIENT });
      return;
    }
    to.record({ ...common, name: SPAN[kind], kind: SpanKind.INTERNAL });
    if (kind === 'revoke')
      emitEvent(failed ? 'countersign.credential.revoke_failed' : 'countersign.credential.revoked', attributes, ref);
    else if (facts.credential !== undefined) emitEvent('countersign.credential.issued', attributes, ref);
  }

  function openServer(
    place: SpanPlace,
    more: {
      readonly name?: string;
      readonly links: (facts: CallFacts) => Link[];
      readonly event: (facts: CallFacts) => EventName;
    },
  ): Span {
    const { tree, ref, parent, startMs } = place;
    return {
      ref,
      child: (kind, facts) => openChild(kind, place, facts),
      end(facts) {
        if (recorder === undefined) return;
        const { type, failed } = serverFailure(facts);
        if (type !== undefined && !tree.kept) {
          tree.kept = true;
          for (const write of tree.late ?? []) write();
        }
        if (!tree.kept) return;
        const attributes = serverAttributes(facts, scheme);
        if (type !== undefined) attributes[ATTR.error] = type;
        recorder.record({
          ref,
          ...(parent && { parent, parentIsRemote: true }),
          name: more.name ?? callName(facts),
          kind: SpanKind.SERVER,
          startMs,
          endMs: tree.now(),
          attributes,
          links: more.links(facts),
          failed,
        });
        emitEvent(more.event(facts), attributes, ref);
      },
    };
  }

  function admit(facts: Parameters<Tracing['admit']>[0]): Span {
    const traceId = ids.generateTraceId();
    const plain = facts.decision?.effect === 'allow' && facts.error === undefined && facts.hold === undefined;
    const kept = exporting && (!plain || inShare(traceId));
    const span = openServer(
      { tree: openTree(kept), ref: newRef(traceId, kept), startMs: facts.receivedAt },
      {
        links: (ended) => {
          const approval = ended.hold?.trace.approval ?? approvalOf.get(span);
          return [
            ...linkTo(ended.request && callerSpan(ended.request.headers), 'caller'),
            ...linkTo(approval && spanContext(approval, true), 'approval'),
          ];
        },
        event: (ended) => admitEvent(ended, span.ref),
      },
    );
    return span;
  }

  function held(span: Span, facts: CallFacts): HoldTrace {
    const approval = newRef(ids.generateTraceId(), exporting);
    approvalOf.set(span, approval);
    if (recorder !== undefined) {
      const now = clock.now();
      recorder.record({
        ref: approval,
        name: SPAN.request,
        kind: SpanKind.PRODUCER,
        startMs: now,
        endMs: now,
        attributes: {
          ...commonAttributes(facts),
          [ATTR.decision]: 'hold',
          [ATTR.callTrace]: span.ref.traceId,
          [ATTR.approvalTrace]: approval.traceId,
        },
        links: linkTo(spanContext(span.ref, true), 'admit'),
        failed: false,
      });
    }
    return { admit: span.ref, approval };
  }

  /**
   * A span of the approval's own trace, below its first one and linked to admit. It has no length: it marks a moment.
   */
  function mark(hold: Hold, at: number, name: string, kind: SpanKind, extra: Record<string, string>): SpanRef {
    const ref = newRef(hold.trace.approval.traceId, exporting);
    recorder?.record({
      ref,
      parent: hold.trace.approval,
      parentIsRemote: true,
      name,
      kind,
      startMs: at,
      endMs: at,
      attributes: { ...holdAttributes(hold), ...extra },
      links: linkTo(spanContext(hold.trace.admit, true), 'admit'),
      failed: false,
    });
    return ref;
  }

  function reviewed(hold: Hold, vote: Omit<Vote, 'span'>): SpanRef {
    const extra = { [ATTR.reviewer]: reviewerRef(vote.reviewer.id), [ATTR.verdict]: vote.decision };
    const ref = mark(hold, vote.at, SPAN.review, SpanKind.SERVER, extra);
    if (exporting) emitEvent('countersign.approval.decided', { ...holdAttributes(hold), ...extra }, ref);
    return ref;
  }

  function holdChanged(hold: Hold, before: HoldState | undefined): void {
    if (!exporting || before === undefined || before === hold.state || !endsQuietly(hold)) return;
    const expiry = hold.state === 'EXPIRED' ? { [ATTR.expiry]: hold.expiryReason } : {};
    mark(hold, hold.endedAt, SPAN.close, SpanKind.INTERNAL, { [ATTR.outcome]: hold.state, ...expiry });
  }

  function release(hold: Hold): Span {
    const tree = openTree(exporting);
    const { admit: parent, approval } = hold.trace;
    return openServer(
      { tree, ref: newRef(parent.traceId, exporting), parent, startMs: tree.now() },
      {
        name: SPAN.release,
        links: () => [
          ...linkTo(spanContext(approval, true), 'approval'),
          ...hold.votes.flatMap((vote) => linkTo(spanContext(vote.span, true), 'review')),
        ],
        event: () => 'countersign.call.released',
      },
    );
  }

  return { admit, held, reviewed, release, holdChanged };
}

/**
 * A call that opened a hold has no final answer yet, only "pending". A call that came back for a hold has its answer.
 */
function admitEvent(facts: CallFacts, { spanId }: SpanRef): EventName {
  const decision = decisionLabel(facts);
  if (decision === 'hold') {
    if (facts.hold?.trace.admit.spanId === spanId || facts.error === 'approval_pending') return 'countersign.call.held';
    return facts.upstreamStatus === undefined ? 'countersign.call.denied' : 'countersign.call.completed';
  }
  return decision === 'allow' ? 'countersign.call.completed' : 'countersign.call.denied';
}

function linkTo(context: SpanContext | undefined, what: 'caller' | 'admit' | 'approval' | 'review'): Link[] {
  return context === undefined ? [] : [{ context, attributes: { [ATTR.link]: what } }];
}
