// docs/errors.md and the error table say the same, in both directions.

import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { ERRORS } from '../../src/errors.ts';

const rows = readFileSync('docs/errors.md', 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('| `'))
  .map((line) => line.split('|').map((cell) => cell.trim()));

it('documents every error of the table, and none besides', () => {
  const documented = rows.map(([, ...cells]) => cells.slice(0, 6));
  const table = Object.entries(ERRORS).map(([code, spec]) => [
    `\`${code}\``,
    String(spec.status),
    spec.retry ? 'yes' : 'no',
    spec.title,
    spec.remedy,
    spec.executed,
  ]);
  expect(documented).toEqual(table);
});
