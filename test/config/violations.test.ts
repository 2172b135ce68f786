// The section `violations`: what would not end, count twice, or do nothing is told before it is in force.

import { describe, expect, it } from 'vitest';
import { parseConfig, warningsOf } from '../../src/config/load.ts';
import { faultsIn, withSections } from './files.ts';

const limits = (...entries: string[]): string => withSections({ violations: `[${entries.join(', ')}]` });

describe('a limit on refusals', () => {
  it('is read as it stands in the contract', () => {
    const text = limits('{ count: 5, within: 10m, of: deny, do: [revoke-credentials, suspend-root], for: 1h }');
    expect(parseConfig(text, '/etc/countersign.yaml').violations).toEqual([
      {
        ...{ count: 5, withinMs: 600_000, of: 'deny' },
        reactions: { notify: [], revokeCredentials: true, suspend: { what: 'root', forMs: 3_600_000 } },
      },
    ]);
  });

  it.each([
    [
      '{ count: 5, within: 10m, of: deny, do: [suspend-root] }',
      'violations.0.for: This key is required beside a suspension, which must end by itself. Write how long it lasts.',
    ],
    [
      '{ count: 5, within: 10m, of: deny, do: [revoke-credentials], for: 1h }',
      'violations.0.for: Remove `for`, or add a suspension to `do`: nothing else has an end.',
    ],
    [
      '{ count: 5, within: 10m, of: deny, do: [suspend-root, suspend-person], for: 1h }',
      'violations.0.do: Write one of `suspend-root`, `suspend-person` and `suspend-agent`.',
    ],
  ])('%s has a fault', (entry, fault) => {
    expect(faultsIn(limits(entry))).toEqual([fault]);
  });

  it('counts nothing that another one counts', () => {
    const one = '{ count: 5, within: 10m, of: deny, do: [revoke-credentials] }';
    expect(faultsIn(limits(one, one.replace('10m', '600s')))).toEqual([
      'violations.1: Put what is done into violations[0]: it counts the same calls in the same time.',
    ]);
  });

  it('that stops an agent for everybody is warned of', () => {
    const text = limits('{ count: 5, within: 10m, of: deny, do: [suspend-agent], for: 1h }');
    const warnings = warningsOf(parseConfig(text, '/etc/countersign.yaml'));
    expect(warnings.map(({ path, message }) => [path.join('.'), message])).toEqual([
      ['violations.0.do', expect.stringMatching(/^Write `suspend-root` or `suspend-person` unless/)],
    ]);
  });
});
