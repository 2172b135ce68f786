// JSON lines with `level`, `time`, `event` and fields, over pino. Callers pass names, digests and numbers; two fences stand behind them:
// fields named like a secret are masked, and characters that a terminal would obey or hide are written as escapes.
// Errors show their name and code; the stack only for `internal`, since messages may quote what came from outside.

import pino, { type DestinationStream } from 'pino';
import type { Logger } from '../domain/log.ts';
import { GatewayError } from '../errors.ts';

// Masked here and not by pino's `redact`, whose wildcard paths cost more than the rest of the line.
const SECRET_FIELDS = new Set(['authorization', 'proxy-authorization', 'cookie', 'set-cookie', 'token', 'secret', 'password', 'assertion', 'privatekey']);
const MASK = '[secret]';
/** Deeper than this, values are written as they are: nothing that is logged goes so deep. */
const DEEPEST = 4;

// JSON has escaped the control characters below U+0020. What is left: DEL and C1, line separators, and the format characters
// (bidirectional overrides, zero-width, tags). The closing line feed of a line is itself a control character and stays.
const UNSEEN = /[\p{Cc}\p{Cf}\p{Co}\u2028\u2029]/gu;
const PLAIN = /^[\x20-\x7e]*\n?$/;

export interface FlushableLogger extends Logger {
  /** Writes what still waits; for the end of the process. */
  flush(): void;
}

/** Where lines go; default: standard output, without waiting for whoever reads it: a slow reader must not hold up calls. */
export function createLog(destination?: DestinationStream): FlushableLogger {
  const standardOutput = destination === undefined ? pino.destination({ dest: 1, sync: false }) : undefined;
  const logger = pino(
    {
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (level) => ({ level }) },
      hooks: { streamWrite: showUnseen },
    },
    destination ?? standardOutput,
  );
  return {
    info: (event, fields) => logger.info(line(event, fields)),
    warn: (event, fields) => logger.warn(line(event, fields)),
    error: (event, fields) => logger.error(line(event, fields)),
    flush() {
      try {
        standardOutput?.flushSync();
      } catch {
        // Not opened yet, or closed by its reader: there is nowhere to write to.
      }
    },
  };
}

/** Rewrites a line of JSON so that it parses to the same value and every character of it can be seen. */
export function showUnseen(json: string): string {
  if (PLAIN.test(json)) return json;
  return json.replace(UNSEEN, (character) => (character === '\n' ? character : escapeUnits(character)));
}

function escapeUnits(character: string): string {
  return Array.from({ length: character.length }, (_, i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`).join('');
}

function line(event: string, fields: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  const out: Record<string, unknown> = { event };
  for (const [name, value] of Object.entries(fields)) out[name] = presentable(name, value, 1);
  return out;
}

function presentable(name: string, value: unknown, depth: number): unknown {
  if (SECRET_FIELDS.has(name.toLowerCase())) return MASK;
  if (typeof value !== 'object' || value === null || depth > DEEPEST) return value;
  if (value instanceof Error) return describeError(value);
  if (Array.isArray(value)) return value.map((each) => presentable('', each, depth + 1));
  // What has its own JSON form keeps it: a Secret masks itself.
  if ('toJSON' in value) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, presentable(key, each, depth + 1)]));
}

interface ErrorFields {
  readonly name: string;
  readonly code?: string | number;
  readonly cause?: ErrorFields;
  readonly stack?: string;
}

function describeError(error: Error, depth = 0): ErrorFields {
  const code = 'code' in error && (typeof error.code === 'string' || typeof error.code === 'number') ? { code: error.code } : {};
  const cause = error.cause instanceof Error && depth < 3 ? { cause: describeError(error.cause, depth + 1) } : {};
  const internal = error instanceof GatewayError && error.code === 'internal';
  return { name: error.name, ...code, ...cause, ...(internal && { stack: framesOf(error.cause instanceof Error ? error.cause : error) }) };
}

/** The frames of a stack, without the message above them. */
function framesOf(error: Error): string {
  return (error.stack ?? '')
    .split('\n')
    .filter((text) => /^\s+at /.test(text))
    .join('\n');
}
