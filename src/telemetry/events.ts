// Log records with an event name, beside the spans: for those who alert on OTLP logs. Sent only when logs are exported.

import { type Attributes, type Logger, ROOT_CONTEXT, SeverityNumber, trace } from '@opentelemetry/api';
import type { SpanRef } from '../domain/trace.ts';
import type { EventName } from './names.ts';
import { spanContext } from './trace-context.ts';

/** Attributes are names, digests and numbers: the same as those of the span of that moment. */
export type EmitEvent = (name: EventName, attributes: Attributes, span?: SpanRef) => void;

const WARNINGS: ReadonlySet<EventName> = new Set(['countersign.credential.revoke_failed', 'countersign.violation']);

export function createEvents(logger: Logger | undefined): EmitEvent {
  if (logger === undefined) return () => {};
  return (eventName, attributes, span) => {
    const severityText = WARNINGS.has(eventName) ? 'WARN' : 'INFO';
    logger.emit({
      eventName,
      // Receivers older than OTLP 1.5 drop the event name; the body and the attribute that came before it keep the
      // record readable there.
      body: eventName,
      attributes: { ...attributes, 'event.name': eventName },
      severityNumber: SeverityNumber[severityText],
      severityText,
      context: span === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, spanContext(span, false)),
    });
  };
}
