// Writes finished spans. Until it ends, a span of the gateway is only a note of place and start. Only a span that is
// kept reaches the SDK, when it has ended, with the ids that it got when it began. So a call that is not sampled costs
// no SDK work, an error can still be kept at the end, and no span is lost because it was open too long.

import { type Attributes, type Link, type SpanKind, SpanStatusCode } from '@opentelemetry/api';
import type { Resource } from '@opentelemetry/resources';
import type { ReadableSpan, SpanProcessor } from '@opentelemetry/sdk-trace';
import type { SpanRef } from '../domain/trace.ts';
import { hrTime } from './hr-time.ts';
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
  const instrumentationScope = { name: 'countersign', version };

  function readable({
    ref,
    parent,
    parentIsRemote = false,
    name,
    kind,
    startMs,
    endMs,
    attributes,
    links,
    failed,
  }: FinishedSpan): ReadableSpan {
    // Everything that comes here is kept, also a call outside the sampled share that failed.
    const context = spanContext({ ...ref, sampled: true }, false);
    return {
      name,
      kind,
      spanContext: () => context,
      ...(parent && { parentSpanContext: spanContext(parent, parentIsRemote) }),
      startTime: hrTime(startMs),
      endTime: hrTime(endMs),
      duration: hrTime(endMs - startMs),
      status: { code: failed ? SpanStatusCode.ERROR : SpanStatusCode.UNSET },
      attributes: shortened(attributes),
      links: [...links],
      events: [],
      ended: true,
      resource,
      instrumentationScope,
      droppedAttributesCount: 0,
      droppedEventsCount: 0,
      droppedLinksCount: 0,
    };
  }

  return {
    record: (span) => processor.onEnd(readable(span)),
    flush: () => processor.forceFlush(),
    shutdown: () => processor.shutdown(),
  };
}

/** The attributes themselves, unless one of them is too long. */
function shortened(attributes: Attributes): Attributes {
  const tooLong = Object.keys(attributes).filter((name) => isLong(attributes[name]));
  if (tooLong.length === 0) return attributes;
  return {
    ...attributes,
    ...Object.fromEntries(tooLong.map((name) => [name, (attributes[name] as string).slice(0, LONGEST_VALUE)])),
  };
}

const isLong = (value: unknown): boolean => typeof value === 'string' && value.length > LONGEST_VALUE;
