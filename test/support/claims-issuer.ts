// An OpenID Connect issuer of few words: whoever comes is signed in at once, and the ID token holds the claims that the
// test gives it.

import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { type JWTPayload, SignJWT } from 'jose';
import { type JsonPeer, startJsonPeer } from './json-peer.ts';

export interface ClaimsIssuer {
  readonly url: string;
  /** Of the next ID token, besides iss, aud, iat, exp and nonce. */
  claims: Readonly<Record<string, unknown>>;
  /** Of the userinfo endpoint, besides sub; undefined: the issuer has no such endpoint. Set it before the first sign-in. */
  userinfo: Readonly<Record<string, unknown>> | undefined;
  /** Makes the access tokens; `asked` is what the authorization request said, and undefined in the device flow. */
  accessToken: (asked: URLSearchParams | undefined) => Promise<string>;
  /** The answer to the next code, instead of tokens. */
  refusal: { readonly status: number; readonly body: object } | undefined;
  close(): void;
}

export async function startClaimsIssuer(clientId: string): Promise<ClaimsIssuer> {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const requests = new Map<string, URLSearchParams>();
  const issuer: Pick<ClaimsIssuer, 'claims' | 'userinfo' | 'refusal' | 'accessToken'> = {
    claims: {},
    userinfo: undefined,
    refusal: undefined,
    accessToken: async () => 'opaque',
  };
  const peer: JsonPeer = await startJsonPeer(async ({ path, form }) => {
    const { pathname, searchParams } = new URL(path, peer.url);
    if (pathname === '/jwks')
      return { body: { keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'k', alg: 'ES256', use: 'sig' }] } };
    if (pathname === '/authorize') {
      const code = randomUUID();
      requests.set(code, searchParams);
      const back = new URL(searchParams.get('redirect_uri') ?? '');
      back.searchParams.set('code', code);
      back.searchParams.set('state', searchParams.get('state') ?? '');
      return { status: 303, body: '', headers: { location: back.href } };
    }
    if (pathname === '/userinfo') return { body: { sub: 'alice', ...issuer.userinfo } };
    if (pathname === '/device') {
      return {
        body: { device_code: 'd', user_code: 'AB-CD', verification_uri: `${peer.url}/`, expires_in: 60, interval: 1 },
      };
    }
    if (pathname !== '/token') {
      const at = {
        authorization_endpoint: `${peer.url}/authorize`,
        token_endpoint: `${peer.url}/token`,
        jwks_uri: `${peer.url}/jwks`,
      };
      const more = {
        end_session_endpoint: `${peer.url}/logout`,
        device_authorization_endpoint: `${peer.url}/device`,
        ...(issuer.userinfo !== undefined && { userinfo_endpoint: `${peer.url}/userinfo` }),
      };
      return { body: { issuer: peer.url, ...at, ...more, id_token_signing_alg_values_supported: ['ES256'] } };
    }
    if (issuer.refusal !== undefined) return issuer.refusal;
    const asked = requests.get(form.code ?? '');
    const access = { access_token: await issuer.accessToken(asked), token_type: 'Bearer' };
    if (asked === undefined) return { body: access };
    const payload = {
      sub: 'alice',
      auth_time: Math.floor(Date.now() / 1000),
      ...issuer.claims,
      nonce: asked.get('nonce'),
    } as JWTPayload;
    const token = new SignJWT(payload)
      .setProtectedHeader({ alg: 'ES256', kid: 'k' })
      .setIssuer(peer.url)
      .setAudience(clientId);
    return { body: { ...access, id_token: await token.setIssuedAt().setExpirationTime('5m').sign(privateKey) } };
  });
  return Object.assign(issuer, { url: peer.url, close: peer.close });
}
