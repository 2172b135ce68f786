// Whether arguments fit a tool's own input schema. This is checked before people are asked about a call that its server
// would refuse. The schema comes from a server: its patterns are not run (they could run for ever), and nothing is
// fetched. A schema that cannot be compiled, is large, or takes long, checks nothing: then only the server decides.
// Sentences name places and keywords, never values.

import { createContext, runInContext } from 'node:vm';
import { Ajv, type ValidateFunction } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { LRUCache } from 'lru-cache';
import { isJsonObject, type Json, type JsonObject } from '../domain/json.ts';
import { GatewayError } from '../errors.ts';

const LARGEST_SCHEMA = 32 * 1024;
const MOST_FINDINGS = 10;

/** In place of a pattern: it matches everything, at no cost. */
const everything = (): { test: () => boolean } => ({ test: () => true });
everything.code = 'undefined';

const OPTIONS = {
  strict: false,
  validateSchema: false,
  validateFormats: false,
  logger: false,
  addUsedSchema: false,
  code: { regExp: everything },
} as const;

/** Long, so that a busy machine does not look like a hostile schema. A schema can cost this much only once. */
const LONGEST_WORK_MS = 1_000;

type Validate = ValidateFunction | 'unchecked';

const compiled = new LRUCache<string, Validate>({ max: 500 });

/** Throws `arguments_invalid`. */
export function checkArguments(definition: JsonObject, args: Json): void {
  const schema = definition.inputSchema;
  if (!isJsonObject(schema)) return;
  const text = JSON.stringify(schema);
  if (text.length > LARGEST_SCHEMA) return;
  const validate = compiled.get(text) ?? timed(() => compile(schema)) ?? 'unchecked';
  const fits = validate === 'unchecked' ? undefined : timed(() => validate(args));
  compiled.set(text, fits === undefined ? 'unchecked' : validate);
  if (fits !== false || validate === 'unchecked') return;
  const faults = (validate.errors ?? [])
    .slice(0, MOST_FINDINGS)
    .map(({ instancePath, keyword, message }) => `${instancePath || '/'}: ${message ?? keyword}`);
  throw new GatewayError(
    'arguments_invalid',
    `The arguments do not fit the tool’s input schema (${faults.join('; ').slice(0, 500)}).`,
    {
      members: { faults },
    },
  );
}

const box = createContext({ job: undefined as unknown });

/** Stops work that a server's schema makes too long; gives undefined then, and for work that throws. */
function timed<T>(job: () => T): T | undefined {
  box.job = job;
  try {
    return runInContext('job()', box, { timeout: LONGEST_WORK_MS }) as T;
  } catch {
    return undefined;
  } finally {
    box.job = undefined;
  }
}

/** MCP 2025-11-25: a schema without `$schema` is JSON Schema 2020-12. */
function compile(schema: JsonObject): ValidateFunction {
  const { $schema, ...rest } = schema;
  const old = typeof $schema === 'string' && /draft-0[4-7]/.test($schema);
  return old ? new Ajv(OPTIONS).compile(rest) : new Ajv2020(OPTIONS).compile(rest);
}
