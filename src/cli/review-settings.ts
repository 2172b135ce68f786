// Where the reviewers' API is and how to sign in there, read from a gateway's own configuration file.

import { loadConfigFile } from './config-file.ts';

export interface ReviewSettings {
  readonly url?: string;
  readonly issuer?: string;
  readonly clientId?: string;
  readonly audience?: string;
  readonly scope?: string;
}

/** Throws CommandError with every fault of the file. */
export async function loadReviewSettings(path: string): Promise<ReviewSettings> {
  const { listeners, reviewers } = await loadConfigFile(path);
  const { address, url, tls } = listeners.reviewers;
  const host = address.host.includes(':') ? `[${address.host}]` : address.host;
  return {
    url: url ?? `${tls === undefined ? 'http' : 'https'}://${host}:${address.port}`,
    ...(reviewers.api && { issuer: reviewers.api.issuer, audience: reviewers.api.audience }),
    ...(reviewers.cli && { clientId: reviewers.cli.clientId, scope: reviewers.cli.scope }),
  };
}
