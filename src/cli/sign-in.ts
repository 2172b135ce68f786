// A reviewer's token for the terminal: from COUNTERSIGN_TOKEN, or by the OAuth device flow (RFC 8628) in the person's own browser.
// The token stays in this process's memory: it is not written down, and each command signs in anew unless the variable is set.

import * as oidc from 'openid-client';
import { visible } from '../domain/visible-text.ts';
import { checkServiceUrl, isLoopback } from './review-client.ts';
import { CommandError, type Io, UsageError } from './terminal.ts';

export interface SignInOptions {
  /** The issuer identifier: `reviewers.api.issuer`. */
  readonly issuer?: string;
  /** A public client with the device flow: `reviewers.cli.clientId`. */
  readonly clientId?: string;
  /** `reviewers.api.audience`: sent as `resource` (RFC 8707) when it is an absolute URI, since nothing else may be one. */
  readonly audience?: string;
  /** Default `openid`. */
  readonly scope?: string;
}

export interface SignIn {
  /** The token, signing in when there is none yet. */
  token(): Promise<string>;
  /** A fresh sign-in, for tiers that ask for one. False when the token came from the environment and cannot be renewed here. */
  again(): Promise<boolean>;
}

/** Throws UsageError when there is neither a token nor a way to get one. */
export function createSignIn(io: Io, options: SignInOptions): SignIn {
  const given = io.env.COUNTERSIGN_TOKEN?.trim();
  if (given) return { token: async () => given, again: async () => false };
  const { issuer, clientId, audience, scope = 'openid' } = options;
  if (issuer === undefined || clientId === undefined) {
    throw new UsageError('Set COUNTERSIGN_TOKEN, or name the issuer and client to sign in with: --config FILE, or --issuer URL --client-id ID.');
  }
  let token: Promise<string> | undefined;
  const signIn = (fresh: boolean) => deviceFlow(io, { issuer, clientId, scope, ...(audience !== undefined && { audience }) }, fresh);
  return {
    token: () => (token ??= signIn(false)),
    async again() {
      token = signIn(true);
      await token;
      return true;
    },
  };
}

type Client = Required<Omit<SignInOptions, 'audience'>> & Pick<SignInOptions, 'audience'>;

async function deviceFlow(io: Io, { issuer, clientId, audience, scope }: Client, fresh: boolean): Promise<string> {
  checkServiceUrl(issuer, 'The issuer');
  const server = new URL(issuer);
  const resource = audience !== undefined && URL.canParse(audience) ? { resource: audience } : {};
  try {
    const execute = isLoopback(server) ? [oidc.allowInsecureRequests] : [];
    const configuration = await oidc.discovery(server, clientId, undefined, oidc.None(), { execute });
    // max_age asks for a sign-in that is recent, OIDC Core section 3.1.2.1.
    const started = await oidc.initiateDeviceAuthorization(configuration, { scope, ...resource, ...(fresh && { prompt: 'login', max_age: '300' }) });
    const { text: code } = visible(started.user_code);
    const { text: page } = visible(started.verification_uri_complete ?? started.verification_uri);
    io.stderr.write(`To sign in, open ${page}\nand check that it shows the code ${code}\n`);
    const { access_token } = await oidc.pollDeviceAuthorizationGrant(configuration, started, resource);
    return access_token;
  } catch (error) {
    throw new CommandError(`The sign-in at ${server.origin} did not succeed: ${reason(error)}.`);
  }
}

function reason(error: unknown): string {
  if (error instanceof oidc.ResponseBodyError) return visible(error.error).text;
  return error instanceof Error ? visible(error.message).text : 'unknown';
}
