// What `check` says of conditions over marks, and which marks a refusal names. Kinds: a rule that can never match because
// of a slip of the pen, and one that an agent passes by reading without a task.

import { describe, expect, it } from 'vitest';
import { checkPolicy } from '../../src/policy/check.ts';
import type { PolicyOptions, ResourceOptions } from '../../src/policy/rules.ts';
import { NOTHING_CLASSIFIED } from './inputs.ts';

const CUSTOMERS: ResourceOptions = { id: 'customers', match: { upstream: 'crm' }, taints: ['customer-data'] };

function said(when: string, more: Partial<PolicyOptions> = {}): readonly string[] {
  const faults = checkPolicy({
    ...NOTHING_CLASSIFIED,
    taints: { 'customer-data': {}, secrets: {} },
    resources: [CUSTOMERS],
    upstreams: { crm: { protocol: 'http' } },
    tiers: {},
    rules: [{ id: 'leak', match: { upstream: 'crm' }, when, decide: 'deny' }],
    ...more,
  });
  return faults.map(({ severity = 'fault', message }) => `${severity}: ${message}`);
}

describe('a condition over marks', () => {
  it.each([
    '"customer-data" in tainted',
    'size(tainted) > 0',
    '"secrets" in taintedBy.agent',
    '"customer-data" in taintedBy.person || "customer-data" in taintedBy.agent',
    'tainted == ["customer-data"]',
  ])('%s is fine', (when) => {
    expect(said(when)).toEqual([]);
  });

  it.each(['"customer-date" in tainted', '"customer-date" in taintedBy.agent', 'tainted == ["customer-date"]'])(
    '%s names no taint',
    (when) => {
      expect(said(when)).toEqual([expect.stringMatching(/^fault: .*Did you mean `customer-data`\?/)]);
    },
  );

  it('names a taint where there are none', () => {
    expect(said('"x" in tainted', { taints: {}, resources: [] })).toEqual([
      'fault: There is no taint of this name. Add one under `taints`.',
    ]);
  });

  describe.each([
    '"customer-data" in taintedBy.person',
    '"customer-data" in taintedBy.task',
    'size(taintedBy.task) > 0',
  ])('%s', (when) => {
    it('can be passed by who reads for nobody and without a task', () => {
      expect(said(when)).toEqual([expect.stringMatching(/^warning: Decide by `tainted`/)]);
    });

    it('cannot where the resource needs an attested task, or every token names a person', () => {
      expect(said(when, { resources: [{ ...CUSTOMERS, requireTask: 'attested' }] })).toEqual([]);
      expect(said(when, { peopleAreNamed: true })).toEqual([]);
      expect(said(when, { resources: [{ ...CUSTOMERS, requireTask: true }] })).toHaveLength(1);
    });
  });
});
