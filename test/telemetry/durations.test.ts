// The histograms that calls record into, next to the SDK's own: the same values must give the same points.

import type { Attributes } from '@opentelemetry/api';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  AggregationTemporality,
  type DataPoint,
  type Histogram,
  MeterProvider,
  type MetricProducer,
  MetricReader,
} from '@opentelemetry/sdk-metrics';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createDurations } from '../../src/telemetry/durations.ts';

const BOUNDARIES = [0.005, 0.01, 0.1, 1, 10];
const LABELS: readonly Attributes[] = [{ status: 200 }, { status: 200, upstream: 'ledger' }, { status: 500 }];

let now = 1_700_000_000_000;

function gateway() {
  const durations = createDurations(resourceFromAttributes({}), '1.2.3', { now: () => now });
  const series = durations.histogram('d', 'how long', BOUNDARIES);
  return { durations, series: LABELS.map((labels) => series(labels)) };
}

class Reader extends MetricReader {
  protected override async onForceFlush(): Promise<void> {}
  protected override async onShutdown(): Promise<void> {}
}

function sdk(temporality: AggregationTemporality) {
  const reader = new Reader({ aggregationTemporalitySelector: () => temporality });
  const meter = new MeterProvider({ readers: [reader] }).getMeter('sdk');
  return {
    reader,
    histogram: meter.createHistogram('d', { unit: 's', advice: { explicitBucketBoundaries: BOUNDARIES } }),
  };
}

async function pointsOf(
  producer: Pick<MetricProducer, 'collect'>,
): Promise<Map<string, Omit<Histogram, 'min' | 'max'>>> {
  const { resourceMetrics } = await producer.collect();
  const points = resourceMetrics.scopeMetrics.flatMap(({ metrics }) =>
    metrics.flatMap(({ dataPoints }) => dataPoints as DataPoint<Histogram>[]),
  );
  return new Map(
    points
      .filter(({ value }) => value.count > 0)
      .map(({ attributes, value: { buckets, sum, count } }) => [
        JSON.stringify(attributes),
        { buckets, sum: Math.round((sum ?? 0) * 1e9) / 1e9, count },
      ]),
  );
}

const batch = fc.array(
  fc.tuple(
    fc.nat(LABELS.length - 1),
    fc.oneof(fc.double({ min: 0, max: 20, noNaN: true }), fc.constantFrom(...BOUNDARIES)),
  ),
  {
    maxLength: 30,
  },
);

for (const temporality of [AggregationTemporality.CUMULATIVE, AggregationTemporality.DELTA]) {
  test(`gives the points that the SDK gives, read twice, ${AggregationTemporality[temporality]}`, async () => {
    await fc.assert(
      fc.asyncProperty(batch, batch, async (first, second) => {
        const { durations, series } = gateway();
        const producer = durations.producer(temporality);
        const { reader, histogram } = sdk(temporality);
        for (const values of [first, second]) {
          for (const [which, seconds] of values) {
            series[which]?.record(seconds);
            histogram.record(seconds, LABELS[which]);
          }
          expect(await pointsOf(producer)).toEqual(await pointsOf(reader));
        }
      }),
      { numRuns: 50 },
    );
  });
}

test('tells each delta reader for itself what came since it last asked, and from when', async () => {
  const { durations, series } = gateway();
  const [fast, slow] = [
    durations.producer(AggregationTemporality.DELTA),
    durations.producer(AggregationTemporality.DELTA),
  ];
  series[0]?.record(1);
  await fast.collect();
  now += 10_000;
  series[0]?.record(2);
  const times = async (producer: MetricProducer): Promise<unknown> => {
    const { resourceMetrics } = await producer.collect();
    return resourceMetrics.scopeMetrics.flatMap(({ metrics }) =>
      metrics.flatMap(({ dataPoints }) =>
        dataPoints.map(({ startTime, endTime, value }) => [endTime[0] - startTime[0], (value as Histogram).count]),
      ),
    );
  };
  expect(await times(fast)).toEqual([[10, 1]]);
  expect(await times(slow)).toEqual([[10, 2]]);
  expect(await times(fast)).toEqual([]);
});
