// A terminal for tests: what was printed, and a keyboard that answers each question once it was asked.

import { PassThrough, Writable } from 'node:stream';
import type { Io } from '../../src/cli/terminal.ts';

export interface TestTerminal extends Io {
  readonly out: () => string;
  readonly err: () => string;
}

/** `answers` makes it a TTY: the first answer whose pattern has been printed is typed. */
export function openTerminal(
  env: Record<string, string> = {},
  answers?: readonly (readonly [asked: RegExp, typed: (asked: RegExpExecArray) => string])[],
): TestTerminal {
  const stdin = Object.assign(new PassThrough(), { isTTY: answers !== undefined });
  const waiting = [...(answers ?? [])];
  let [out, err] = ['', ''];
  const heard = (text: string) => {
    const asked = waiting[0]?.[0].exec(text);
    if (asked) stdin.write(`${waiting.shift()?.[1](asked)}\n`);
  };
  const collect = (add: (text: string) => void) =>
    new Writable({
      write(chunk, _encoding, done) {
        add(String(chunk));
        done();
      },
    });
  return {
    env,
    stdin,
    stdout: collect((text) => {
      out += text;
    }),
    stderr: collect((text) => {
      err += text;
      heard(err);
    }),
    out: () => out,
    err: () => err,
  };
}
