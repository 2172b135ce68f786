// A reviewer's token for the terminal: from COUNTERSIGN_TOKEN, or by the OAuth device flow (RFC 8628) in the person's
// own browser. For a tier that asks for a fresh sign-in, it uses the code flow on the loopback (fresh-sign-in.ts). The
// token stays in the memory of this process and is never written to disk, so each command signs in again unless the
// variable is set.

import * as oidc from 'openid-client';
import { visible } from '../domain/visible-text.ts';
import { signInAfresh } from './fresh-sign-in.ts';
import { checkServiceUrl, isLoopback } from './review-client.ts';
import { CommandError, type Io, UsageError } from './terminal.ts';

export interface TerminalSignInOptions {
  /** The issuer identifier: `reviewers.api.issuer`. */
  readonly issuer?: string;
  /** A public client with the device flow: `reviewers.cli.clientId`. */
  readonly clientId?: string;
  /**
   * `reviewers.api.audience`: sent as `resource` (RFC 8707) when it is an absolute URI, since nothing else may be one.
   */
  readonly audience?: string;
  /** Default `openid`. */
  readonly scope?: string;
}

export interface TerminalSignIn {
  /** The token, signing in when there is none yet. */
  token(): Promise<string>;
  /**
   * A fresh sign-in, for tiers that ask for one, as strong as the API says. False when the token came from the
   * environment and cannot be renewed here.
   */
  again(acrValues?: string): Promise<boolean>;
}

/** Throws UsageError when there is no token and no way to get one. */
export function createTerminalSignIn(io: Io, options: TerminalSignInOptions): TerminalSignIn {
  const given = io.env.COUNTERSIGN_TOKEN?.trim();
  if (given) return { token: async () => given, again: async () => false };
  const { issuer, clientId, audience, scope = 'openid' } = options;
  if (issuer === undefined || clientId === undefined) {
    throw new UsageError(
      'Set COUNTERSIGN_TOKEN, or name the issuer and client to sign in with: --config FILE, or --issuer URL ' +
        '--client-id ID.',
    );
  }
  let token: Promise<string> | undefined;
  const client = { issuer, clientId, scope, ...(audience !== undefined && { audience }) };
  return {
    token: () => (token ??= at(client, (configuration, target) => deviceFlow(io, configuration, target))),
    async again(acrValues) {
      token = at(client, (configuration, target) =>
        signInAfresh(configuration, {
          ...target,
          ...(acrValues !== undefined && { acrValues }),
          show: (url) =>
            void io.stderr.write(`To sign in afresh, open ${visible(url).text}\nin a browser on this machine.\n`),
        }),
      );
      await token;
      return true;
    },
  };
}

type Client = Required<Omit<TerminalSignInOptions, 'audience'>> & Pick<TerminalSignInOptions, 'audience'>;

interface RequestedTarget {
  readonly scope: string;
  readonly resource?: string;
}

/** One way of signing in, at the issuer. Throws CommandError when it does not succeed. */
async function at(
  { issuer, clientId, audience, scope }: Client,
  way: (configuration: oidc.Configuration, target: RequestedTarget) => Promise<string>,
): Promise<string> {
  checkServiceUrl(issuer, 'the issuer');
  const server = new URL(issuer);
  try {
    const execute = isLoopback(server) ? [oidc.allowInsecureRequests] : [];
    const configuration = await oidc.discovery(server, clientId, undefined, oidc.None(), { execute });
    return await way(configuration, {
      scope,
      ...(audience !== undefined && URL.canParse(audience) && { resource: audience }),
    });
  } catch (error) {
    throw new CommandError(`The sign-in at ${server.origin} did not succeed: ${reason(error)}.`);
  }
}

async function deviceFlow(
  io: Io,
  configuration: oidc.Configuration,
  { scope, resource }: RequestedTarget,
): Promise<string> {
  const named: Record<string, string> = resource === undefined ? {} : { resource };
  const started = await oidc.initiateDeviceAuthorization(configuration, { scope, ...named });
  const { text: code } = visible(started.user_code);
  const { text: page } = visible(started.verification_uri_complete ?? started.verification_uri);
  io.stderr.write(`To sign in, open ${page}\nand check that it shows the code ${code}\n`);
  const { access_token } = await oidc.pollDeviceAuthorizationGrant(configuration, started, named);
  return access_token;
}

function reason(error: unknown): string {
  if (error instanceof oidc.ResponseBodyError || error instanceof oidc.AuthorizationResponseError)
    return visible(error.error).text;
  return error instanceof Error ? visible(error.message).text : 'unknown';
}
