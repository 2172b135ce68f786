// `100 Continue` that nobody asked for. HTTP lets a server send it at any time, and a client discards it (RFC 9110
// section 15.2); undici takes it for a broken answer and ends the connection, although the call may be done. Here it
// becomes an interim answer like any other, which exchange.ts swallows. This reaches into undici, whose version is
// pinned; test/e2e/hostile-upstreams.test.ts notices when it does not hold any more.

import type { Pool } from 'undici';

interface Parser {
  onHeadersComplete(status: number, upgrade: boolean, shouldKeepAlive: boolean): number;
}

const CONTINUE = 100;
/** 102 Processing: says nothing either, and undici passes it on. */
const PROCESSING = 102;

/** For every connection that the pool opens. */
export function discardUnaskedContinue(pool: Pool): void {
  pool.on('connect', (_origin, targets) => {
    const parser = memberNamed(memberNamed(targets.at(-1), 'socket'), 'parser') as Parser | undefined;
    if (parser === undefined) return;
    const inner = parser.onHeadersComplete.bind(parser);
    parser.onHeadersComplete = (status, ...rest) => inner(status === CONTINUE ? PROCESSING : status, ...rest);
  });
}

function memberNamed(object: unknown, name: string): unknown {
  if (typeof object !== 'object' || object === null) return undefined;
  const symbol = Object.getOwnPropertySymbols(object).find(({ description }) => description === name);
  return symbol && (object as Record<symbol, unknown>)[symbol];
}
