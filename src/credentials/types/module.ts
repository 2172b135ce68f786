// Credential type `module`: one of the operator's own, from a file that the configuration names. The file's default
// export makes a provider (docs/credentials/own-provider.md). The module runs inside the gateway and is trusted like
// the gateway's own code. What it mints is still checked. Refuses modules without that export, injections into framing
// fields, and results without a secret to scrub.

import { createRequire } from 'node:module';
import { z } from 'zod';
import type { Grant, Injection, Minted } from '../../domain/credential.ts';
import type { JsonObject } from '../../domain/json.ts';
import { Secret, type SecretSource } from '../../domain/secret.ts';
import { type ConfigContext, file, secret } from '../../settings/paths-and-secrets.ts';
import { duration } from '../../settings/units.ts';
import { type BrokerProvider, faultName, UnwantedGrant, unavailable } from '../broker-provider.ts';
import { credentialType, describeTakenBack } from '../credential-type.ts';

const settings = (context: ConfigContext) =>
  z
    .strictObject({
      type: z.literal('module'),
      path: file(context).describe(
        'A JavaScript or TypeScript module; its default export makes the provider and runs inside the gateway',
      ),
      options: z.record(z.string(), z.json()).default({}).describe('Handed to the module as it is; never secrets'),
      secrets: z
        .record(z.string().min(1), secret(context))
        .default({})
        .describe('Handed to the module as sources to read from'),
      timeout: duration({ least: '100ms', most: '1m' })
        .prefault('10s')
        .describe('Bound on each mint and revocation; default 10s'),
    })
    .transform(({ timeout: timeoutMs, ...rest }) => ({ ...rest, timeoutMs }));

/** What a module is given, so that it need not import the gateway. */
interface ProviderKit {
  readonly Secret: typeof Secret;
  /** What the configuration names under `secrets`; `read()` at each use picks up rotated files. */
  readonly secrets: Readonly<Record<string, SecretSource>>;
  /** To be thrown by `mint` and `revoke`: one sentence without secrets. */
  unavailable(detail: string): Error;
  /** To be thrown by `mint` when more was granted than asked for; with a handle the gateway takes it back. */
  tooBroad(detail: string, unwanted?: { readonly handle?: Secret; readonly expiresAt?: number }): Error;
}

export type ProviderFactory = (options: JsonObject, kit: ProviderKit) => BrokerProvider;

const REVOCABILITIES: readonly unknown[] = ['token', 'lease', 'object', 'none'];

export const ownModule = credentialType({
  name: 'module',
  settings,
  // The module is loaded here, once per process.
  create({ path, options, secrets, timeoutMs }) {
    const kit: ProviderKit = {
      Secret,
      secrets,
      unavailable: (detail) => unavailable(detail),
      tooBroad: (detail, unwanted = {}) => new UnwantedGrant('credential_too_broad', detail, unwanted),
    };
    const own = make(load(path), path, options, kit);
    const { shareKey } = own;
    return {
      type: own.type,
      shareable: own.shareable === true,
      ...(own.reuseMs !== undefined && { reuseMs: own.reuseMs }),
      ...(shareKey && { shareKey: (grant: Grant) => String(shareKey.call(own, grant)) }),
      mint: async (grant) => check(await bounded(own.mint(grant), timeoutMs)),
      ...(own.revoke && { revoke: (handle: Secret) => bounded(own.revoke?.(handle), timeoutMs) }),
    };
  },
  describe: ({ type }) => describeTakenBack(type),
});

function load(path: string): ProviderFactory {
  let factory: unknown;
  try {
    // Synchronous, so that a configuration takes effect whole or not at all.
    factory = (createRequire(import.meta.url)(path) as { default?: unknown }).default;
  } catch (thrown) {
    throw unavailable(`The credential module ${path} cannot be loaded: ${faultName(thrown)}.`);
  }
  if (typeof factory !== 'function')
    throw unavailable(`The credential module ${path} has no default export that is a function.`);
  return factory as ProviderFactory;
}

function make(factory: ProviderFactory, path: string, options: JsonObject, kit: ProviderKit): BrokerProvider {
  let made: unknown;
  try {
    made = factory(options, kit);
  } catch (thrown) {
    throw unavailable(`The credential module ${path} refuses its options: ${faultName(thrown)}.`);
  }
  const { type, mint, revoke } = (typeof made === 'object' && made !== null ? made : {}) as Partial<
    Record<keyof BrokerProvider, unknown>
  >;
  const isProvider = typeof type === 'string' && /^[a-z0-9-]{1,40}$/.test(type) && typeof mint === 'function';
  if (!isProvider || (revoke !== undefined && typeof revoke !== 'function')) {
    throw unavailable(`The credential module ${path} does not make a provider: { type, shareable, mint, revoke? }.`);
  }
  return made as BrokerProvider;
}

/** What came from outside the gateway's types: refused as a whole, taken back where it names a handle. */
function check(minted: Minted): Minted {
  const { injection, secrets, revocability, granted, expiresAt, handle } = minted ?? ({} as Minted);
  const isPlaced = isPlaceable(injection);
  const hasSecrets =
    injection?.value instanceof Secret &&
    Array.isArray(secrets) &&
    secrets.length > 0 &&
    secrets.every((secret) => secret instanceof Secret);
  const isRecorded = REVOCABILITIES.includes(revocability) && typeof granted === 'object' && granted !== null;
  const isTimed =
    (expiresAt === undefined || Number.isFinite(expiresAt)) && (handle === undefined || handle instanceof Secret);
  if (isPlaced && hasSecrets && isRecorded && isTimed) return minted;
  throw new UnwantedGrant(
    'credential_unavailable',
    'The credential module made something that cannot be used.',
    handle instanceof Secret ? { handle } : {},
  );
}

/** Fields that change where a message goes or where it ends (RFC 9110 section 7.6.1, RFC 9112 section 6). */
const FRAMING_FIELDS: ReadonlySet<string> = new Set([
  'host',
  'content-length',
  'transfer-encoding',
  'connection',
  'keep-alive',
  'te',
  'trailer',
  'upgrade',
  'expect',
]);

/** Modules put a secret into a field or a query parameter. Only the gateway's own types sign requests. */
function isPlaceable(injection: Injection | undefined): boolean {
  if (injection?.in === 'header' && typeof injection.name === 'string') {
    const name = injection.name.toLowerCase();
    return /^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(name) && !FRAMING_FIELDS.has(name);
  }
  return injection?.in === 'query' && typeof injection.name === 'string' && injection.name !== '';
}

async function bounded<T>(work: Promise<T> | undefined, timeoutMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(unavailable('The credential module did not answer in time.')), timeoutMs);
  });
  try {
    return await Promise.race([work as Promise<T>, limit]);
  } finally {
    clearTimeout(timer);
  }
}
