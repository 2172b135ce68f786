// Writes finished spans. A span of the gateway is a plain note of where and when until it ends; only then, and only if it is
// to be kept, does the SDK hear of it, back-dated and under the ids that were promised when it began. So a call that is not
// sampled costs no SDK work, an error can still be kept at the end, and no span is lost because it was open too long.

import { type Attributes, type Link, ROOT_CONTEXT, type SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import type { Resource } from '@opentelemetry/resources';
import { AlwaysOnSampler, type SpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import type { SpanRef } from '../domain/trace.ts';
import { spanContext } from './trace-context.ts';

export interface FinishedSpan {
  readonly ref: SpanRef;
  readonly parent?: SpanRef;
  /** True when the parent was written by another request, maybe by another process. */
  readonly parentIsRemote?: boolean;
  readonly name: string;
  readonly kind: SpanKind;
  /** ms since the epoch, with fractions. */
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: Attributes;
  readonly links: readonly Link[];
  readonly failed: boolean;
}

export interface Recorder {
  record(span: FinishedSpan): void;
  flush(): Promise<void>;
  shutdown(): Promise<void>;
}

/** Longest text that an attribute keeps, in UTF-16 units; paths and names of agents' choosing end there. */
const LONGEST_VALUE = 1024;

export function createRecorder(resource: Resource, processor: SpanProcessor, version: string): Recorder {
  // The SDK asks for ids while startSpan runs, so one variable is enough to hand in those that were promised.
  let promised: SpanRef;
  const provider = new TracerProvider({
    resource,
    spanProcessors: [processor],
    spanLimits: { attributeValueLengthLimit: LONGEST_VALUE },
    // The sampling decision was taken before: what reaches the SDK is to be kept.
    sampler: new AlwaysOnSampler(),
    idGenerator: { generateTraceId: () => promised.traceId, generateSpanId: () => promised.spanId },
  });
  const tracer = provider.getTracer('countersign', version);
  return {
    record({ ref, parent, parentIsRemote = false, name, kind, startMs, endMs, attributes, links, failed }) {
      promised = ref;
      const context = parent === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, spanContext(parent, parentIsRemote));
      const span = tracer.startSpan(name, { kind, startTime: startMs, attributes, links: [...links] }, context);
      if (failed) span.setStatus({ code: SpanStatusCode.ERROR });
      span.end(endMs);
    },
    flush: () => provider.forceFlush(),
    shutdown: () => provider.shutdown(),
  };
}
