// Starts tracing, metrics and logging from the standard OTEL_* variables, and stops them.
// Without an endpoint nothing leaves the process: spans are ids only, and metrics are there for /metrics alone.
// Nothing here is awaited by a call, and nothing here can fail one: losses are counted and logged.

import type { Attributes } from '@opentelemetry/api';
import { OTLPLogExporter } from '@opentelemetry/exporter-logs-otlp-proto';
import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-proto';
import { PrometheusExporter, PrometheusSerializer } from '@opentelemetry/exporter-prometheus';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchLogRecordProcessor, LoggerProvider } from '@opentelemetry/sdk-logs';
import {
  AggregationTemporality,
  InstrumentType,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { BatchSpanProcessor } from '@opentelemetry/sdk-trace';
import type { DestinationStream } from 'pino';
import { type Clock, systemClock } from '../domain/clock.ts';
import type { Logger } from '../domain/log.ts';
import { type CallTracing, createCallTracing } from './call-spans.ts';
import { createDurations, type Durations } from './durations.ts';
import { readEnvironment, type Signal, type TelemetryEnvironment } from './environment.ts';
import { createEvents, type EmitEvent } from './events.ts';
import { countLosses, guardLogs, guardSpans, type Losses } from './exporters.ts';
import { createLog } from './log.ts';
import { createMetrics, type GatewayMetrics } from './metrics.ts';
import { METRIC } from './names.ts';
import { createRecorder } from './recorder.ts';
import type { Scheme } from './span-attributes.ts';

export interface TelemetryOptions {
  /**
   * Usually process.env. Client certificates and compression (OTEL_EXPORTER_OTLP_…) are read by the exporters, from
   * process.env itself.
   */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly version: string;
  /** service.instance.id: one per process. */
  readonly instance: string;
  /** Where log lines go; default: standard output. */
  readonly destination?: DestinationStream;
  /** Of the agents' listener, for url.scheme; default http. */
  readonly scheme?: Scheme;
  readonly clock?: Clock;
}

export interface Telemetry {
  readonly tracing: CallTracing;
  readonly metrics: GatewayMetrics;
  readonly log: Logger;
  readonly emitEvent: EmitEvent;
  /** The body for GET /metrics (`text/plain; version=0.0.4`): every metric, whether or not any is exported. */
  serveMetrics(): Promise<string>;
  /** Sends what waits. Never rejects; gives up after five seconds. */
  flush(): Promise<void>;
  /** Sends what waits, and stops. Never rejects; gives up after five seconds. */
  shutdown(): Promise<void>;
}

const FLUSH_MS = 5000;

export function startTelemetry({
  env,
  version,
  instance,
  destination,
  scheme = 'http',
  clock = systemClock,
}: TelemetryOptions): Telemetry {
  const settings = readEnvironment(env);
  const log = createLog(destination);
  for (const warning of settings.warnings) log.warn('telemetry.setting_ignored', { warning });

  const resource = resourceFromAttributes({
    ...settings.resource,
    'service.name': settings.serviceName,
    'service.version': version,
    'service.instance.id': instance,
  } satisfies Attributes);

  const durations = createDurations(resource, version, clock);
  const prometheus = new PrometheusExporter({
    preventServerStart: true,
    metricProducers: [durations.producer(AggregationTemporality.CUMULATIVE)],
  });
  const serializer = new PrometheusSerializer();
  const pushed = metricPush(settings, durations);
  const meters = new MeterProvider({
    resource,
    readers: pushed === undefined ? [prometheus] : [prometheus, pushed.reader],
  });
  const meter = meters.getMeter('countersign', version);
  const dropped = meter.createCounter(METRIC.dropped, {
    unit: '{item}',
    description: 'Spans and log records that never reached their receiver.',
  });
  const failures = meter.createCounter(METRIC.exportFailures, {
    unit: '{export}',
    description: 'Exports of telemetry that failed.',
  });
  const lossesOf = (signal: Signal, maxQueueSize: number): Losses =>
    countLosses({ signal, maxQueueSize, dropped, failures, log });
  if (pushed !== undefined) lossesOf('metrics', Number.POSITIVE_INFINITY).watch(pushed.exporter, () => 0);

  const logs = logExport(settings, resource, lossesOf);
  const emitEvent = createEvents(logs?.getLogger('countersign', version));
  const processor = spanExport(settings, lossesOf);
  const recorder = processor && createRecorder(resource, processor, version);
  const tracing = createCallTracing({
    ...(recorder && { recorder }),
    emitEvent,
    sampledShare: settings.sampledShare,
    scheme,
    clock,
  });

  return {
    tracing,
    metrics: createMetrics(meter, durations, scheme),
    log,
    emitEvent,
    async serveMetrics() {
      const { resourceMetrics, errors } = await prometheus.collect();
      for (const error of errors)
        log.warn('telemetry.collect_failed', { error: error instanceof Error ? error : new Error('not an error') });
      return serializer.serialize(withUnits(resourceMetrics));
    },
    flush: () => within(FLUSH_MS, [recorder?.flush(), logs?.forceFlush(), meters.forceFlush()]),
    async shutdown() {
      await within(FLUSH_MS, [recorder?.shutdown(), logs?.shutdown(), meters.shutdown()]);
      log.flush();
    },
  };
}

function spanExport(
  { targets, spans }: TelemetryEnvironment,
  lossesOf: (signal: Signal, maxQueueSize: number) => Losses,
) {
  if (targets.traces === undefined) return undefined;
  const losses = lossesOf('traces', spans.maxQueueSize);
  const exporter = new OTLPTraceExporter(targets.traces);
  losses.watch(exporter, (items) => items.length);
  return guardSpans(new BatchSpanProcessor({ exporter, ...spans }), losses);
}

function logExport(
  { targets, logs }: TelemetryEnvironment,
  resource: ReturnType<typeof resourceFromAttributes>,
  lossesOf: (signal: Signal, maxQueueSize: number) => Losses,
): LoggerProvider | undefined {
  if (targets.logs === undefined) return undefined;
  const losses = lossesOf('logs', logs.maxQueueSize);
  const exporter = new OTLPLogExporter(targets.logs);
  losses.watch(exporter, (items) => items.length);
  return new LoggerProvider({
    resource,
    processors: [guardLogs(new BatchLogRecordProcessor({ exporter, ...logs }), losses)],
  });
}

function metricPush(
  { targets, metricIntervalMillis, metricTimeoutMillis }: TelemetryEnvironment,
  durations: Durations,
) {
  if (targets.metrics === undefined) return undefined;
  const exporter = new OTLPMetricExporter(targets.metrics);
  const reader = new PeriodicExportingMetricReader({
    exporter,
    exportIntervalMillis: metricIntervalMillis,
    exportTimeoutMillis: metricTimeoutMillis,
    metricProducers: [durations.producer(exporter.selectAggregationTemporality(InstrumentType.HISTOGRAM))],
  });
  return { exporter, reader };
}

type Collected = Awaited<ReturnType<PrometheusExporter['collect']>>['resourceMetrics'];

/**
 * Puts the unit into the name, as Prometheus wants it (OpenTelemetry specification, "Prometheus compatibility"); the
 * serializer leaves it out.
 */
function withUnits(collected: Collected): Collected {
  const named = (descriptor: Collected['scopeMetrics'][number]['metrics'][number]['descriptor']) =>
    descriptor.unit === 's' ? { ...descriptor, name: `${descriptor.name}.seconds` } : descriptor;
  const scopeMetrics = collected.scopeMetrics.map((scope) => ({
    ...scope,
    metrics: scope.metrics.map((metric) => ({ ...metric, descriptor: named(metric.descriptor) })),
  }));
  return { ...collected, scopeMetrics };
}

/** Waits for all of them, whatever becomes of each, but not longer than this. */
async function within(ms: number, tasks: readonly (Promise<unknown> | undefined)[]): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const tooLong = new Promise((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([Promise.allSettled(tasks), tooLong]);
  clearTimeout(timer);
}
