// What a configuration refers to outside itself: paths, which start at the folder of the configuration file, and
// secrets, which are named (`{ env: NAME }` or `{ file: PATH }`) and never written down. A missing one is a fault when
// the file is read.

import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { z } from 'zod';
import type { PemSource } from '../domain/pem.ts';
import { FileFault, readRegularFileSync } from '../domain/regular-file.ts';
import { Secret, type SecretSource } from '../domain/secret.ts';
import { GatewayError } from '../errors.ts';

/** What paths and secret names are resolved against. */
export interface ConfigContext {
  /** The folder of the configuration file. */
  readonly folder: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** A path that need not exist yet; comes out absolute. */
export const path = ({ folder }: ConfigContext) =>
  z
    .string()
    .min(1)
    .transform((text) => resolve(folder, text));

/** A file that must be readable now; comes out as its absolute path. */
export const file = (context: ConfigContext) =>
  path(context).superRefine((absolute, issues) => {
    if (!isFile(absolute))
      issues.addIssue({
        code: 'custom',
        message:
          'There is no readable file at this path. A relative path starts at the folder of the configuration file.',
      });
  });

/**
 * A file of PEM text; comes out as a source that reads the file again when it has changed. While the file is missing or
 * broken, the last good text counts, so that an edit of another part of the configuration is not refused.
 */
export const pemFile = (context: ConfigContext) =>
  path(context).transform((absolute, issues): PemSource => {
    if (readPem(absolute) !== undefined || lastGood.has(absolute)) return pemSource(absolute);
    issues.addIssue({
      code: 'custom',
      message: isFile(absolute)
        ? 'Name a file of PEM text: this file holds none.'
        : 'There is no readable file at this path. A relative path starts at the folder of the configuration file.',
    });
    return z.NEVER;
  });

const REREAD_MS = 1_000;
const lastGood = new Map<string, string>();

function pemSource(absolute: string): PemSource {
  let readAt = performance.now();
  return {
    origin: `file:${absolute}`,
    read() {
      const now = performance.now();
      if (now - readAt >= REREAD_MS) {
        readAt = now;
        readPem(absolute);
      }
      return lastGood.get(absolute) as string;
    },
  };
}

/** Reads the file now; a good text becomes the last good text. */
function readPem(absolute: string): string | undefined {
  const text = isFile(absolute) ? readText(absolute) : undefined;
  if (!text?.includes('-----BEGIN ')) return undefined;
  lastGood.set(absolute, text);
  return text;
}

/** A secret by name; comes out as a source that reads the secret at each use. */
export const secret = (context: ConfigContext) =>
  z
    .union(
      [
        z.strictObject({ env: z.string().min(1).describe('Name of an environment variable') }),
        z.strictObject({
          file: z.string().min(1).describe('Path of a file; one line end after the secret is ignored'),
        }),
      ],
      { error: 'Write `{ env: NAME }` or `{ file: PATH }`: a secret never stands in this file.' },
    )
    .transform((named, issues): SecretSource => {
      const source = 'env' in named ? envSource(named.env, context) : fileSource(resolve(context.folder, named.file));
      try {
        source.read();
      } catch (error) {
        // `continue`: in a union this is the branch that was meant.
        issues.addIssue({
          code: 'custom',
          message: error instanceof GatewayError ? error.detail : 'The secret cannot be read.',
          continue: true,
        });
      }
      return source;
    });

function envSource(name: string, { env }: ConfigContext): SecretSource {
  return {
    origin: `env:${name}`,
    read: () => secretOf(env[name], `The environment variable ${name} is missing or empty.`),
  };
}

function fileSource(absolute: string): SecretSource {
  return {
    origin: `file:${absolute}`,
    read: () => secretOf(readText(absolute)?.replace(/\r?\n$/, ''), `The secret file ${absolute} is missing or empty.`),
  };
}

function secretOf(text: string | undefined, complaint: string): Secret {
  if (text === undefined || text === '') throw new GatewayError('credential_unavailable', complaint);
  return new Secret(text);
}

/** Bytes of a secret, a key or a chain of certificates. */
const LARGEST = 1024 * 1024;

function readText(absolute: string): string | undefined {
  try {
    return readRegularFileSync(absolute, LARGEST).toString('utf8');
  } catch (thrown) {
    if (!(thrown instanceof FileFault)) return undefined;
    throw new GatewayError('credential_unavailable', `The secret file ${absolute} cannot be read. ${thrown.message}`);
  }
}

function isFile(absolute: string): boolean {
  try {
    return statSync(absolute).isFile();
  } catch {
    return false;
  }
}
