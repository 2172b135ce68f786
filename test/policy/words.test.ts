// What `check` says of allow rules that rest on the agent's own words. Kind of fault: a rule that an agent passes by
// saying what the rule wants to hear, and an operator who is not told.

import { describe, expect, it } from 'vitest';
import type { Effect } from '../../src/domain/decision.ts';
import { checkPolicy } from '../../src/policy/check.ts';
import type { CallMatch, PolicyUpstream } from '../../src/policy/rules.ts';
import { NOTHING_CLASSIFIED } from './inputs.ts';

const UPSTREAMS: Readonly<Record<string, PolicyUpstream>> = {
  crm: { protocol: 'http', boundHeaders: ['x-customer', 'x-ms-*'], forwardHeaders: ['x-user'] },
  mail: { protocol: 'http' },
};

const warned = (when: string, match: CallMatch = { upstream: 'crm' }, decide: Effect = 'allow') =>
  checkPolicy({
    ...NOTHING_CLASSIFIED,
    upstreams: UPSTREAMS,
    tiers: { one: { reviewers: ['group:a'] } as never },
    rules: [{ id: 'r', match, when, decide, ...(decide === 'hold' && { tier: 'one' }) }],
  }).map(({ severity = 'fault', message }) => `${severity}: ${message}`);

describe('an allow rule that reads a word is warned about', () => {
  it.each([
    ['task.objective == "pay"', 'task.objective'],
    ['has(task.objective)', 'task.objective'],
    ['"urgent" in task.labels', 'task.labels'],
    ['cel.bind(t, task, t.objective == "pay")', 'task'],
    ['request.headers["x-reason"] == "audit"', 'request.headers["x-reason"]'],
    ['"x-reason" in request.headers', 'request.headers["x-reason"]'],
    ['has(request.headers.referer)', 'request.headers["referer"]'],
    ['request.headers.exists(name, name == "x-reason")', 'request.headers'],
    ['cel.bind(r, request, r.headers["x-reason"] == "audit")', 'request'],
    ['request.headers[request.method] == "x"', 'request.headers'],
    ['request.path == "/x" || task.objective == "pay"', 'task.objective'],
  ])('%s', (when, word) => {
    expect(warned(when)).toContainEqual(expect.stringContaining(`warning: The agent itself chooses \`${word}\``));
  });

  it('by each word once', () => {
    expect(warned('task.objective == "a" || task.objective == "b" || "c" in task.labels')).toHaveLength(2);
  });

  it('where one of the upstreams that it matches does not bind the field', () => {
    expect(warned('request.headers["x-customer"] == "1"')).toEqual([]);
    expect(warned('request.headers["x-customer"] == "1"', {})).toHaveLength(1);
    expect(warned('request.headers["x-customer"] == "1"', { upstream: 'mail' })).toHaveLength(1);
  });
});

it.each([
  'task.attested && task.objective == "pay"',
  'has(task.id) && task.depth == 0',
  'request.headers["x-customer"] == "1"',
  'request.headers["x-ms-version"] == "1"',
  'request.headers["x-user"] == "1"',
  'request.headers["content-type"] == "application/json"',
  'request.method == "GET" && request.query["a"] == "1"',
])('an allow rule with %s reads no word', (when) => {
  expect(warned(when)).toEqual([]);
});

it.each(['hold', 'deny'] as const)('a %s rule may read words: they make it stricter', (decide) => {
  expect(warned('task.objective == "pay" || request.headers["x-reason"] == "x"', { upstream: 'crm' }, decide)).toEqual(
    [],
  );
});
