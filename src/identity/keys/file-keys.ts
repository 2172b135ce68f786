// An OIDC issuer's keys from a JWKS file, for issuers that this host cannot reach. Trusts whoever may write the file.

import type { Clock } from '../../domain/clock.ts';
import type { Logger } from '../../domain/log.ts';
import { parseStrictJson } from '../../domain/strict-json.ts';
import { type KeySet, readKeySet } from './key-set.ts';
import type { KeySource } from './key-source.ts';
import { createWatchedFile } from './watched-file.ts';

interface FileKeysOptions {
  readonly name: string;
  readonly file: string;
  /** How long what was read last is believed, ms. */
  readonly staleMs: number;
}

export function createFileKeys(options: FileKeysOptions, clock: Clock, log: Logger): KeySource {
  const { name, staleMs } = options;
  const file = createWatchedFile<KeySet>(
    { path: options.file, name, staleMs, parse: (bytes) => readKeySet(parseStrictJson(bytes), 'sig') },
    clock,
    log,
  );
  return {
    current: file.current,
    renew: file.renew,
    start: file.start,
    close: file.close,
    status: () => ({
      keys: file.current()?.keys.length ?? 0,
      ...(file.readAt !== undefined && { fetchedAt: file.readAt }),
      ...(file.lastError !== undefined && { lastError: file.lastError }),
    }),
  };
}
