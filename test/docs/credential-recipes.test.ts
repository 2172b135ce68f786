// The recipes under docs/credentials are configurations: each must load, and its providers must be makeable.

import { readdirSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { parseConfig } from '../../src/config/load.ts';
import { compile } from '../../src/regime.ts';

const FOLDER = 'docs/credentials';
const recipes = readdirSync(FOLDER).flatMap((name) =>
  [...readFileSync(`${FOLDER}/${name}`, 'utf8').matchAll(/^```yaml\n(.*?)^```/gms)].flatMap(([, text = '']) =>
    /^credentials:/m.test(text) ? [[name, text] as const] : [],
  ),
);

it('there are some', () => expect(recipes.length).toBeGreaterThanOrEqual(4));

it.each(recipes)('%s has one that loads', (_, text) => {
  const { upstreams, credentials, tiers = {}, rules } = placed(parse(text)) as Record<string, object>;
  const config = {
    listeners: { agents: { address: '127.0.0.1:0' }, reviewers: { address: '127.0.0.1:0' }, ops: { address: '127.0.0.1:0' } },
    store: { type: 'sqlite', path: './store.db' },
    audit: { path: './audit' },
    identity: {
      audience: ['https://gateway.example.org'],
      issuers: [{ name: 'corp', type: 'oidc', issuer: 'https://idp.example.org', algorithms: ['ES256'] }],
    },
    reviewers: { api: { issuer: 'https://idp.example.org', audience: 'countersign-review' } },
    ...{ upstreams, credentials, tiers, rules },
  };
  const { providers, policy } = compile(parseConfig(JSON.stringify(config), '/etc/countersign/countersign.yaml', undefined, { PLACED: 'secret-text' }));
  expect([...providers.keys()]).toEqual(Object.keys(credentials ?? {}));
  expect(policy.digest).toMatch(/^[0-9a-f]{64}$/);
});

/** The recipe with every file of the reader's machine replaced by a variable, and authorities by the system's. */
function placed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(placed);
  if (typeof value !== 'object' || value === null) return value;
  if ('file' in value) return { env: 'PLACED' };
  return Object.fromEntries(Object.entries(value).flatMap(([key, inner]) => (key === 'ca' ? [] : [[key, placed(inner)]])));
}
