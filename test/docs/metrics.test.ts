// docs/operations.md names every metric, and none that does not exist.

import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { METRIC } from '../../src/telemetry/names.ts';

it('documents every metric, and none besides', () => {
  const table = readFileSync('docs/operations.md', 'utf8').split(/\| metric +\|/)[1] ?? '';
  const documented = [...(table.split('\n\n')[0]?.matchAll(/`([a-z_.]+)`/g) ?? [])].map(([, name]) => name);
  expect(documented.toSorted()).toEqual(Object.values(METRIC).toSorted());
});

it('alerts only on metrics that exist, by their names at /metrics', () => {
  const named = [...readFileSync('docs/operations.md', 'utf8').matchAll(/`(countersign_[a-z_]+)/g)].map(
    ([, name = '']) => name,
  );
  const prometheus = Object.values(METRIC).map((name) => name.replaceAll('.', '_'));
  expect(named.length).toBeGreaterThan(0);
  expect(
    named.filter((name) => !prometheus.some((known) => name.replace(/_(?:seconds|total)$/, '') === known)),
  ).toEqual([]);
});
