// What finding out who calls costs, in CPU time of one run: tokens verified anew and from the cache, DPoP proofs,
// X.509-SVIDs once per connection and at each further call; then tls-cost.ts. `node test/bench/identity-cost.ts`

import { createHash, generateKeyPairSync, type KeyObject, randomUUID, sign } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { calculateJwkThumbprint } from 'jose';
import type { Identity } from '../../src/domain/identity.ts';
import { silentLog } from '../../src/domain/log.ts';
import { noMetrics } from '../../src/domain/metrics.ts';
import type { InboundRequest } from '../../src/domain/request.ts';
import { requestWith } from '../identity/calls.ts';
import { createSigningKey, type SigningKey, signToken } from '../identity/issuer.ts';
import { identityOf } from '../support/identities.ts';
import { bundleDocument, createAuthority } from '../support/spiffe-authority.ts';

const ROUNDS = 5;
const GATEWAY = 'https://gateway.test';
const ISSUER = 'https://issuer.test';
const folder = mkdtempSync(join(tmpdir(), 'countersign-bench-'));
const clock = { now: () => Date.now() };
const now = Math.floor(Date.now() / 1000);

const keys = {
  ES256: createSigningKey('es', 'ES256'),
  RS256: createSigningKey('rs', 'RS256'),
  EdDSA: createSigningKey('ed', 'EdDSA'),
};
const bundle = join(folder, 'bundle.json');
const root = await createAuthority('prod.test');
const middle = await root.intermediate('middle');
const workload = await middle.issue();
writeFileSync(bundle, bundleDocument([root]));

const answer = (body: unknown) =>
  new Response(JSON.stringify(body), { headers: { 'content-type': 'application/json' } });
const identity: Identity = identityOf(
  {
    audience: [GATEWAY],
    gatewayUrl: GATEWAY,
    issuers: [
      { name: 'corp', type: 'oidc', issuer: ISSUER, jwksUri: `${ISSUER}/jwks` },
      { name: 'prod', type: 'spiffe', trustDomain: 'prod.test', bundle: { file: bundle } },
    ],
  },
  {
    clock,
    log: silentLog,
    metrics: noMetrics,
    fetch: async () => answer({ keys: Object.values(keys).map(({ jwk }) => jwk) }),
  },
);
await identity.start();

const token = (key: SigningKey, claims: object = {}): string =>
  signToken(
    { alg: key.alg, kid: key.kid },
    { iss: ISSUER, sub: 'agent', aud: GATEWAY, iat: now, exp: now + 3000, jti: randomUUID(), ...claims },
    key,
  );
const bearer = (raw: string): InboundRequest => requestWith(['authorization', `Bearer ${raw}`]);

const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const jwk = publicKey.export({ format: 'jwk' });
const bound = token(keys.ES256, { cnf: { jkt: await calculateJwkThumbprint(jwk) } });

function proven(key: KeyObject): InboundRequest {
  const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const ath = createHash('sha256').update(bound).digest('base64url');
  const claims = { jti: randomUUID(), htm: 'GET', htu: `${GATEWAY}/tools/`, iat: Math.floor(Date.now() / 1000), ath };
  const input = `${encode({ typ: 'dpop+jwt', alg: 'ES256', jwk: { ...jwk } })}.${encode(claims)}`;
  const signature = sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url');
  return requestWith(['authorization', `DPoP ${bound}`, 'dpop', `${input}.${signature}`]);
}

const overTls = (): InboundRequest => ({
  ...requestWith([]),
  peer: { address: '127.0.0.1', certificates: [workload.der, middle.der] },
});

const repeat = (count: number, request: InboundRequest): InboundRequest[] =>
  Array.from({ length: count }, () => request);
const fresh = (count: number, make: () => InboundRequest): InboundRequest[] => Array.from({ length: count }, make);
const connected = overTls();
const cases: Readonly<Record<string, () => readonly InboundRequest[]>> = {
  'ES256, verified before': () => repeat(100_000, bearer(cached.ES256)),
  'RS256, verified before': () => repeat(100_000, bearer(cached.RS256)),
  'EdDSA, verified before': () => repeat(100_000, bearer(cached.EdDSA)),
  'ES256, new': () => fresh(1000, () => bearer(token(keys.ES256))),
  'RS256, new': () => fresh(300, () => bearer(token(keys.RS256))),
  'EdDSA, new': () => fresh(1000, () => bearer(token(keys.EdDSA))),
  'DPoP proof, token verified before': () => fresh(1000, () => proven(privateKey)),
  'X.509-SVID and an intermediate, new connection': () => fresh(300, overTls),
  'X.509-SVID, further call of a connection': () => repeat(100_000, connected),
};
const cached = { ES256: token(keys.ES256), RS256: token(keys.RS256), EdDSA: token(keys.EdDSA) };

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
const results = Object.entries(cases).map(([name, make]) => ({ name, make, microseconds: [] as number[] }));
for (let round = 0; round < ROUNDS; round++) {
  for (const { make, microseconds } of results) {
    const requests = make();
    const start = process.cpuUsage();
    for (const request of requests) {
      const found = identity.identify(request);
      if (found instanceof Promise) await found;
    }
    const { user, system } = process.cpuUsage(start);
    microseconds.push((user + system) / requests.length);
  }
}
const base = median(results[0]?.microseconds ?? []);
for (const { name, microseconds } of results) {
  const own = median(microseconds);
  console.log(`${name.padEnd(50)} ${(own / base).toFixed(1).padStart(8)} × ${own.toFixed(2).padStart(8)} µs`);
}
identity.close();
rmSync(folder, { recursive: true, force: true });

// The handshakes, in a process of their own.
await import('./tls-cost.ts');
