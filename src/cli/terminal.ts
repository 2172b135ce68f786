// What every command gets from the terminal and returns to it: streams, environment, exit codes. Commands return their
// exit code and never end the process; they ask questions only where a person can answer.

import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { visibleJson } from '../domain/visible-json.ts';

export interface Io {
  /** `columns` is set where this is a terminal. */
  readonly stdout: Writable & { readonly columns?: number };
  readonly stderr: Writable;
  readonly stdin: Readable & { readonly isTTY?: boolean };
  readonly env: Readonly<Record<string, string | undefined>>;
}

export const EXIT = { ok: 0, refused: 1, usage: 2, fault: 70 } as const;

/** The command was typed wrongly: exit 2, with a hint. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** The command was understood and cannot be done: exit 1. The message is for people. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
}

/** Runs a command and turns what it throws into one line on stderr and an exit code. */
export async function runCommand(io: Io, usage: string, command: () => Promise<number>): Promise<number> {
  try {
    return await command();
  } catch (error) {
    if (error instanceof UsageError || isParseArgsError(error)) {
      io.stderr.write(`${error.message}\n\n${usage}\n`);
      return EXIT.usage;
    }
    if (error instanceof CommandError) {
      io.stderr.write(`${error.message}\n`);
      return EXIT.refused;
    }
    throw error;
  }
}

/** Prints JSON that shows every character of the value, because the value may have other people's words. */
export function printJson(io: Pick<Io, 'stdout'>, value: unknown): void {
  const lines = JSON.stringify(value, null, 2).split('\n').map(visibleJson);
  io.stdout.write(`${lines.join('\n')}\n`);
}

/** Asks one question; the answer without surrounding space. Resolves to an empty text when the input ends. */
export async function ask(io: Io, question: string): Promise<string> {
  const lines = createInterface({ input: io.stdin });
  try {
    return await new Promise<string>((resolve) => {
      lines.once('line', (line) => resolve(line.trim()));
      lines.once('close', () => resolve(''));
      io.stderr.write(question);
    });
  } finally {
    lines.close();
  }
}

function isParseArgsError(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS_');
}
