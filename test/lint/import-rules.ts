// The import rules of the layout (docs/architecture.md): who owns a package, and what a folder may reach. Biome applies
// only the last rule that covers a file, so each folder's rule has to repeat all of both; that is written by this
// script and never by hand: `npm run lint:imports`.

import { writeFileSync } from 'node:fs';
import { argv } from 'node:process';
import { fileURLToPath } from 'node:url';

/** The folders of src that may import a package. Every dependency stands here but those that anybody may use. */
export const OWNERS: Readonly<Record<string, readonly string[]>> = {
  '@grpc/grpc-js': ['identity'],
  '@grpc/proto-loader': ['identity'],
  '@hono/node-server': ['review'],
  '@marcbachmann/cel-js': ['policy'],
  '@opentelemetry/exporter-logs-otlp-proto': ['telemetry'],
  '@opentelemetry/exporter-metrics-otlp-proto': ['telemetry'],
  '@opentelemetry/exporter-prometheus': ['telemetry'],
  '@opentelemetry/exporter-trace-otlp-proto': ['telemetry'],
  '@opentelemetry/resources': ['telemetry'],
  '@opentelemetry/sdk-logs': ['telemetry'],
  '@opentelemetry/sdk-metrics': ['telemetry'],
  '@opentelemetry/sdk-trace': ['telemetry'],
  '@peculiar/asn1-schema': ['identity'],
  '@peculiar/asn1-x509': ['identity'],
  '@simplewebauthn/server': ['review'],
  '@smithy/signature-v4': ['credentials'],
  ajv: ['mcp'],
  canonicalize: ['domain'],
  hono: ['review'],
  'http-proxy-3': ['upstream'],
  jose: ['identity', 'credentials'],
  'node:sqlite': ['store'],
  'openid-client': ['credentials', 'review', 'cli'],
  pino: ['telemetry'],
  re2js: ['policy'],
  undici: ['upstream'],
  yaml: ['config', 'settings'],
};

/** Dependencies without an owner. */
export const SHARED = ['@opentelemetry/api', 'lru-cache', 'zod'];

/** What the files of a folder may import from src besides their own folder. */
const REACH: Readonly<Record<string, readonly string[]>> = {
  domain: ['errors.ts'],
  ...Object.fromEntries(
    [
      'actions',
      'approvals',
      'audit',
      'mcp',
      'reactions',
      'settings',
      'steps',
      'store',
      'tasks',
      'telemetry',
      'upstream',
    ].map((feature) => [feature, ['domain/**', 'errors.ts']]),
  ),
  // Each type of thing says what may be configured about it.
  credentials: ['domain/**', 'settings/**', 'errors.ts'],
  identity: ['domain/**', 'settings/**', 'errors.ts'],
  policy: ['domain/**', 'settings/**', 'errors.ts'],
  // The file's schema is built from the lists of types.
  config: [
    'domain/**',
    'settings/**',
    'approvals/notify/**',
    'credentials/types.ts',
    'identity/issuers.ts',
    'identity/settings.ts',
    'identity/task-tokens.ts',
    'errors.ts',
  ],
  'agent-api': ['domain/**', 'errors.ts', 'problem.ts'],
  listeners: ['domain/**', 'errors.ts', 'problem.ts'],
  review: ['domain/**', 'errors.ts', 'problem.ts'],
};

interface Pattern {
  readonly group: readonly string[];
  readonly message: string;
}

/** `up` is the way from the file to src, as imports write it. */
function foreign(folder: string, up: string): Pattern {
  const reach = REACH[folder] ?? [];
  const names = reach.map((path) => path.replace('/**', '/')).join(', ');
  return {
    group: [`${up}**`, ...reach.map((path) => `!${up}${path}`)],
    message: `${folder}/ imports only itself and ${names}; assembly/ hands it what others make.`,
  };
}

/** With their subpaths. */
function packagesOfOthers(folder: string): Pattern {
  const others = Object.keys(OWNERS).filter((name) => OWNERS[name]?.includes(folder) !== true);
  return {
    group: others.flatMap((name) => [name, `${name}/**`]),
    message: 'Each package belongs to one folder, or a few: see test/lint/import-rules.ts.',
  };
}

const rule = (includes: readonly string[], patterns: readonly Pattern[]) => ({
  includes,
  linter: { rules: { style: { noRestrictedImports: { level: 'error', options: { patterns } } } } },
});

/** Later rules win where two cover a file. */
function importRules(): readonly unknown[] {
  const bare = packagesOfOthers('');
  return [
    rule(['src/*.ts'], [bare]),
    rule(['src/assembly/**'], [bare, { group: ['../cli/**'], message: 'Nobody imports cli/ but main.ts.' }]),
    rule(
      ['src/problem.ts'],
      [
        bare,
        { group: ['./**', '!./domain/**', '!./errors.ts'], message: 'problem.ts knows only errors.ts and domain/.' },
      ],
    ),
    rule(
      ['src/pipeline.ts'],
      [
        bare,
        {
          group: ['./**', '!./domain/**', '!./errors.ts'],
          message: 'pipeline.ts knows only domain types and receives its steps.',
        },
      ],
    ),
    rule(
      ['src/errors.ts'],
      [bare, { group: ['./**', '!./errors/**'], message: 'errors.ts imports nothing from src but its own parts.' }],
    ),
    rule(['src/errors/**'], [bare, { group: ['../**'], message: 'errors/ imports only itself.' }]),
    ...Object.keys(REACH).flatMap((folder) => [
      rule([`src/${folder}/*`], [packagesOfOthers(folder), foreign(folder, '../')]),
      rule([`src/${folder}/*/**`], [packagesOfOthers(folder), foreign(folder, '../../')]),
    ]),
    rule(
      ['src/approvals/notify/**'],
      [
        packagesOfOthers('approvals'),
        {
          group: ['../**', '!../../domain/**', '!../../settings/**', '!../../errors.ts'],
          message:
            'notify/ imports domain/, settings/, errors.ts and itself: the rest of approvals/ knows only the outbox.',
        },
      ],
    ),
    rule(['src/cli/**'], [packagesOfOthers('cli'), { group: ['../review/**'], message: 'nobody imports review/.' }]),
  ];
}

/** The text of biome.imports.json, a rule a line. */
export const importRulesText = (): string =>
  `{ "overrides": [\n${importRules()
    .map((each) => JSON.stringify(each))
    .join(',\n')}\n] }\n`;

if (argv[1] === fileURLToPath(import.meta.url)) writeFileSync('biome.imports.json', importRulesText());
