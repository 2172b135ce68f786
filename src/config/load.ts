// From a YAML file to a frozen Config, or to a ConfigError with every fault at once. Trusts nothing in the file: the
// schema.ts checks the shape, references.ts the names across sections, and the check that the caller passes looks at
// the policy.

import { dirname, resolve } from 'node:path';
import { type Document, isScalar, LineCounter, parseDocument, visit } from 'yaml';
import { z } from 'zod';
import { credential } from '../credentials/types.ts';
import type { Digest } from '../domain/action.ts';
import { sha256 } from '../domain/canonical.ts';
import { FileFault, readRegularFile } from '../domain/regular-file.ts';
import { ConfigError, type Fault, formatPath, type LocatedFault, locateFaults } from '../settings/faults.ts';
import type { ConfigContext } from '../settings/paths-and-secrets.ts';
import { identity, reviewers } from './identities.ts';
import { listeners } from './listeners.ts';
import { meter } from './meters.ts';
import { notifications } from './notifications.ts';
import type { Sections } from './references/sections.ts';
import { checkReferences } from './references.ts';
import { destinations, plainName, resource, sensitivity } from './resources.ts';
import { rule, tier } from './rules.ts';
import { type Config, configSchema } from './schema.ts';
import { spellOut } from './servers.ts';
import { signing } from './signing.ts';
import { taint } from './taints.ts';
import { upstream } from './upstreams.ts';
import { violations } from './violations.ts';
import { explain, faultsOf } from './zod-messages.ts';

/** The sections that policy is made of. */
type PolicyConfig = { readonly peopleAreNamed?: boolean } & Pick<
  Config,
  'rules' | 'tiers' | 'upstreams' | 'sensitivity' | 'unclassified' | 'destinations' | 'resources' | 'taints' | 'meters'
>;

/**
 * A further look at the policy, for example policy/check.ts. It also runs when other parts of the file are faulty;
 * harmless entries then replace those that could not be read, and the file as a whole is undefined.
 */
export type ConfigCheck = (config: PolicyConfig, whole: Config | undefined) => readonly Fault[];

/** Reads and checks a file. Throws ConfigError. Reads secrets and files now, so a missing one is a fault. */
export async function loadConfig(path: string, check: ConfigCheck = () => []): Promise<Config> {
  return parseConfig(await readText(path), path, check);
}

/** Bytes of a configuration file. */
const LARGEST = 16 * 1024 * 1024;

/** Throws ConfigError. */
export async function readText(path: string): Promise<string> {
  try {
    return (await readRegularFile(path, LARGEST)).toString('utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    const message =
      error instanceof FileFault ? `The file cannot be read. ${error.message}` : `The file cannot be read (${code}).`;
    throw new ConfigError(path, [{ path: [], message, line: 1, column: 1 }]);
  }
}

/** As loadConfig, for a text that was read before; `path` says where it stands. */
export function parseConfig(
  text: string,
  path: string,
  check: ConfigCheck = () => [],
  env: ConfigContext['env'] = process.env,
): Config {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, stringKeys: true });
  const value = readValue(document, path, lines);
  const context: ConfigContext = { folder: dirname(resolve(path)), env };

  const parsed = configSchema(context).safeParse(value, { error: explain });
  const shapeFaults = parsed.success ? [] : faultsOf(parsed.error);
  const sections = parsed.success ? parsed.data : readSections(value, context);
  const faults = [...shapeFaults, ...checkReferences(sections), ...check(standIns(sections), parsed.data)];
  const located = locateFaults(distinct(faults), document, lines);
  if (!parsed.success || faults.some(({ severity }) => severity === undefined)) throw new ConfigError(path, located);
  const config = deepFreeze({ ...parsed.data, upstreams: spellOut(parsed.data.upstreams) });
  digests.set(config, sha256(text));
  warnings.set(config, located);
  return config;
}

const warnings = new WeakMap<Config, readonly LocatedFault[]>();

/** The warnings about a configuration that can be used. */
export const warningsOf = (config: Config): readonly LocatedFault[] => warnings.get(config) ?? [];

const digests = new WeakMap<Config, Digest>();

/** Digest of a text, or of the text of a configuration; it shows whether a file has changed. */
export function textDigest(source: string | Config): Digest {
  return typeof source === 'string' ? sha256(source) : (digests.get(source) ?? '');
}

