// docs/errors.md and the error table say the same, in both directions.

import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { ARRIVAL } from '../../src/errors/arrival.ts';
import { DECISION } from '../../src/errors/decision.ts';
import { REVIEWERS } from '../../src/errors/reviewers.ts';
import { SENDING } from '../../src/errors/sending.ts';
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

it('has each code in one part of the table only', () => {
  const codes = [ARRIVAL, DECISION, REVIEWERS, SENDING].flatMap((part) => Object.keys(part));
  expect(new Set(codes).size).toBe(codes.length);
  expect(codes).toEqual(Object.keys(ERRORS));
});
