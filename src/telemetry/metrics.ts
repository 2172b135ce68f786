// Counts and durations behind the Metrics port. Labels are names from the configuration, codes and states: never ids,
// never words of an agent's choosing, so that the number of series is bounded by the configuration.
// What every call records into is looked up once per combination of labels and kept.

import type { Attributes, Meter } from '@opentelemetry/api';
import { type HoldState, OPEN_STATES } from '../domain/hold.ts';
import type { IssuerStatus } from '../domain/identity.ts';
import { type Metrics, TOO_FAST_SECONDS } from '../domain/metrics.ts';
import type { Durations } from './durations.ts';
import { ATTR, METRIC } from './names.ts';
import { decisionLabel, methodLabel, type Scheme } from './span-attributes.ts';

export interface GatewayMetrics extends Metrics {
  /** Gives `countersign.holds.active` its source, read at each collection; a read that fails leaves the gauge out. */
  observeHolds(read: () => Promise<Readonly<Partial<Record<HoldState, number>>>>): void;
  /** Gives `countersign.suspensions.active` its source, read at each collection: how many there are of each kind. */
  observeSuspensions(read: () => Readonly<Record<string, number>>): void;
  /** Gives `countersign.certificate.remaining` its source, read at each collection. */
  observeCertificates(
    read: () => readonly { readonly name: string; readonly expiresAt: number }[],
    now: () => number,
  ): void;
  /** Gives the gauges about issuers’ keys their source, read at each collection; `now` in ms since the epoch. */
  observeIssuers(read: () => readonly IssuerStatus[], now: () => number): void;
}

// Boundaries of the HTTP semantic conventions, in seconds.
const HTTP_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];
const HOLD_SECONDS = [1, 5, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 14_400, 86_400];
const REVIEW_SECONDS = [1, 3, 5, 10, 20, 30, 60, 120, 300, 900, 3600];
const APPEND_SECONDS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1];

/** A bound on series whose labels an upstream can influence in part (it may answer any status). */
const MOST_LABEL_SETS = 2000;
/** Where what is beyond the bound is counted (OpenTelemetry specification, "Metrics SDK", cardinality limits). */
const OVERFLOW: Attributes = { 'otel.metric.overflow': true };

