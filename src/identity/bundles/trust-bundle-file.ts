// A trust domain's bundle from a file, as `spire-server bundle show -format spiffe` writes it. Trusts whoever may write
// the file.

import type { Clock } from '../../domain/clock.ts';
import type { Logger } from '../../domain/log.ts';
import { createWatchedFile } from '../keys/watched-file.ts';
import { readTrustBundle, type TrustBundle, type TrustBundleSource } from './trust-bundle.ts';

interface TrustBundleFileOptions {
  readonly name: string;
  readonly trustDomain: string;
  readonly file: string;
  /** How long what was read last is believed, ms. */
  readonly staleMs: number;
}

export function createTrustBundleFile(options: TrustBundleFileOptions, clock: Clock, log: Logger): TrustBundleSource {
  const { name, staleMs } = options;
  const file = createWatchedFile<TrustBundle>(
    { path: options.file, name, staleMs, parse: readTrustBundle },
    clock,
    log,
  );
  return {
    trustDomain: options.trustDomain,
    current: () => file.current()?.jwtKeys,
    authorities: () => file.current()?.authorities,
    renew: async () => (await file.renew())?.jwtKeys,
    start: file.start,
    close: file.close,
    status: () => ({
      keys: file.current()?.jwtKeys.keys.length ?? 0,
      authorities: file.current()?.authorities.length ?? 0,
      ...(file.readAt !== undefined && { fetchedAt: file.readAt }),
      ...(file.lastError !== undefined && { lastError: file.lastError }),
    }),
  };
}
