// JSON lines with `level`, `time`, `event` and fields, written through pino's destination. Callers pass names, digests
// and numbers; two fences stand behind them: fields named like a secret are masked, and characters that a terminal
// would obey or hide are written as escapes. Errors show their name and code; the stack only for `internal`, since
// messages may quote what came from outside.

import pino, { type DestinationStream } from 'pino';
import { isoTime } from '../domain/clock.ts';
import type { Logger } from '../domain/log.ts';
import { visibleJson } from '../domain/visible-json.ts';
import { GatewayError } from '../errors.ts';

// Masked here and not by pino's `redact`, whose wildcard paths cost more than the rest of the line.
const SECRET_FIELDS = new Set([
  'authorization',
  'proxy-authorization',
  'cookie',
  'set-cookie',
  'token',
  'secret',
  'password',
  'assertion',
  'privatekey',
]);
/** Most bytes of lines that wait to be written. Further lines are dropped. */
const MOST_WAITING_BYTES = 16 * 1024 * 1024;
const MASK = '[secret]';
/** Deeper values are written as they are. No line of this code goes so deep. */
const DEEPEST = 4;

export interface FlushableLogger extends Logger {
  /** Writes what still waits; for the end of the process. */
  flush(): void;
}

/** A line that cannot be written must not fail a call. */
function textOf(fields: Readonly<Record<string, unknown>>): string {
  try {
    return JSON.stringify(presentableFields(fields));
  } catch {
    return '{"unserialisable":true}';
  }
}

type Level = 'info' | 'warn' | 'error';

/**
 * Where lines go; default: standard output, without waiting for whoever reads it: a slow reader must not hold up calls.
 */
export function createLog(destination?: DestinationStream): FlushableLogger {
  // Only the writing part of pino is used: its formatting costs an allowed call more than its policy does.
  const standardOutput =
    destination === undefined ? pino.destination({ dest: 1, sync: false, maxLength: MOST_WAITING_BYTES }) : undefined;
  // A full disk, or a terminal that was closed, costs lines and nothing else. Waiting lines are tried again with the
  // next line.
  let failing = false;
  standardOutput
    ?.on('error', () => {
      failing = true;
    })
    .on('write', () => {
      failing = false;
    });
  let out = destination ?? standardOutput;
  const write = (level: Level, event: string, fields: Readonly<Record<string, unknown>> = {}): void => {
    const members = textOf(fields).slice(1);
    const head = `{"level":"${level}","time":"${isoTime(Date.now())}","event":${JSON.stringify(event)}`;
    out?.write(`${visibleJson(members === '}' ? `${head}}` : `${head},${members}`)}\n`);
  };
  return {
    info: (event, fields) => write('info', event, fields),
    warn: (event, fields) => write('warn', event, fields),
    error: (event, fields) => write('error', event, fields),
    flush() {
      try {
        // Written at once, and once more at the process's exit, it would wait until there is room on the disk.
        if (failing) {
          out = undefined;
          standardOutput?.destroy();
        } else standardOutput?.flushSync();
      } catch {
        // Not opened yet, or closed by its reader: there is nowhere to write to.
      }
    },
  };
}

const secretNames = new Map<string, boolean>();

/** Names are the code's own, so few are ever seen; each is looked at once. */
function isSecretName(name: string): boolean {
  let secret = secretNames.get(name);
  if (secret === undefined) {
    secret = SECRET_FIELDS.has(name.toLowerCase());
    if (secretNames.size < 1000) secretNames.set(name, secret);
  }
  return secret;
}

const isPlain = (value: unknown): boolean =>
  typeof value === 'object'
    ? value === null || (Array.isArray(value) && value.every(isText))
    : typeof value !== 'bigint';
const isText = (value: unknown): boolean => typeof value === 'string';

/** The fields themselves when every one is a plain value under a harmless name; otherwise a copy that can be shown. */
function presentableFields(fields: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  for (const name in fields) {
    const value = fields[name];
    if (!isPlain(value) || isSecretName(name)) {
      return Object.fromEntries(Object.entries(fields).map(([key, each]) => [key, presentable(key, each, 1)]));
    }
  }
  return fields;
}

function presentable(name: string, value: unknown, depth: number): unknown {
  if (isSecretName(name)) return MASK;
  if (typeof value === 'bigint') return String(value);
  if (typeof value !== 'object' || value === null || depth > DEEPEST) return value;
  if (value instanceof Error) return describeError(value);
  if (Array.isArray(value)) return value.map((each) => presentable('', each, depth + 1));
  // A value with a JSON form of its own keeps it: a Secret masks itself.
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
  const code =
    'code' in error && (typeof error.code === 'string' || typeof error.code === 'number') ? { code: error.code } : {};
  const cause = error.cause instanceof Error && depth < 3 ? { cause: describeError(error.cause, depth + 1) } : {};
  const internal = error instanceof GatewayError && error.code === 'internal';
  return {
    name: error.name,
    ...code,
    ...cause,
    ...(internal && { stack: framesOf(error.cause instanceof Error ? error.cause : error) }),
  };
}

/** The frames of a stack, without the message above them. */
function framesOf(error: Error): string {
  return (error.stack ?? '')
    .split('\n')
    .filter((text) => /^\s+at /.test(text))
    .join('\n');
}
