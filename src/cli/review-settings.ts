// How to reach and sign in to the reviewers' API, read from a gateway's own configuration file, for people who have it
// at hand.

import { loadConfig } from '../config/load.ts';
import { ConfigError, formatFaults } from '../settings/faults.ts';
import { CommandError } from './terminal.ts';

export interface ReviewSettings {
  readonly url?: string;
  readonly issuer?: string;
  readonly clientId?: string;
  readonly audience?: string;
  readonly scope?: string;
}

/** Throws CommandError with every fault of the file. */
export async function loadReviewSettings(path: string): Promise<ReviewSettings> {
  const { listeners, reviewers } = await loadConfig(path).catch((error: unknown) => {
    throw error instanceof ConfigError ? new CommandError(formatFaults(error)) : error;
  });
  const { address, url, tls } = listeners.reviewers;
  const host = address.host.includes(':') ? `[${address.host}]` : address.host;
  return {
    url: url ?? `${tls === undefined ? 'http' : 'https'}://${host}:${address.port}`,
    ...(reviewers.api && { issuer: reviewers.api.issuer, audience: reviewers.api.audience }),
    ...(reviewers.cli && { clientId: reviewers.cli.clientId, scope: reviewers.cli.scope }),
  };
}
