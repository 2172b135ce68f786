// A bare issuer over real HTTP for identity's tests: it counts requests and can be told to misbehave. Keys and tokens
// are real (node:crypto, jose).

import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A signing key with the public JWK that an issuer publishes for it. */
export interface SigningKey {
  readonly kid: string;
  readonly alg: 'ES256' | 'RS256' | 'EdDSA';
  readonly privateKey: KeyObject;
  readonly jwk: Readonly<Record<string, unknown>>;
}

export function createSigningKey(
  kid: string,
  alg: SigningKey['alg'] = 'ES256',
  use: string | undefined = 'sig',
): SigningKey {
  const { publicKey, privateKey } =
    alg === 'ES256'
      ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
      : alg === 'RS256'
        ? generateKeyPairSync('rsa', { modulusLength: 2048 })
        : generateKeyPairSync('ed25519');
  return {
    kid,
    alg,
    privateKey,
    jwk: { ...publicKey.export({ format: 'jwk' }), kid, ...(use !== undefined && { use }) },
  };
}

/** Signs exactly these texts: for tokens that no honest library would write. */
export function signTexts(header: string | Uint8Array, payload: string | Uint8Array, key: SigningKey): string {
  const input = `${Buffer.from(header).toString('base64url')}.${Buffer.from(payload).toString('base64url')}`;
  const digest = key.alg === 'EdDSA' ? null : 'sha256';
  const signature = sign(digest, Buffer.from(input), { key: key.privateKey, dsaEncoding: 'ieee-p1363' });
  return `${input}.${signature.toString('base64url')}`;
}

export function signToken(header: object, claims: object, key: SigningKey): string {
  return signTexts(JSON.stringify(header), JSON.stringify(claims), key);
}

export type Answer = (request: IncomingMessage, response: ServerResponse) => void;

export interface TestIssuer {
  readonly url: string;
  /** Paths asked for, in order. */
  readonly requests: string[];
  /** What is published; replace it to rotate. */
  keys: SigningKey[];
  /** Takes over discovery or the JWKS while set. */
  answers: { discovery?: Answer | undefined; jwks?: Answer | undefined };
  /** Resolves once this many requests for the JWKS have come. */
  jwksRequests(count: number): Promise<void>;
  close(): Promise<void>;
}

export const json =
  (body: unknown, status = 200, type = 'application/json'): Answer =>
  (_request, response) => {
    response.writeHead(status, { 'content-type': type }).end(typeof body === 'string' ? body : JSON.stringify(body));
  };

export async function startIssuer(keys: SigningKey[]): Promise<TestIssuer> {
  const requests: string[] = [];
  const arrived = new EventTarget();
  const server: Server = createServer((request, response) => {
    requests.push(request.url ?? '');
    const discovery = request.url === '/.well-known/openid-configuration';
    const answer = discovery ? issuer.answers.discovery : issuer.answers.jwks;
    if (answer !== undefined) answer(request, response);
    else if (discovery) json({ issuer: issuer.url, jwks_uri: `${issuer.url}/jwks` })(request, response);
    else
      json(
        { keys: issuer.keys.map((key) => key.jwk) },
        200,
        'application/jwk-set+json; charset=utf-8',
      )(request, response);
    arrived.dispatchEvent(new Event('request'));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const count = () => requests.filter((path) => path === '/jwks').length;
  const issuer: TestIssuer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    keys,
    answers: {},
    async jwksRequests(wanted) {
      while (count() < wanted) await once(arrived as never, 'request');
    },
    async close() {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
  return issuer;
}
