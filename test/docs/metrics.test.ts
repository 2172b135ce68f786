// docs/operations.md names every metric, and none that does not exist.

import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { METRIC } from '../../src/telemetry/names.ts';

it('documents every metric, and none besides', () => {
  const table = readFileSync('docs/operations.md', 'utf8').split(/\| metric +\|/)[1] ?? '';
  const documented = [...(table.split('\n\n')[0]?.matchAll(/`([a-z_.]+)`/g) ?? [])].map(([, name]) => name);
  expect(documented.toSorted()).toEqual(Object.values(METRIC).toSorted());
});