export function createMetrics(meter: Meter, durations: Pick<Durations, 'histogram'>, scheme: Scheme): GatewayMetrics {
  const seconds = (name: string, description: string, explicitBucketBoundaries: number[]) =>
    meter.createHistogram(name, { unit: 's', description, advice: { explicitBucketBoundaries } });
  const counter = (name: string, unit: string, description: string) => meter.createCounter(name, { unit, description });
  const gauge = (name: string, unit: string, description: string) =>
    meter.createObservableGauge(name, { unit, description });

  const serverDuration = durations.histogram(
    METRIC.serverDuration,
    'How long calls took, without the time they were held for people.',
    HTTP_SECONDS,
  );
  const clientDuration = durations.histogram(METRIC.clientDuration, 'How long upstreams took to answer.', HTTP_SECONDS);
  const holdDuration = seconds(
    METRIC.holdDuration,
    'How long holds lived, from their creation to their end.',
    HOLD_SECONDS,
  );
  const mintDuration = seconds(METRIC.mintDuration, 'How long credentials took to be minted.', HTTP_SECONDS);
  const auditDuration = seconds(
    METRIC.auditDuration,
    'How long audit records took to be as durable as promised.',
    APPEND_SECONDS,
  );
  const reviewDuration = seconds(
    METRIC.reviewDuration,
    'How long reviewers took from opening a hold to their vote.',
    REVIEW_SECONDS,
  );
  const reviewDecisions = counter(METRIC.reviewDecisions, '{vote}', 'Votes that counted, by verdict.');
  const reviewHasty = counter(METRIC.reviewHasty, '{vote}', 'Votes that took less than three seconds.');
  const violations = counter(METRIC.violations, '{limit}', 'Limits under violations that were reached.');
  const suspensions = gauge(METRIC.suspensions, '{suspension}', 'Suspensions in force, by what is suspended.');
  const notifications = counter(METRIC.notifications, '{attempt}', 'Attempts to deliver notifications.');
  const decisions = meter.createObservableCounter(METRIC.decisions, {
    unit: '{decision}',
    description: 'Calls by what was decided on them.',
  });
  const revocations = counter(METRIC.revocations, '{credential}', 'Attempts to take credentials back.');
  const tokensRefused = counter(METRIC.tokensRefused, '{token}', 'Agents’ tokens that were refused.');
  const keys = gauge(METRIC.keys, '{key}', 'Keys and authorities at hand, by issuer or trust domain.');
  const certificateRemaining = gauge(
    METRIC.certificateRemaining,
    's',
    'How long certificates from files still hold: listeners’, and authorities’. Negative once one has ended.',
  );
  const keysAge = gauge(METRIC.keysAge, 's', 'How long ago they were last confirmed by their source.');
  const holdsActive = gauge(METRIC.holdsActive, '{hold}', 'Open holds by state.');

  // Counted here and read at collection: the SDK's own counter hashes its labels at every call. All labels are words of
  // the gateway's.
  const decided = new Map<string, { readonly labels: Attributes; count: number }>();
  decisions.addCallback((result) => {
    for (const total of decided.values()) result.observe(total.count, total.labels);
  });
  const totalFor = (labels: Attributes) => {
    const key = JSON.stringify(labels);
    const known = decided.get(key);
    if (known !== undefined) return known;
    const total = { labels, count: 0 };
    decided.set(key, total);
    return total;
  };
  const callSeries = remember(
    (key: readonly [string, number | undefined, string | undefined, string | undefined, string]) => {
      const [method, status, upstream, error, decision] = key;
      const duration = labels({
        [ATTR.upstream]: upstream,
        [ATTR.error]: error,
        [ATTR.method]: method,
        [ATTR.status]: status,
        [ATTR.scheme]: scheme,
      });
      return {
        duration: serverDuration(duration),
        total: totalFor(labels({ [ATTR.upstream]: upstream, [ATTR.error]: error, [ATTR.decision]: decision })),
      };
    },
    () => ({ duration: serverDuration(OVERFLOW), total: totalFor(OVERFLOW) }),
  );
  const upstreamSeries = remember(
    (key: readonly [string, string, number | undefined, string | undefined]) => {
      const [upstream, method, status, error] = key;
      return clientDuration(
        labels({ [ATTR.upstream]: upstream, [ATTR.method]: method, [ATTR.status]: status, [ATTR.error]: error }),
      );
    },
    () => clientDuration(OVERFLOW),
  );

  return {
    call(facts, duration) {
      const series = callSeries([
        methodLabel(facts.method),
        facts.status,
        facts.action?.upstream,
        facts.error,
        decisionLabel(facts),
      ]);
      series.duration.record(duration);
      series.total.count += 1;
    },
    upstream(upstream, method, status, error, duration) {
      upstreamSeries([upstream, methodLabel(method), status, error]).record(duration);
    },
    tokenRefused(issuer, code) {
      tokensRefused.add(1, labels({ [ATTR.issuer]: issuer, [ATTR.error]: code }));
    },
    holdEnded(state, duration) {
      holdDuration.record(duration, { [ATTR.outcome]: state });
    },
    minted(provider, ok, duration) {
      mintDuration.record(duration, { [ATTR.provider]: provider, [ATTR.ok]: ok });
    },
    revoked(provider, ok) {
      revocations.add(1, { [ATTR.provider]: provider, [ATTR.ok]: ok });
    },
    auditAppended(duration) {
      auditDuration.record(duration);
    },
    reviewed(verdict, duration) {
      const set = { [ATTR.verdict]: verdict };
      reviewDecisions.add(1, set);
      reviewDuration.record(duration, set);
      if (duration < TOO_FAST_SECONDS) reviewHasty.add(1, set);
    },
    violations(of) {
      violations.add(1, { [ATTR.violation]: of });
    },
    notified(channel, outcome) {
      notifications.add(1, { [ATTR.channel]: channel, [ATTR.delivery]: outcome });
    },
    observeCertificates(read, now) {
      certificateRemaining.addCallback((result) => {
        for (const { name, expiresAt } of read())
          result.observe((expiresAt - now()) / 1000, { [ATTR.certificate]: name });
      });
    },
    observeIssuers(read, now) {
      keys.addCallback((result) => {
        for (const { name, keys: count, authorities = 0 } of read())
          result.observe(count + authorities, { [ATTR.issuer]: name });
      });
      keysAge.addCallback((result) => {
        for (const { name, fetchedAt } of read())
          if (fetchedAt !== undefined) result.observe((now() - fetchedAt) / 1000, { [ATTR.issuer]: name });
      });
    },
    observeSuspensions(read) {
      suspensions.addCallback((result) => {
        for (const [kind, count] of Object.entries(read())) result.observe(count, { [ATTR.suspended]: kind });
      });
    },
    observeHolds(read) {
      holdsActive.addCallback(async (result) => {
        const counts = await read();
        // All states are observed each time: a state that is left out would keep its last number.
        for (const state of OPEN_STATES) result.observe(counts[state] ?? 0, { [ATTR.state]: state });
      });
    },
  };
}

/** The attributes that have a value. */
function labels(values: Readonly<Record<string, string | number | undefined>>): Attributes {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}

/**
 * Makes the value for a key once, and one for all keys beyond the bound. Keys are label values, none of which has a
 * line feed.
 */
function remember<K extends readonly unknown[], V>(make: (key: K) => V, makeOverflow: () => V): (key: K) => V {
  const made = new Map<string, V>();
  let overflow: V | undefined;
  return (key) => {
    const name = key.join('\n');
    const known = made.get(name);
    if (known !== undefined) return known;
    if (made.size >= MOST_LABEL_SETS) {
      overflow ??= makeOverflow();
      return overflow;
    }
    const value = make(key);
    made.set(name, value);
    return value;
  };
}
