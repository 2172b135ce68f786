// "Did you mean …?": which slips are found, what is never suggested, and that the work stays bounded.

import { describe, expect, it } from 'vitest';
import { editDistance, nearestName, suggest } from '../../src/settings/suggestions.ts';

describe('the distance of two names', () => {
  it.each([
    ['', '', 0],
    ['count', 'count', 0],
    ['cuont', 'count', 1],
    ['coun', 'count', 1],
    ['counts', 'count', 1],
    ['coint', 'count', 1],
    ['kitten', 'sitting', 3],
    ['ca', 'abc', 3],
    ['', 'abc', 3],
  ])('of %j and %j is %i, in both directions', (a, b, distance) => {
    expect([editDistance(a, b, 9), editDistance(b, a, 9)]).toEqual([distance, distance]);
  });

  it('is only told to be above the bound, past it', () => {
    expect(editDistance('kitten', 'sitting', 2)).toBe(3);
    expect(editDistance('a'.repeat(50), 'b'.repeat(50), 3)).toBe(4);
  });
});

describe('the nearest name', () => {
  const keys = ['reviewers', 'count', 'decideWithin', 'useWithin', 'stepUp', 'notify'];
  it.each([
    ['cuont', 'count'],
    ['reviewer', 'reviewers'],
    ['decide_within', 'decideWithin'],
    ['use-within', 'useWithin'],
    ['STEPUP', 'stepUp'],
    ['notfy', 'notify'],
    ['stp', undefined],
    ['message', undefined],
    ['', undefined],
    ['x'.repeat(100), undefined],
  ])('to %j is %j', (written, nearest) => {
    expect(nearestName(written, keys)).toBe(nearest);
  });

  it('is the nearest of several, and the first of those as near', () => {
    expect(nearestName('finanse', ['finances', 'finance'])).toBe('finance');
    expect(nearestName('tiers', ['tierz', 'tierx'])).toBe('tierz');
    expect(nearestName('count', ['coint', 'count', 'counts'])).toBe('count');
  });

  it('is looked for among a bounded number of names of bounded length', () => {
    const many = Array.from({ length: 5_000 }, (_, index) => `name-${index}`);
    expect(nearestName('name-999', many)).toBe('name-999');
    expect(nearestName('nothing like these', [...many, 'nothing-like-these'])).toBeUndefined();
    expect(nearestName('a'.repeat(64), ['a'.repeat(65)])).toBeUndefined();
  });
});

describe('a suggestion', () => {
  it('names what is near, and what there is', () => {
    expect(suggest('finanse', 'Tiers', ['finance', 'ops'])).toBe('Did you mean `finance`? Tiers: `finance`, `ops`.');
    expect(suggest('payroll', 'Tiers', ['finance', 'ops'])).toBe('Tiers: `finance`, `ops`.');
  });

  it('says nothing where nothing is known, and never repeats what was written', () => {
    expect(suggest('hunter2', 'Credentials', [])).toBe('');
    expect(suggest(['hunter2'], 'Credentials', ['a'])).toBe('Credentials: `a`.');
    expect(suggest('hunter2', 'Credentials', ['hunter3'])).not.toContain('hunter2');
  });

  it('leaves a long list out beside a near name, and shortens it otherwise', () => {
    const many = Array.from({ length: 30 }, (_, index) => `upstream-${index}`);
    expect(suggest('upsteam-7', 'Upstreams', many)).toBe('Did you mean `upstream-7`?');
    expect(suggest('ledger', 'Upstreams', many)).toMatch(/^Upstreams: `upstream-0`, .*`upstream-23` and 6 more\.$/);
  });
});
