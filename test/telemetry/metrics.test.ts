// Metrics as Prometheus reads them, and what becomes of telemetry when nobody takes it.

import { createServer, type Server } from 'node:http';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { startTelemetry, type Telemetry } from '../../src/telemetry/start.ts';
import { callOf, LITERALS, toolCall } from '../support/call-facts.ts';
import { startOtlpReceiver } from '../support/otlp-receiver.ts';

let telemetry: Telemetry | undefined;
const lines: string[] = [];

function start(env: Record<string, string> = {}): Telemetry {
  lines.length = 0;
  telemetry = startTelemetry({
    env,
    version: '1.2.3',
    instance: 'i',
    destination: { write: (line) => void lines.push(line) },
  });
  return telemetry;
}

afterEach(() => telemetry?.shutdown());

interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** The Prometheus text format, strictly: a line that is neither comment nor sample fails the test. */
function parse(text: string): Sample[] {
  const samples: Sample[] = [];
  for (const line of text.split('\n')) {
    if (line === '' || /^# (HELP|TYPE|UNIT) /.test(line)) continue;
    const match = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (match === null) throw new Error(`not a sample: ${line}`);
    const labels = Object.fromEntries(
      [...(match[2] ?? '').matchAll(/([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g)].map(([, name, value]) => [name, value]),
    );
    samples.push({ name: match[1] ?? '', labels, value: Number(match[3]) });
  }
  return samples;
}

async function scrape(of: Telemetry): Promise<Sample[]> {
  return parse(await of.serveMetrics());
}

describe('/metrics', () => {
  test('counts decisions and times calls, with names of the configuration as labels', async () => {
    const { metrics } = start();
    metrics.call(callOf('allow', { status: 200 }), 0.02);
    metrics.call(callOf('allow', { status: 200 }), 0.03);
    metrics.call(callOf('deny', { status: 403, error: 'denied' }), 0.001);
    const samples = await scrape(telemetry as Telemetry);
    const decisions = samples.filter((sample) => sample.name === 'countersign_decisions_total');
    expect(decisions.map(({ labels, value }) => [labels.countersign_decision, labels.error_type, value])).toEqual([
      ['allow', undefined, 2],
      ['deny', 'denied', 1],
    ]);
    const count = samples.find(
      (sample) =>
        sample.name === 'http_server_request_duration_seconds_count' &&
        sample.labels.http_response_status_code === '200',
    );
    expect(count).toMatchObject({
      value: 2,
      labels: { http_request_method: 'POST', countersign_upstream: 'ledger', url_scheme: 'http' },
    });
  });

  test('has a series for everything that the gateway counts', async () => {
    const { metrics } = start();
    metrics.call(callOf('hold', { status: 409, error: 'approval_pending' }), 0.02);
    metrics.upstream('ledger', 'POST', 201, undefined, 0.1);
    metrics.tokenRefused('corp', 'token_expired');
    metrics.holdEnded('EXECUTED', 42);
    metrics.minted('static', true, 0.01);
    metrics.revoked('static', false);
    metrics.auditAppended(0.0004);
    metrics.observeHolds(async () => ({ PENDING: 3, APPROVED: 1 }));
    const samples = await scrape(telemetry as Telemetry);
    const names = new Set(samples.map((sample) => sample.name));
    for (const name of [
      'http_server_request_duration_seconds_count',
      'http_client_request_duration_seconds_count',
      'countersign_decisions_total',
      'countersign_hold_duration_seconds_count',
      'countersign_credential_mint_duration_seconds_count',
      'countersign_credential_revocations_total',
      'countersign_audit_append_duration_seconds_count',
      'countersign_tokens_refused_total',
    ]) {
      expect(names, name).toContain(name);
    }
    const active = samples.filter((sample) => sample.name === 'countersign_holds_active');
    expect(active.map(({ labels, value }) => [labels.countersign_hold_state, value])).toEqual([
      ['PENDING', 3],
      ['APPROVED', 1],
      ['RELEASING', 0],
      ['SENT', 0],
    ]);
  });

  test('brings the gauge of a state down again when its last hold has ended', async () => {
    const { metrics } = start();
    let counts: Readonly<Record<string, number>> = { PENDING: 1 };
    metrics.observeHolds(async () => counts);
    const pending = async () =>
      (await scrape(telemetry as Telemetry)).find(({ labels }) => labels.countersign_hold_state === 'PENDING')?.value;
    expect(await pending()).toBe(1);
    counts = {};
    expect(await pending()).toBe(0);
  });

  test('tell how many keys each issuer has, and how long ago they were confirmed', async () => {
    const { metrics } = start();
    const issuers = [
      { name: 'prod', type: 'spiffe', ready: true, keys: 1, authorities: 2, fetchedAt: 1_000 },
      { name: 'corp', type: 'oidc', ready: false, keys: 0 },
    ] as const;
    metrics.observeIssuers(
      () => issuers,
      () => 31_000,
    );
    const samples = await scrape(telemetry as Telemetry);
    const of = (name: string) =>
      samples.filter((sample) => sample.name === name).map(({ labels, value }) => [labels.countersign_issuer, value]);
    expect(of('countersign_identity_keys')).toEqual([
      ['prod', 3],
      ['corp', 0],
    ]);
    expect(of('countersign_identity_keys_age_seconds')).toEqual([['prod', 30]]);
  });

  test('counts what is beyond 2,000 sets of labels in one series, so that an upstream cannot fill the memory with statuses', async () => {
    const { metrics } = start();
    for (let status = 0; status < 2_100; status += 1) metrics.upstream('ledger', 'GET', status, undefined, 0.1);
    const counts = (await scrape(telemetry as Telemetry)).filter(
      (sample) => sample.name === 'http_client_request_duration_seconds_count',
    );
    expect(counts).toHaveLength(2_001);
    expect(counts.find(({ labels }) => labels.otel_metric_overflow === 'true')?.value).toBe(100);
  });

  test('still answers when the source of the gauge fails', async () => {
    const { metrics } = start();
    metrics.observeHolds(() => Promise.reject(new Error('store is down')));
    metrics.auditAppended(0.001);
    const names = (await scrape(telemetry as Telemetry)).map((sample) => sample.name);
    expect(names).toContain('countersign_audit_append_duration_seconds_count');
    expect(names).not.toContain('countersign_holds_active');
  });

  test('has no label that an agent or a person could choose', async () => {
    const { metrics } = start();
    for (let i = 0; i < 50; i += 1)
      metrics.call(
        callOf('deny', {
          ...toolCall(`invented-${i}`),
          id: `call-${i}`,
          method: `INVENTED${i}`,
          status: 403,
          error: 'denied',
        }),
        0.001,
      );
    const text = await (telemetry as Telemetry).serveMetrics();
    expect(parse(text).filter((sample) => sample.name === 'countersign_decisions_total')).toHaveLength(1);
    for (const literal of [...Object.values(LITERALS), 'invented', 'INVENTED', 'call-1', 'spiffe://'])
      expect(text).not.toContain(literal);
  });
});

test('metrics are pushed to the receiver as well', async () => {
  const receiver = await startOtlpReceiver();
  const { metrics, flush } = start({
    OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
    OTEL_EXPORTER_OTLP_HEADERS: 'x-tenant=blue',
  });
  metrics.call(callOf('allow', { status: 200 }), 0.02);
  await flush();
  expect(receiver.metrics.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['http.server.request.duration', 'countersign.decisions']),
  );
  expect(receiver.requests.map((headers) => headers['x-tenant'])).toContain('blue');
  await telemetry?.shutdown();
  telemetry = undefined;
  await receiver.close();
});

test.each([
  ['cumulative', 2, [2, 3]],
  ['delta', 1, [2, 1]],
])(
  'durations are pushed as OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE asks: %s',
  async (preference, temporality, counts) => {
    const receiver = await startOtlpReceiver();
    // The exporter reads it from the process itself.
    vi.stubEnv('OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE', preference);
    try {
      const { metrics, flush } = start({ OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url });
      for (const calls of [2, 1]) {
        for (let i = 0; i < calls; i += 1) metrics.upstream('ledger', 'GET', 200, undefined, 0.1);
        await flush();
      }
      const pushed = receiver.metrics
        .filter(({ name }) => name === 'http.client.request.duration')
        .map(({ histogram }) => histogram);
      expect(pushed.map((each) => each?.dataPoints.map(({ count }) => Number(count)))).toEqual(
        counts.map((count) => [count]),
      );
      expect(pushed.map((each) => each?.aggregationTemporality)).toEqual([temporality, temporality]);
    } finally {
      vi.unstubAllEnvs();
      await telemetry?.shutdown();
      telemetry = undefined;
      await receiver.close();
    }
  },
);

describe('without a receiver', () => {
  test('nothing is configured: spans have ids, nothing is sent, nothing is counted as lost', async () => {
    const { tracing } = start();
    const facts = callOf('hold', { holdId: 'hold_x' });
    const admit = tracing.admit(facts);
    const trace = tracing.held(admit, facts);
    admit.end(facts);
    expect(trace.admit.traceId).toMatch(/^[0-9a-f]{32}$/);
    expect(trace.approval.traceId).toMatch(/^[0-9a-f]{32}$/);
    expect(trace.approval.traceId).not.toBe(trace.admit.traceId);
    expect(await (telemetry as Telemetry).serveMetrics()).not.toContain('countersign_telemetry');
    expect(lines).toEqual([]);
  });

  test('what is refused or finds no room is counted and logged once, and calls do not notice', async () => {
    const { server, url } = await refusingServer();
    const { tracing } = start({
      OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: url,
      OTEL_BSP_MAX_QUEUE_SIZE: '10',
      OTEL_BSP_SCHEDULE_DELAY: '3600000',
    });
    // Ten are on their way, ten wait, and for five there is no room.
    for (let i = 0; i < 25; i += 1) {
      const facts = callOf('deny', { status: 403, error: 'denied' });
      tracing.admit(facts).end(facts);
    }
    await telemetry?.flush();
    for (let i = 0; i < 2; i += 1) {
      const facts = callOf('deny', { status: 403, error: 'denied' });
      tracing.admit(facts).end(facts);
    }
    await telemetry?.flush();
    const samples = await scrape(telemetry as Telemetry);
    const dropped = samples.filter((sample) => sample.name === 'countersign_telemetry_dropped_total');
    const byReason = Object.fromEntries(
      dropped.map(({ labels, value }) => [labels.countersign_telemetry_reason, value]),
    );
    expect(byReason).toEqual({ queue_full: 5, export_failed: 22 });
    expect(samples.find((sample) => sample.name === 'countersign_telemetry_export_failures_total')?.value).toBe(3);
    expect(lines.map((line) => JSON.parse(line).event)).toEqual(['telemetry.export_failed']);
    server.close();
  });
});

test('a receiver that is not there loses spans, counted, and stops neither flush nor shutdown', async () => {
  const { server, url } = await refusingServer();
  await new Promise((resolve) => server.close(resolve));
  const { tracing, flush, shutdown, serveMetrics } = start({
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: url,
    OTEL_EXPORTER_OTLP_TIMEOUT: '200',
  });
  const facts = callOf('deny', { status: 403, error: 'denied' });
  tracing.admit(facts).end(facts);
  await flush();
  expect(await serveMetrics()).toMatch(/countersign_telemetry_dropped_total\{[^}]*export_failed[^}]*\} 1$/m);
  await shutdown();
});

/** A receiver that is there and takes nothing: not to be retried (400). */
async function refusingServer(): Promise<{ server: Server; url: string }> {
  const server = createServer((request, response) => {
    request.resume().on('end', () => response.writeHead(400).end());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return { server, url: `http://127.0.0.1:${address.port}/v1/traces` };
}
