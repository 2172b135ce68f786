// A fresh sign-in for the terminal: authorization code with PKCE, back to a listener on the loopback (RFC 8252 section
// 7.3). The device flow cannot ask for one: issuers ignore `prompt`, `max_age` and `acr_values` there. Trusts the
// issuer over TLS, and an answer that carries this sign-in's own state.

import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import * as oidc from 'openid-client';

export interface FreshSignIn {
  readonly scope: string;
  /** RFC 8707; absent where no resource is named. */
  readonly resource?: string;
  /** The strength that the API asked for. */
  readonly acrValues?: string;
  /** Tells the person where to go; the address is the issuer's. */
  show(url: string): void;
}

const PATIENCE_MS = 5 * 60_000;
const DONE = 'You are signed in. Go back to the terminal.\n';

/**
 * Gives the access token of a person who has just signed in. Throws what the issuer's client throws, and a DOMException
 * when nobody signs in within five minutes.
 */
export async function signInAfresh(
  configuration: oidc.Configuration,
  { scope, resource, acrValues, show }: FreshSignIn,
): Promise<string> {
  const [state, nonce, verifier] = [oidc.randomState(), oidc.randomNonce(), oidc.randomPKCECodeVerifier()];
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const redirectUri = `http://127.0.0.1:${(server.address() as AddressInfo).port}/callback`;
  try {
    const target = {
      ...{ redirect_uri: redirectUri, scope, state, nonce, response_type: 'code' },
      ...{
        code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
        code_challenge_method: 'S256',
        prompt: 'login',
        max_age: '0',
      },
      ...(resource !== undefined && { resource }),
      ...(acrValues !== undefined && { acr_values: acrValues }),
    };
    show(oidc.buildAuthorizationUrl(configuration, target).href);
    const answer = await answerAt(server, redirectUri, state);
    const checks = { expectedState: state, expectedNonce: nonce, pkceCodeVerifier: verifier, idTokenExpected: true };
    const { access_token } = await oidc.authorizationCodeGrant(
      configuration,
      answer,
      checks,
      resource === undefined ? {} : { resource },
    );
    return access_token;
  } finally {
    server.close();
    server.closeAllConnections();
  }
}

/** The first request with the state of this sign-in; other requests (a favicon, a guess) get 404. */
async function answerAt(server: ReturnType<typeof createServer>, redirectUri: string, state: string): Promise<URL> {
  const signal = AbortSignal.timeout(PATIENCE_MS);
  for (;;) {
    const [request, response] = (await once(server, 'request', { signal })) as [IncomingMessage, ServerResponse];
    const url = URL.parse(request.url ?? '', redirectUri);
    const mine =
      request.method === 'GET' &&
      url !== null &&
      url.origin + url.pathname === redirectUri &&
      url.searchParams.get('state') === state;
    response.writeHead(mine ? 200 : 404, {
      'content-type': 'text/plain; charset=utf-8',
      'cache-control': 'no-store',
      connection: 'close',
    });
    await new Promise<void>((sent) => response.end(mine ? DONE : 'Not found.\n', sent));
    if (mine) return url;
  }
}
