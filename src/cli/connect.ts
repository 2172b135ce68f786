// How a command reaches the reviewers' API: the flags that several commands share, and the client they give.

import { createReviewClient, type ReviewClient } from './review-client.ts';
import { loadReviewSettings } from './review-settings.ts';
import { createTerminalSignIn, type TerminalSignIn } from './sign-in.ts';
import type { Io } from './terminal.ts';

/** Options of `parseArgs`, for every command that talks to the reviewers' API. */
export const CONNECTION_OPTIONS = {
  url: { type: 'string' },
  config: { type: 'string' },
  issuer: { type: 'string' },
  'client-id': { type: 'string' },
  audience: { type: 'string' },
  scope: { type: 'string' },
} as const;

export const CONNECTION_USAGE = `  --url URL         the reviewers' API; default: COUNTERSIGN_URL, listeners.reviewers.url of --config, or http://127.0.0.1:8081
  --config FILE     take the API's address and the sign-in from a gateway's configuration
  --issuer URL, --client-id ID, --audience NAME, --scope TEXT
                    sign in with the device flow; not needed when COUNTERSIGN_TOKEN holds a token (it is kept in memory only)`;

export type ConnectionValues = { readonly [Name in keyof typeof CONNECTION_OPTIONS]?: string | undefined };

export async function connect(
  values: ConnectionValues,
  io: Io,
): Promise<{ client: ReviewClient; signIn: TerminalSignIn }> {
  const settings = values.config === undefined ? {} : await loadReviewSettings(values.config);
  const url = values.url ?? io.env.COUNTERSIGN_URL ?? settings.url ?? 'http://127.0.0.1:8081';
  const issuer = values.issuer ?? settings.issuer;
  const clientId = values['client-id'] ?? settings.clientId;
  const audience = values.audience ?? settings.audience;
  const scope = values.scope ?? settings.scope;
  const signIn = createTerminalSignIn(io, {
    ...(issuer && { issuer }),
    ...(clientId && { clientId }),
    ...(audience && { audience }),
    ...(scope && { scope }),
  });
  return { client: createReviewClient(url, signIn.token), signIn };
}
