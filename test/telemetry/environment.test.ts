// The OTEL_* variables, as the specification has them.

import { describe, expect, test } from 'vitest';
import { readEnvironment } from '../../src/telemetry/environment.ts';

describe('the endpoint', () => {
  test('is nowhere when nothing names one', () => {
    expect(readEnvironment({}).targets).toEqual({});
  });

  test('that all signals share gets each signal’s path', () => {
    const { targets } = readEnvironment({ OTEL_EXPORTER_OTLP_ENDPOINT: 'https://collector.example.org/base/' });
    expect(targets.traces?.url).toBe('https://collector.example.org/base/v1/traces');
    expect(targets.metrics?.url).toBe('https://collector.example.org/base/v1/metrics');
    expect(targets.logs?.url).toBe('https://collector.example.org/base/v1/logs');
  });

  test('of one signal is taken as it is, and switches on that signal alone', () => {
    const { targets } = readEnvironment({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'https://collector.example.org/custom' });
    expect(targets).toEqual({
      traces: { url: 'https://collector.example.org/custom', headers: {}, timeoutMillis: 10_000 },
    });
  });

  test('is the local collector when the exporter is named without one', () => {
    expect(readEnvironment({ OTEL_TRACES_EXPORTER: 'otlp' }).targets.traces?.url).toBe(
      'http://localhost:4318/v1/traces',
    );
  });

  test('is not used by a signal whose exporter is none, nor by any when the SDK is disabled', () => {
    const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1' };
    expect(
      Object.keys(
        readEnvironment({ ...endpoint, OTEL_LOGS_EXPORTER: 'none', OTEL_METRICS_EXPORTER: 'prometheus' }).targets,
      ),
    ).toEqual(['traces']);
    expect(readEnvironment({ ...endpoint, OTEL_SDK_DISABLED: 'true' }).targets).toEqual({});
  });

  test('gets the header fields of all signals and its own', () => {
    const { targets } = readEnvironment({
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1',
      OTEL_EXPORTER_OTLP_HEADERS: 'a=1,b=two%20words',
      OTEL_EXPORTER_OTLP_TRACES_HEADERS: 'b=3',
    });
    expect(targets.logs?.headers).toEqual({ a: '1', b: 'two words' });
    expect(targets.traces?.headers).toEqual({ a: '1', b: '3' });
  });
});

describe('the sampler', () => {
  test.each([
    [undefined, undefined, 1],
    ['always_on', undefined, 1],
    ['parentbased_always_off', undefined, 0],
    ['traceidratio', '0.1', 0.1],
    ['parentbased_traceidratio', '0.25', 0.25],
    ['traceidratio', undefined, 1],
  ])('%s with %s keeps a share of %d', (name, arg, share) => {
    const { sampledShare, warnings } = readEnvironment({ OTEL_TRACES_SAMPLER: name, OTEL_TRACES_SAMPLER_ARG: arg });
    expect(sampledShare).toBe(share);
    expect(warnings).toEqual([]);
  });
});

test.each([
  [{ OTEL_TRACES_SAMPLER: 'jaeger_remote' }, /OTEL_TRACES_SAMPLER/],
  [{ OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '2' }, /OTEL_TRACES_SAMPLER_ARG/],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1', OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }, /only http\/protobuf/],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'collector' }, /not a URL/],
  [{ OTEL_TRACES_EXPORTER: 'zipkin' }, /OTEL_TRACES_EXPORTER/],
  [{ OTEL_BSP_MAX_QUEUE_SIZE: 'many' }, /OTEL_BSP_MAX_QUEUE_SIZE/],
])('%o is answered with a warning, not with an error', (env, warning) => {
  expect(readEnvironment(env).warnings.join('\n')).toMatch(warning);
});

test('a malformed header variable is reported without its value', () => {
  const { warnings } = readEnvironment({
    OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1',
    OTEL_EXPORTER_OTLP_HEADERS: 'authorization=%ZZsecret',
  });
  expect(warnings.join('\n')).toMatch(/OTEL_EXPORTER_OTLP_HEADERS/);
  expect(warnings.join('\n')).not.toContain('secret');
});
