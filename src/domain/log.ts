// Structured log lines. Fields are names, digests and numbers; no message is built from input, so nothing can forge a
// line.

export interface Logger {
  /** `event` is a constant in dotted lower case. */
  info(event: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(event: string, fields?: Readonly<Record<string, unknown>>): void;
  error(event: string, fields?: Readonly<Record<string, unknown>>): void;
}

export const silentLog: Logger = { info() {}, warn() {}, error() {} };
