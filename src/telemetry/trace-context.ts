// W3C Trace Context: what an agent sends becomes a link, never a parent, and its baggage is not read at all.
// Trusts nothing: a field that is not exactly of the specified form is as good as absent.

import { isSpanContextValid, type SpanContext, TraceFlags } from '@opentelemetry/api';
import { type HeaderList, header } from '../domain/headers.ts';
import type { SpanRef } from '../domain/trace.ts';

// Later versions may append fields (Trace Context section 3.2.3); version ff is forbidden.
const TRACEPARENT = /^(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/** The span that the caller says it is in, or undefined when there is no valid `traceparent`. */
export function callerSpan(headers: HeaderList): SpanContext | undefined {
  const match = TRACEPARENT.exec(header(headers, 'traceparent') ?? '');
  if (match === null) return undefined;
  const [, version, traceId = '', spanId = '', flags = '', more] = match;
  if (version === '00' && more !== undefined) return undefined;
  const context: SpanContext = {
    traceId,
    spanId,
    traceFlags: Number.parseInt(flags, 16) & TraceFlags.SAMPLED,
    isRemote: true,
  };
  return isSpanContextValid(context) ? context : undefined;
}

/** A stored reference as the SDK wants it. */
export function spanContext(ref: SpanRef, isRemote: boolean): SpanContext {
  return {
    traceId: ref.traceId,
    spanId: ref.spanId,
    traceFlags: ref.sampled ? TraceFlags.SAMPLED : TraceFlags.NONE,
    isRemote,
  };
}
