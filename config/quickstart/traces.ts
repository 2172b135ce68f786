// A small OTLP receiver, so that the quickstart's traces can be read without a collector: one line per span, newest
// last.

import { appendFileSync } from 'node:fs';
import { MockOtlpServer, normalizeTrace } from '@elastic/mockotlpserver';

export interface TraceLog {
  /** What OTEL_EXPORTER_OTLP_ENDPOINT is set to. */
  readonly endpoint: string;
  close(): Promise<void>;
}

/** An OTLP trace request as the receiver normalises it, as far as it is shown. */
interface Trace {
  readonly resourceSpans: readonly { readonly scopeSpans: readonly { readonly spans: readonly Span[] }[] }[];
}

interface Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  /** Nanoseconds since the epoch. */
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes?: Readonly<Record<string, unknown>>;
  readonly links?: readonly { readonly traceId: string; readonly spanId: string }[];
}

const SHOWN = [
  'countersign.decision',
  'countersign.hold.id',
  'countersign.hold.outcome',
  'countersign.reviewer.ref',
  'http.response.status_code',
];

/** Receives OTLP over HTTP on 127.0.0.1 and appends to `path`. */
export async function startTraceLog(port: number, path: string): Promise<TraceLog> {
  const server = new MockOtlpServer({
    services: ['http'],
    httpHostname: '127.0.0.1',
    httpPort: port,
    logLevel: 'error',
    onTrace: (trace) => {
      const spans = (normalizeTrace(trace) as Trace).resourceSpans.flatMap(({ scopeSpans }) =>
        scopeSpans.flatMap((scope) => scope.spans),
      );
      appendFileSync(path, spans.map((span) => `${renderSpan(span)}\n`).join(''));
    },
  });
  await server.start();
  return { endpoint: server.httpUrl.origin, close: () => server.close() };
}

function renderSpan(span: Span): string {
  const start = BigInt(span.startTimeUnixNano);
  const milliseconds = Number(BigInt(span.endTimeUnixNano) - start) / 1e6;
  const facts = SHOWN.filter((name) => span.attributes?.[name] !== undefined).map(
    (name) => `${name.replace('countersign.', '')}=${span.attributes?.[name]}`,
  );
  return [
    new Date(Number(start / 1_000_000n)).toISOString(),
    JSON.stringify(span.name),
    `${milliseconds.toFixed(1)}ms`,
    `trace=${span.traceId}`,
    `span=${span.spanId}`,
    ...(span.parentSpanId ? [`parent=${span.parentSpanId}`] : []),
    ...(span.links ?? []).map((link) => `link=${link.traceId}/${link.spanId}`),
    ...facts,
  ].join(' ');
}
