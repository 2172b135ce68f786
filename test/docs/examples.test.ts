// The configuration that the pages show is accepted as it stands, except for files that only the reader has.
// An example may show a part of a section; the names that it takes for granted are in GROUND. YAML of other programs is
// marked `yml`.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { parseConfig } from '../../src/config/load.ts';
import { checkPolicy } from '../../src/policy/check.ts';
import { ConfigError } from '../../src/settings/faults.ts';

const pagesIn = (folder: string): string[] =>
  readdirSync(folder).flatMap((name) => (name.endsWith('.md') ? [join(folder, name)] : []));
const PAGES = [
  'README.md',
  ...['mcp', 'policy', 'kill-switch', 'violations', 'notifications', 'operations', 'reviewing'].map(
    (name) => `docs/${name}.md`,
  ),
  ...['identity', 'credentials'].map((name) => `docs/${name}.md`),
  ...['docs/credentials', 'docs/providers'].flatMap(pagesIn),
];

type Entry = string | boolean | readonly unknown[] | { readonly [key: string]: unknown };
type Sections = Readonly<Record<string, Entry | Readonly<Record<string, Entry>>>>;

const GROUND: Sections = {
  listeners: {
    agents: { address: '127.0.0.1:0' },
    reviewers: { address: '127.0.0.1:0', url: 'https://review.example.org' },
  },
  store: { type: 'sqlite', path: './data/countersign.db' },
  audit: { path: './data/audit' },
  identity: {
    audience: ['https://gateway.example.org'],
    issuers: [{ name: 'corp', type: 'oidc', issuer: 'https://idp.example.org' }],
  },
  upstreams: {
    ledger: { url: 'https://ledger.example.org' },
    tools: { url: 'https://tools.example.org/mcp', protocol: 'mcp' },
  },
  credentials: {
    'tools-key': { type: 'static', in: 'header', name: 'x-api-key', format: '{secret}', secret: { env: 'TOOLS_KEY' } },
  },
  tiers: { payment: { reviewers: ['group:finance'] }, destructive: { reviewers: ['group:finance'] } },
  reviewers: {
    api: { issuer: 'https://idp.example.org', audience: 'countersign-review', clients: ['countersign-cli'] },
  },
  rules: [],
};

/** An example laid over the ground: entries of a section replace those of the same name, lists are replaced whole. */
function over(ground: Sections, example: Sections): Sections {
  const isMap = (value: unknown): value is Record<string, Entry> =>
    typeof value === 'object' && value !== null && !Array.isArray(value);
  const merged = Object.entries(example).map(([name, section]) => {
    const below = ground[name];
    return [name, isMap(section) && isMap(below) ? { ...below, ...section } : section] as const;
  });
  return { ...ground, ...Object.fromEntries(merged) };
}

/** Every secret of the environment is there: a text that is also a webhook's secret. */
const ENV = new Proxy({}, { get: () => `whsec_${Buffer.alloc(32, 7).toString('base64')}` });

/** Whether a place in the configuration names a file, as `file: PATH` or as the certificate of a listener. */
function namesFile(config: unknown, path: readonly PropertyKey[]): boolean {
  const value = path.reduce<unknown>((at, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key], config);
  return (
    ['file', 'certificate', 'ca', 'bootstrap'].includes(String(path.at(-1))) ||
    (typeof value === 'object' && value !== null && 'file' in value)
  );
}

function faultsOf(example: Sections): readonly string[] {
  const config = over(GROUND, example);
  try {
    parseConfig(stringify(config), join(process.cwd(), 'config/examples/countersign.yaml'), checkPolicy, ENV);
    return [];
  } catch (thrown) {
    if (!(thrown instanceof ConfigError)) throw thrown;
    return thrown.faults
      .filter(({ path }) => !namesFile(config, path))
      .map(({ path, message }) => `${path.join('.')}: ${message}`);
  }
}

const textOf = (page: string): string => readFileSync(page, 'utf8');
const examples = PAGES.flatMap((page) =>
  [...textOf(page).matchAll(/^```yaml\n([\s\S]*?)^```/gm)].map(([, text = ''], index) => [page, index, text] as const),
);

it('finds examples on every page', () => expect([...new Set(examples.map(([page]) => page))]).toEqual(PAGES));

it.each(examples)('%s, example %i, is a valid configuration', (_page, _index, text) => {
  expect(faultsOf(parse(text) as Sections)).toEqual([]);
});

it('notices an example that is not', () => {
  const faults = faultsOf({ upstreams: { ledger: { url: 'https://ledger.example.org', credentials: 'none' } } });
  expect(faults).toEqual([expect.stringMatching(/^upstreams\.ledger\.credentials: /)]);
});

const conditions = [...textOf('docs/policy.md').matchAll(/`(when: [^`\n]+)`/g)].map(([, text = '']) =>
  text.replaceAll('\\|', '|'),
);

it('has conditions in its tables', () => expect(conditions.length).toBeGreaterThan(5));

it.each(conditions)('docs/policy.md: %s', (text) => {
  const rule = {
    id: 'example',
    match: { upstream: 'ledger' },
    decide: 'deny',
    ...(parse(text) as { readonly when: string }),
  };
  expect(faultsOf({ rules: [rule] })).toEqual([]);
});
