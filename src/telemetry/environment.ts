// The standard OTEL_* variables (OpenTelemetry specification, "Environment Variable Specification"), read once at
// start. Nothing is exported unless an endpoint or an exporter is named: an unconfigured gateway does not knock at
// localhost:4318. What is not understood is reported as a warning and the default is used; telemetry never stops the
// gateway.

export type Signal = 'traces' | 'metrics' | 'logs';

/** Where one signal goes by OTLP http/protobuf. */
export interface OtlpTarget {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** ms for one export with its retries; default 10 s. */
  readonly timeoutMillis: number;
}

/** How spans and log records wait for export: OTEL_BSP_* and OTEL_BLRP_*. */
export interface BatchLimits {
  readonly maxQueueSize: number;
  readonly maxExportBatchSize: number;
  readonly scheduledDelayMillis: number;
  readonly exportTimeoutMillis: number;
}

export interface TelemetryEnvironment {
  readonly serviceName: string;
  readonly resource: Readonly<Record<string, string>>;
  /** Absent: this signal is not exported. */
  readonly targets: Readonly<Partial<Record<Signal, OtlpTarget>>>;
  /** The share of allowed calls that is traced, 0 to 1; holds, denials and errors always are. */
  readonly sampledShare: number;
  readonly spans: BatchLimits;
  readonly logs: BatchLimits;
  readonly metricIntervalMillis: number;
  readonly metricTimeoutMillis: number;
  /** One sentence for each variable that was not understood. Never holds a value of a _HEADERS variable. */
  readonly warnings: readonly string[];
}

type EnvironmentVariables = Readonly<Record<string, string | undefined>>;

export function readEnvironment(env: EnvironmentVariables): TelemetryEnvironment {
  const warnings: string[] = [];
  const number = (name: string, fallback: number): number => {
    const text = env[name]?.trim();
    if (!text) return fallback;
    const value = Number(text);
    if (Number.isFinite(value) && value > 0) return value;
    warnings.push(`${name} is not a positive number; ${fallback} is used.`);
    return fallback;
  };
  const batch = (prefix: 'OTEL_BSP' | 'OTEL_BLRP', delay: number): BatchLimits => {
    const maxQueueSize = number(`${prefix}_MAX_QUEUE_SIZE`, 2048);
    return {
      maxQueueSize,
      maxExportBatchSize: Math.min(number(`${prefix}_MAX_EXPORT_BATCH_SIZE`, 512), maxQueueSize),
      scheduledDelayMillis: number(`${prefix}_SCHEDULE_DELAY`, delay),
      exportTimeoutMillis: number(`${prefix}_EXPORT_TIMEOUT`, 30_000),
    };
  };
  const targets: Partial<Record<Signal, OtlpTarget>> = {};
  if (env.OTEL_SDK_DISABLED?.trim().toLowerCase() !== 'true') {
    for (const signal of ['traces', 'metrics', 'logs'] as const) {
      const target = otlpTarget(env, signal, number, warnings);
      if (target !== undefined) targets[signal] = target;
    }
  }
  const resource = keyValues(env, 'OTEL_RESOURCE_ATTRIBUTES', warnings);
  const metricIntervalMillis = number('OTEL_METRIC_EXPORT_INTERVAL', 60_000);
  return {
    serviceName: env.OTEL_SERVICE_NAME?.trim() || resource['service.name'] || 'countersign',
    resource,
    targets,
    sampledShare: sampledShare(env, warnings),
    spans: batch('OTEL_BSP', 5000),
    logs: batch('OTEL_BLRP', 1000),
    metricIntervalMillis,
    metricTimeoutMillis: Math.min(number('OTEL_METRIC_EXPORT_TIMEOUT', 30_000), metricIntervalMillis),
    warnings,
  };
}

