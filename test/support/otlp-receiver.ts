// A real OTLP http/protobuf receiver in the test's process (@elastic/mockotlpserver), with what arrived as plain
// values. Its server publishes to process-wide channels: one open receiver at a time, or every one hears all.

import { MockOtlpServer, normalizeLogs, normalizeMetrics, normalizeTrace } from '@elastic/mockotlpserver';

export interface ReceivedLink {
  readonly traceId: string;
  readonly spanId: string;
  readonly attributes: Readonly<Record<string, unknown>>;
}

export interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  /** Empty or absent for a root. */
  readonly parentSpanId?: string;
  readonly name: string;
  /** For example `SPAN_KIND_SERVER`. */
  readonly kind: string;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly links?: readonly ReceivedLink[];
  readonly status?: { readonly code?: string };
}

export interface ReceivedLog {
  /** The receiver's schema predates event names; the body repeats them. */
  readonly body?: string;
  readonly severityText?: string;
  readonly severityNumber?: number;
  readonly traceId?: string;
  readonly attributes: Readonly<Record<string, unknown>>;
}

export interface ReceivedMetric {
  readonly name: string;
  readonly histogram?: {
    /** opentelemetry/proto/metrics/v1, AggregationTemporality: 1 is delta, 2 is cumulative. */
    readonly aggregationTemporality: number;
    readonly dataPoints: readonly { readonly count: string | number }[];
  };
}

export interface OtlpReceiver {
  /** For OTEL_EXPORTER_OTLP_ENDPOINT. */
  readonly url: string;
  readonly spans: readonly ReceivedSpan[];
  readonly logs: readonly ReceivedLog[];
  /** One entry for each metric of each export, in the order in which they came. */
  readonly metrics: readonly ReceivedMetric[];
  /** Resource attributes of the last traces request. */
  readonly resource: Readonly<Record<string, unknown>>;
  /** Header fields of every request. */
  readonly requests: readonly Readonly<Record<string, string | undefined>>[];
  /** Everything received, as one text: to search for literals that must not be there. */
  text(): string;
  close(): Promise<void>;
}

interface TraceRequest {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: Record<string, unknown> };
    readonly scopeSpans: readonly { readonly spans: readonly ReceivedSpan[] }[];
  }[];
}
interface LogsRequest {
  readonly resourceLogs: readonly { readonly scopeLogs: readonly { readonly logRecords: readonly ReceivedLog[] }[] }[];
}
interface MetricsRequest {
  readonly resourceMetrics: readonly {
    readonly scopeMetrics: readonly { readonly metrics: readonly ReceivedMetric[] }[];
  }[];
}

export async function startOtlpReceiver(): Promise<OtlpReceiver> {
  const spans: ReceivedSpan[] = [];
  const logs: ReceivedLog[] = [];
  const metrics: ReceivedMetric[] = [];
  const requests: Readonly<Record<string, string | undefined>>[] = [];
  const raw: unknown[] = [];
  let resource: Readonly<Record<string, unknown>> = {};
  let open = true;

  // The shapes are those of the OTLP protocol, which the server has decoded and normalised.
  const server = new MockOtlpServer({
    logLevel: 'error',
    services: ['http'],
    httpHostname: '127.0.0.1',
    httpPort: 0,
    onRequest: ({ headers }) => open && requests.push(headers),
    onTrace(request) {
      if (!open) return;
      const trace = normalizeTrace(request) as TraceRequest;
      raw.push(trace);
      for (const { resource: from, scopeSpans } of trace.resourceSpans) {
        resource = from.attributes;
        for (const scope of scopeSpans) spans.push(...scope.spans);
      }
    },
    onLogs(request) {
      if (!open) return;
      const received = normalizeLogs(request) as LogsRequest;
      raw.push(received);
      for (const { scopeLogs } of received.resourceLogs) for (const scope of scopeLogs) logs.push(...scope.logRecords);
    },
    onMetrics(request) {
      if (!open) return;
      const received = normalizeMetrics(request) as MetricsRequest;
      raw.push(received);
      for (const { scopeMetrics } of received.resourceMetrics)
        for (const scope of scopeMetrics) metrics.push(...scope.metrics);
    },
  });
  await server.start();
  return {
    url: server.httpUrl.origin,
    spans,
    logs,
    metrics,
    requests,
    get resource() {
      return resource;
    },
    text: () => JSON.stringify([raw, requests]),
    async close() {
      open = false;
      await server.close();
    },
  };
}
