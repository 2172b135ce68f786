// Configuration files for tests: a minimal valid one, in a folder of its own.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { type ConfigCheck, parseConfig } from '../../src/config/load.ts';
import { ConfigError, type LocatedFault } from '../../src/settings/faults.ts';

export const MINIMAL = `listeners: { agents: { address: 127.0.0.1:0 } }
store: { type: sqlite, path: ./data/countersign.db }
audit: { path: ./data/audit }
identity:
  audience: [https://gateway.example.org]
  issuers: [{ name: corp, type: oidc, issuer: https://idp.example.org }]
upstreams: { ledger: { url: https://ledger.example.org } }
rules: []
`;

/** The minimal file with some top-level sections replaced; a section is one line of YAML flow. */
export function withSections(sections: Readonly<Record<string, string>>): string {
  const kept = MINIMAL.split(/\n(?=\w)/).filter((section) => !Object.hasOwn(sections, section.split(':')[0] ?? ''));
  return `${[...kept.map((section) => section.trimEnd()), ...Object.entries(sections).map(([name, value]) => `${name}: ${value}`)].join('\n')}\n`;
}

/** A folder that goes away with the test. */
export function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-config-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export function writeConfig(text: string): string {
  const path = join(makeFolder(), 'countersign.yaml');
  writeFileSync(path, text);
  return path;
}

/** Faults of a text, as `path: message`. */
export function faultsIn(text: string, check?: ConfigCheck): readonly string[] {
  return locatedFaultsIn(text, check).map(({ path, message }) => `${path.join('.')}: ${message}`);
}

export function locatedFaultsIn(text: string, check?: ConfigCheck): readonly LocatedFault[] {
  try {
    parseConfig(text, '/nowhere/countersign.yaml', check, { TOKEN: 'secret-text' });
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.faults;
    throw error;
  }
}
