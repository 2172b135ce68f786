// The glossary's last column is true: each word is an exported type or a configuration key. And no two exported types
// have one name, so that a name in the glossary, an error or a review means one thing.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const words = [...readFileSync('docs/glossary.md', 'utf8').matchAll(/^\| ([a-z][\w -]*) \| .+ \| `([^`]+)` \|$/gm)].map(
  ([, word = '', carrier = '']) => ({ word, carrier }),
);
const rows = readFileSync('docs/glossary.md', 'utf8').match(/^\| (?!word |---)/gm) ?? [];

const sources = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.ts'));
const exported = sources.flatMap((path) =>
  [
    ...readFileSync(join('src', path), 'utf8').matchAll(
      /^export (?:abstract )?(?:interface|type|class|const enum) (\w+)\b/gm,
    ),
  ].map(([, name = '']) => ({ name, path })),
);

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | boolean;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
}

/** Whether a key is in the schema: `tiers.*.count`, with `*` for a name of the operator's. */
function hasKey(schema: Schema | undefined, [key, ...rest]: readonly string[]): boolean {
  if (schema === undefined || key === undefined) return schema !== undefined;
  const { properties = {}, additionalProperties, anyOf = [], oneOf = [], allOf = [] } = schema;
  const named = typeof additionalProperties === 'object' ? additionalProperties : undefined;
  const next = key === '*' ? named : Object.hasOwn(properties, key) ? properties[key] : undefined;
  return (
    (next !== undefined && hasKey(next, rest)) ||
    [...anyOf, ...oneOf, ...allOf].some((branch) => hasKey(branch, [key, ...rest]))
  );
}

const schema = JSON.parse(readFileSync('config/countersign.schema.json', 'utf8')) as Schema;

it('reads every row', () => {
  expect(words.length).toBeGreaterThan(24);
  expect(words.length).toBe(rows.length);
});

it.each(words)('$word: $carrier', ({ carrier }) => {
  const isType = /^[A-Z]/.test(carrier);
  expect(isType ? exported.some(({ name }) => name === carrier) : hasKey(schema, carrier.split('.'))).toBe(true);
});

it('has its words in order, each once', () => {
  const names = words.map(({ word }) => word);
  expect(names).toEqual([...new Set(names)].toSorted((one, other) => one.localeCompare(other)));
});

it('knows a key from a word that is none', () => {
  expect(hasKey(schema, ['tiers', '*', 'quorum'])).toBe(false);
  expect(hasKey(schema, ['tiers', '*', 'count'])).toBe(true);
});

it('finds no two exported types of one name', () => {
  const byName = Map.groupBy(exported, ({ name }) => name);
  const repeated = [...byName].filter(([, places]) => places.length > 1);
  expect(exported.length).toBeGreaterThan(100);
  expect(repeated.map(([name, places]) => `${name}: ${places.map(({ path }) => path).join(', ')}`)).toEqual([]);
});
