// Chooses where an OIDC issuer's keys come from: a file, a given address, or discovery.

import type { Clock } from '../../domain/clock.ts';
import type { Logger } from '../../domain/log.ts';
import type { OidcKeyOptions } from '../options.ts';
import type { FetchDocument } from './fetch-json.ts';
import { createFileKeys } from './file-keys.ts';
import type { KeySource } from './key-source.ts';
import { REFRESH_TIMES, type RefreshTimes } from './polled.ts';
import { createRemoteKeys } from './remote-keys.ts';

export function createOidcKeys(
  name: string,
  options: OidcKeyOptions,
  refresh: Partial<RefreshTimes>,
  parts: { readonly clock: Clock; readonly log: Logger; readonly fetch: FetchDocument },
): KeySource {
  const times = { ...REFRESH_TIMES, ...refresh };
  if (options.jwks !== undefined)
    return createFileKeys({ name, file: options.jwks.file, staleMs: times.staleMs }, parts.clock, parts.log);
  const { issuer, jwksUri } = options;
  return createRemoteKeys({ name, issuer, times, ...(jwksUri !== undefined && { jwksUri }) }, parts);
}
