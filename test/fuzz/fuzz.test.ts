// Every fuzz target for a few hundred inputs, under a fixed seed, and over what was found before. The long runs are
// `npm run fuzz`.

import { describe, expect, it } from 'vitest';
import { runRound, vectorsOf } from './run.ts';
import { demand, type Target } from './target.ts';
import { TARGETS } from './targets.ts';

describe.each(TARGETS.map((target) => [target.name, target] as const))('%s', (_name, target) => {
  it('finds nothing in some hundred inputs', () => {
    expect(runRound(target, 1, 300)).toBeUndefined();
  });

  it('finds nothing in what was found before', () => {
    for (const input of vectorsOf(target)) target.check(input);
  });
});

it('would find a fault, and makes it small', () => {
  const [target] = TARGETS as readonly [Target, ...Target[]];
  const finding = runRound(target, 1, 2_000, (input) => demand(!input.includes('%2f'), 'A separator.'));
  expect(finding).toMatchObject({ fault: 'A separator.', seed: 1 });
  expect(finding?.input.length).toBeLessThan(12);
});