function otlpTarget(
  env: EnvironmentVariables,
  signal: Signal,
  number: (name: string, fallback: number) => number,
  warnings: string[],
): OtlpTarget | undefined {
  const upper = signal.toUpperCase();
  const own = env[`OTEL_EXPORTER_OTLP_${upper}_ENDPOINT`]?.trim();
  const shared = env.OTEL_EXPORTER_OTLP_ENDPOINT?.trim();
  const exporters = (env[`OTEL_${upper}_EXPORTER`] ?? '').split(',').map((name) => name.trim().toLowerCase());
  const named = exporters.filter((name) => name !== '');
  for (const name of named) {
    // /metrics always answers Prometheus, so naming it is no fault.
    if (name !== 'otlp' && name !== 'none' && !(signal === 'metrics' && name === 'prometheus')) {
      warnings.push(`OTEL_${upper}_EXPORTER: only otlp and none are supported; one name is passed over.`);
    }
  }
  const wanted = named.length > 0 ? named.includes('otlp') : Boolean(own || shared);
  if (!wanted) return undefined;

  const protocolName = env[`OTEL_EXPORTER_OTLP_${upper}_PROTOCOL`]
    ? `OTEL_EXPORTER_OTLP_${upper}_PROTOCOL`
    : 'OTEL_EXPORTER_OTLP_PROTOCOL';
  const protocol = env[protocolName]?.trim();
  if (protocol && protocol !== 'http/protobuf') {
    warnings.push(`${protocolName}: only http/protobuf is supported; ${signal} are sent as http/protobuf.`);
  }
  // A signal's own endpoint is taken as it is; the shared one gets the signal's path (OTLP exporter specification).
  const url = own || `${(shared || 'http://localhost:4318').replace(/\/+$/, '')}/v1/${signal}`;
  if (!URL.canParse(url)) {
    warnings.push(`The OTLP endpoint for ${signal} is not a URL; ${signal} are not exported.`);
    return undefined;
  }
  return {
    url,
    headers: {
      ...keyValues(env, 'OTEL_EXPORTER_OTLP_HEADERS', warnings),
      ...keyValues(env, `OTEL_EXPORTER_OTLP_${upper}_HEADERS`, warnings),
    },
    timeoutMillis: number(`OTEL_EXPORTER_OTLP_${upper}_TIMEOUT`, number('OTEL_EXPORTER_OTLP_TIMEOUT', 10_000)),
  };
}

/** `key1=value1,key2=value2`, values percent-encoded (W3C Baggage syntax without properties). */
function keyValues(env: EnvironmentVariables, name: string, warnings: string[]): Record<string, string> {
  const pairs: Record<string, string> = {};
  for (const entry of (env[name] ?? '').split(',')) {
    if (entry.trim() === '') continue;
    const at = entry.indexOf('=');
    try {
      if (at < 1) throw new URIError();
      pairs[entry.slice(0, at).trim()] = decodeURIComponent(entry.slice(at + 1).trim());
    } catch {
      warnings.push(`${name}: an entry is not key=value with a percent-encoded value; it is passed over.`);
    }
  }
  return pairs;
}

/** Every root is the gateway's own, so a parentbased_ sampler is its root sampler. */
function sampledShare(env: EnvironmentVariables, warnings: string[]): number {
  const name = env.OTEL_TRACES_SAMPLER?.trim().toLowerCase() || 'parentbased_always_on';
  switch (name.replace(/^parentbased_/, '')) {
    case 'always_on':
      return 1;
    case 'always_off':
      return 0;
    case 'traceidratio': {
      const text = env.OTEL_TRACES_SAMPLER_ARG?.trim();
      const share = text ? Number(text) : 1;
      if (share >= 0 && share <= 1) return share;
      warnings.push('OTEL_TRACES_SAMPLER_ARG is not a number from 0 to 1; 1 is used.');
      return 1;
    }
    default:
      warnings.push(
        'OTEL_TRACES_SAMPLER is none of always_on, always_off, traceidratio and their parentbased_ forms; ' +
          'always_on is used.',
      );
      return 1;
  }
}
