// The recipes under docs/credentials that are whole are configurations: each must load, its rules included.

import { readdirSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { parseConfig } from '../../src/config/load.ts';
import { checkPolicy } from '../../src/policy/check.ts';

const FOLDER = 'docs/credentials';
const recipes = readdirSync(FOLDER).flatMap((name) =>
  [...readFileSync(`${FOLDER}/${name}`, 'utf8').matchAll(/^```yaml\n(.*?)^```/gms)].flatMap(([, text = '']) =>
    /^upstreams:/m.test(text) && /^credentials:/m.test(text) ? [[name, text] as const] : [],
  ),
);

it('there are some', () => expect(recipes.length).toBeGreaterThanOrEqual(4));

it.each(recipes)('%s has one that loads', (_, text) => {
  const given = placed(parse(text)) as Record<string, object>;
  const config = {
    listeners: { agents: { address: '127.0.0.1:0' }, reviewers: { address: '127.0.0.1:0' }, ops: { address: '127.0.0.1:0' } },
    store: { type: 'sqlite', path: './store.db' },
    audit: { path: './audit' },
    identity: {
      audience: ['https://gateway.example.org'],
      issuers: [{ name: 'corp', type: 'oidc', issuer: 'https://idp.example.org', algorithms: ['ES256'] }],
    },
    reviewers: { api: { issuer: 'https://idp.example.org', audience: 'countersign-review' } },
    ...given,
  };
  const { credentials } = parseConfig(JSON.stringify(config), '/etc/countersign/countersign.yaml', checkPolicy, { PLACED: 'secret-text' });
  expect(Object.keys(credentials)).toEqual(Object.keys(given.credentials ?? {}));
});

/** The recipe with every file of the reader's machine replaced by a variable. */
function placed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(placed);
  if (typeof value !== 'object' || value === null) return value;
  if ('file' in value) return { env: 'PLACED' };
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, placed(inner)]));
}