/** Gives plain data. Throws ConfigError with everything that is not well-formed YAML. */
function readValue(document: Document, path: string, lines: LineCounter): unknown {
  const faults = [...document.errors, ...document.warnings].map(({ message, pos }): LocatedFault => {
    const { line, col } = lines.linePos(pos[0]);
    return {
      path: [],
      message: `This is not well-formed YAML: ${message}${message.endsWith('.') ? '' : '.'}`,
      line,
      column: col,
    };
  });
  visit(document, {
    Pair(_, { key }) {
      // In an object this name sets the prototype, so the key would vanish instead of being unknown.
      if (!isScalar(key) || key.value !== '__proto__') return;
      const { line, col } = lines.linePos(key.range?.[0] ?? 0);
      faults.push({ path: [], message: 'Rename this key: no key may be called __proto__.', line, column: col });
    },
  });
  if (faults.length > 0) throw new ConfigError(path, faults);
  try {
    return document.toJS();
  } catch {
    throw new ConfigError(path, [
      { path: [], message: 'Write out the aliases (*name) of this file: they cannot be resolved.', line: 1, column: 1 },
    ]);
  }
}

/** The entries that are well-formed by themselves, when the file as a whole is not. */
function readSections(value: unknown, context: ConfigContext): Sections {
  const sections = z.record(z.string(), z.unknown()).safeParse(value).data ?? {};
  const entries = <T>(name: string, schema: z.ZodType<T>): Readonly<Record<string, T | undefined>> => {
    const raw = z.record(z.string(), z.unknown()).safeParse(sections[name]).data ?? {};
    return Object.fromEntries(Object.entries(raw).map(([key, entry]) => [key, schema.safeParse(entry).data]));
  };
  return {
    identity: identity(context).safeParse(sections.identity).data,
    listeners: listeners(context).safeParse(sections.listeners).data,
    reviewers: reviewers(context).safeParse(sections.reviewers).data,
    notifications: notifications(context).safeParse(sections.notifications).data,
    violations: violations().safeParse(sections.violations ?? []).data,
    upstreams: entries('upstreams', upstream(context)),
    credentials: entries('credentials', credential(context)),
    signing: signing(context).safeParse(sections.signing).data,
    tiers: entries('tiers', tier()),
    meters: entries('meters', meter()),
    sensitivity: sensitivity().catch([]).parse(sections.sensitivity),
    destinations: destinations().catch({}).parse(sections.destinations),
    unclassified: plainName().safeParse(sections.unclassified).data,
    taints: entries('taints', taint()),
    resources: (z.array(z.unknown()).safeParse(sections.resources).data ?? []).map(
      (entry) => resource().safeParse(entry).data,
    ),
    rules: (z.array(z.unknown()).safeParse(sections.rules).data ?? []).map((entry) => rule().safeParse(entry).data),
  };
}

/** Fills the gaps of sections with harmless entries. The faults of an entry itself are reported already. */
function standIns({
  identity: known,
  rules,
  tiers,
  upstreams,
  resources,
  taints,
  sensitivity: labels,
  unclassified,
  destinations: trusted,
  meters,
}: Sections): PolicyConfig {
  const filled = <T>(entries: Readonly<Record<string, T | undefined>>, make: () => T): Record<string, T> =>
    Object.fromEntries(Object.entries(entries).map(([name, entry]) => [name, entry ?? make()]));
  return {
    sensitivity: labels,
    destinations: trusted,
    ...(unclassified !== undefined && { unclassified }),
    taints: filled(taints, () => taint().parse({})),
    resources: resources.map((entry, index) => entry ?? { id: `unread-${index}`, match: {} }),
    rules: rules.map((entry, index) => entry ?? { id: `unread-${index}`, match: {}, decide: 'deny' }),
    tiers: filled(tiers, () => tier().parse({ reviewers: ['group:unread'] })),
    meters: filled(meters, () => meter().parse({ match: {}, per: ['all'], window: '1h' })),
    peopleAreNamed: known?.issuers.every((one) => 'subject' in one && one.subject === 'person') === true,
    upstreams: filled(upstreams, () => upstream({ folder: '/', env: {} }).parse({ url: 'https://unread.invalid' })),
  };
}

/** Keeps the first fault of each place: it is the one that explains the others. */
function distinct(faults: readonly Fault[]): readonly Fault[] {
  const seen = new Set<string>();
  return faults.filter(({ path }) => {
    const place = formatPath(path);
    return !seen.has(place) && seen.add(place);
  });
}

function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  for (const item of Object.values(value)) deepFreeze(item);
  return Object.freeze(value);
}
