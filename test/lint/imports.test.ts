// The import rules of the layout are only worth something while the linter really refuses a violation: each case plants
// one.

import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { importRulesText, OWNERS, SHARED } from './import-rules.ts';

const VIOLATION = 'lint/style/noRestrictedImports';
let tree: string;

beforeAll(() => {
  tree = mkdtempSync(join(tmpdir(), 'countersign-lint-'));
  for (const file of ['biome.json', 'biome.imports.json']) copyFileSync(file, join(tree, file));
});
afterAll(() => rmSync(tree, { recursive: true, force: true }));

/** Lints one planted file under the project's own rules, in a tree of its own. */
function lint(path: string, source: string): { readonly ok: boolean; readonly output: string } {
  const file = join(tree, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, source);
  const { status, stdout, stderr } = spawnSync('biome', ['lint', path], { cwd: tree, encoding: 'utf8' });
  rmSync(file);
  return { ok: status === 0, output: stdout + stderr };
}

describe('the import rules', () => {
  it.each([
    ['a feature reaching into another', 'src/policy/planted.ts', "import { x } from '../identity/oidc.ts';\nx();\n"],
    ['a step reaching into a feature', 'src/steps/planted.ts', "import { x } from '../policy/decide.ts';\nx();\n"],
    ['domain/ reaching out', 'src/domain/planted.ts', "import { x } from '../config/schema.ts';\nx();\n"],
    ['pipeline.ts knowing a feature', 'src/pipeline.ts', "import { x } from './approvals/machine.ts';\nx();\n"],
    ['errors.ts importing anything', 'src/errors.ts', "import { x } from './problem.ts';\nx();\n"],
    ['a part of errors.ts importing anything', 'src/errors/x.ts', "import { x } from '../problem.ts';\nx();\n"],
    ['a command importing the reviewers’ plane', 'src/cli/planted.ts', "import { x } from '../review/app.ts';\nx();\n"],
    [
      'a page reaching into a feature',
      'src/review/pages/planted.ts',
      "import { x } from '../../identity/oidc.ts';\nx();\n",
    ],
    [
      'jose outside identity/ and credentials/',
      'src/policy/planted.ts',
      "import { SignJWT } from 'jose';\nnew SignJWT();\n",
    ],
    [
      'the AWS signer outside credentials/',
      'src/upstream/planted.ts',
      "import { x } from '@smithy/signature-v4';\nx();\n",
    ],
    ['undici outside upstream/', 'src/credentials/planted.ts', "import { Pool } from 'undici';\nnew Pool('');\n"],
    [
      'a part of a package outside its folder',
      'src/identity/x509/planted.ts',
      "import { html } from 'hono/html';\nhtml();\n",
    ],
    [
      'a folder in a feature reaching into another feature',
      'src/identity/x509/planted.ts',
      "import { x } from '../../policy/decide.ts';\nx();\n",
    ],
    [
      'the outbox’s worker knowing approvals',
      'src/approvals/notify/planted.ts',
      "import { x } from '../machine.ts';\nx();\n",
    ],
    [
      'a credential type reaching into the configuration',
      'src/credentials/types/planted.ts',
      "import { x } from '../../config/schema.ts';\nx();\n",
    ],
    [
      'the configuration knowing a credential type, not the list',
      'src/config/planted.ts',
      "import { x } from '../credentials/types/vault.ts';\nx();\n",
    ],
    [
      'an issuer type reaching into the configuration',
      'src/identity/issuers/planted.ts',
      "import { x } from '../../config/schema.ts';\nx();\n",
    ],
    [
      'the configuration knowing how an issuer is verified',
      'src/config/planted.ts',
      "import { x } from '../identity/tokens/claims.ts';\nx();\n",
    ],
    [
      'the settings knowing the whole file',
      'src/settings/planted.ts',
      "import { x } from '../config/schema.ts';\nx();\n",
    ],
    [
      'a channel knowing how upstreams are reached',
      'src/approvals/notify/planted.ts',
      "import { post } from '../../upstream/post.ts';\npost();\n",
    ],
    [
      'the configuration reaching past the channels into approvals/',
      'src/config/planted.ts',
      "import { x } from '../approvals/machine.ts';\nx();\n",
    ],
    ['a package at the top of src', 'src/planted.ts', "import { Pool } from 'undici';\nnew Pool('');\n"],
    [
      'the telemetry SDK outside telemetry/',
      'src/audit/planted.ts',
      "import { x } from '@opentelemetry/sdk-trace';\nx();\n",
    ],
  ])('refuse %s', (_what, path, source) => {
    expect(lint(path, source).output).toContain(VIOLATION);
  });

  it('allow a feature what it may have', () => {
    const source =
      "import { sha256 } from '../domain/canonical.ts';\nimport { GatewayError } from '../errors.ts';\n\nexport const digest = sha256('x') + GatewayError.name;\n";
    expect(lint('src/policy/planted.ts', source)).toMatchObject({ ok: true });
  });

  it('allow a channel its settings', () => {
    const source =
      "import { z } from 'zod';\nimport { secureUrl } from '../../settings/addresses.ts';\n\nexport const planted = z.array(secureUrl());\n";
    expect(lint('src/approvals/notify/planted.ts', source)).toMatchObject({ ok: true });
  });

  it('are those of the tables, and every dependency is in them', () => {
    expect(readFileSync('biome.imports.json', 'utf8'), 'write it with: npm run lint:imports').toBe(importRulesText());
    const { dependencies } = JSON.parse(readFileSync('package.json', 'utf8')) as {
      dependencies: Readonly<Record<string, string>>;
    };
    const known = [...Object.keys(OWNERS).filter((name) => !name.startsWith('node:')), ...SHARED];
    expect(known.toSorted()).toEqual(Object.keys(dependencies).toSorted());
  });

  it('hold for the whole tree as it is', () => {
    expect(() =>
      execFileSync('biome', ['lint', '--only=style/noRestrictedImports', 'src'], { stdio: 'pipe' }),
    ).not.toThrow();
  });
});
