// Kind of fault: a file that asks for attested tasks and trusts nobody to attest one, so that every call is refused.

import { expect, it } from 'vitest';
import { stringify } from 'yaml';
import { parseConfig, warningsOf } from '../../src/config/load.ts';
import { minimalConfig } from '../support/config.ts';
import { faultsIn } from './files.ts';

const faultsOf = (config: object): readonly string[] => faultsIn(stringify(config));

const issuer = (name: string, at: string) => ({ name, issuer: at });
const withTasks = (...taskIssuers: object[]) => {
  const { identity } = minimalConfig();
  return minimalConfig({
    identity: { ...identity, ...(taskIssuers.length > 0 && { taskIssuers }) } as never,
    upstreams: { ledger: { url: 'https://ledger.example.org', requireTask: 'attested' } },
  });
};

it('warns where a task has to be attested and nobody is trusted to attest one', () => {
  const warned = (config: object) =>
    warningsOf(parseConfig(stringify(config), '/etc/countersign.yaml')).map(({ path }) => path.join('.'));
  expect(warned(withTasks())).toEqual(['upstreams.ledger.requireTask']);
  expect(warned(withTasks(issuer('orchestrator', 'https://tasks.example.org')))).toEqual([]);
});

it('takes each name and each issuer once', () => {
  const [one, other] = ['https://tasks.example.org', 'https://other.example.org'];
  expect(faultsOf(withTasks(issuer('corp', one)))).toEqual([expect.stringContaining('taskIssuers.0.name')]);
  expect(faultsOf(withTasks(issuer('a', one), issuer('b', one)))).toEqual([
    expect.stringContaining('taskIssuers.1.issuer'),
  ]);
  expect(faultsOf(withTasks(issuer('a', one), issuer('b', other)))).toEqual([]);
});
