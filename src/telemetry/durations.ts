// The two histograms that every call records into, aggregated here and handed to the SDK's readers when they collect
// (OpenTelemetry specification, "MetricProducer"). The SDK sorts and joins a call's labels at each record, and that
// costs a call more than its policy does; here the series of a set of labels is looked up once and kept.

import { type Attributes, type HrTime, ValueType } from '@opentelemetry/api';
import type { Resource } from '@opentelemetry/resources';
import {
  AggregationTemporality,
  type DataPoint,
  DataPointType,
  type Histogram,
  type HistogramMetricData,
  type MetricDescriptor,
  type MetricProducer,
} from '@opentelemetry/sdk-metrics';
import type { Clock } from '../domain/clock.ts';
import { hrTime } from './hr-time.ts';

/** The durations of one set of labels. */
export interface Series {
  record(seconds: number): void;
}

/** The counts of a series at one moment. */
interface Totals {
  readonly counts: readonly number[];
  readonly sum: number;
  readonly count: number;
}

export interface Durations {
  /** A histogram in seconds. Gives the series of a set of labels: a new one each time, so ask once per set. */
  histogram(name: string, description: string, boundaries: readonly number[]): (labels: Attributes) => Series;
  /**
   * For one reader. `DELTA` tells each reader what came since it last collected; `CUMULATIVE` what came since the
   * start.
   */
  producer(temporality: AggregationTemporality): MetricProducer;
}

interface Family {
  readonly descriptor: MetricDescriptor;
  readonly boundaries: readonly number[];
  readonly series: DurationSeries[];
}

export function createDurations(resource: Resource, version: string, clock: Clock): Durations {
  const scope = { name: 'countersign', version };
  const startedAt = hrTime(clock.now());
  const families: Family[] = [];

  function producer(aggregationTemporality: AggregationTemporality): MetricProducer {
    const delta = aggregationTemporality === AggregationTemporality.DELTA;
    const told = new Map<DurationSeries, Totals>();
    let since = startedAt;

    function pointsOf({ series, boundaries }: Family, endTime: HrTime): DataPoint<Histogram>[] {
      return series.flatMap((one) => {
        const { counts, sum, count } = one.since(told.get(one));
        if (delta) told.set(one, one.totals());
        if (count === 0) return [];
        const value = { buckets: { boundaries: [...boundaries], counts: [...counts] }, sum, count };
        return [{ startTime: since, endTime, attributes: one.labels, value }];
      });
    }

    return {
      async collect() {
        const endTime = hrTime(clock.now());
        const metrics = families.flatMap((family): HistogramMetricData[] => {
          const dataPoints = pointsOf(family, endTime);
          return dataPoints.length === 0
            ? []
            : [
                {
                  descriptor: family.descriptor,
                  aggregationTemporality,
                  dataPointType: DataPointType.HISTOGRAM,
                  dataPoints,
                },
              ];
        });
        if (delta) since = endTime;
        return {
          resourceMetrics: { resource, scopeMetrics: metrics.length === 0 ? [] : [{ scope, metrics }] },
          errors: [],
        };
      },
    };
  }

  return {
    histogram(name, description, boundaries) {
      const family: Family = {
        descriptor: { name, description, unit: 's', valueType: ValueType.DOUBLE },
        boundaries,
        series: [],
      };
      families.push(family);
      return (labels) => {
        const series = new DurationSeries(labels, boundaries);
        family.series.push(series);
        return series;
      };
    },
    producer,
  };
}

class DurationSeries implements Series {
  readonly labels: Attributes;
  readonly #boundaries: readonly number[];
  /** One more than boundaries: the last is for what is above them all. */
  readonly #counts: number[];
  #sum = 0;
  #count = 0;

  constructor(labels: Attributes, boundaries: readonly number[]) {
    this.labels = labels;
    this.#boundaries = boundaries;
    this.#counts = Array.from({ length: boundaries.length + 1 }, () => 0);
  }

  /** Boundaries are inclusive upper bounds. */
  record(seconds: number): void {
    let bucket = 0;
    while (bucket < this.#boundaries.length && seconds > (this.#boundaries[bucket] as number)) bucket += 1;
    this.#counts[bucket] = (this.#counts[bucket] as number) + 1;
    this.#sum += seconds;
    this.#count += 1;
  }

  totals(): Totals {
    return { counts: [...this.#counts], sum: this.#sum, count: this.#count };
  }

  since(before: Totals | undefined): Totals {
    if (before === undefined) return this.totals();
    return {
      counts: this.#counts.map((count, i) => count - (before.counts[i] as number)),
      sum: this.#sum - before.sum,
      count: this.#count - before.count,
    };
  }
}
