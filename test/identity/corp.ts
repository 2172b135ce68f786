// The issuer `corp` of tests of OIDC tokens: a real issuer over HTTP with three keys, an identity that trusts it, and
// tokens that it could have made. Both are closed after the tests of a file.

import { afterAll } from 'vitest';
import { identityOf } from '../support/identities.ts';
import { bearer, createClock, createRecorder, refusalOf } from './calls.ts';
import { createSigningKey, signToken, startIssuer } from './issuer.ts';

export const AUDIENCE = 'https://gateway.example.org';
export const es = createSigningKey('es');
export const rs = createSigningKey('rs', 'RS256');
export const ed = createSigningKey('ed', 'EdDSA');
/** Has the id of `es`, and is another key. */
export const stranger = createSigningKey('es');
export const clock = createClock();
export const recorder = createRecorder();
export const seconds = () => Math.floor(clock.time / 1000);

export const issuer = await startIssuer([es, rs, ed]);

/** An identity that trusts `corp`, with these members of its entry besides. */
export async function build(options: object = {}) {
  const made = identityOf(
    {
      audience: ['https://other.example.org', AUDIENCE],
      issuers: [{ name: 'corp', type: 'oidc', issuer: issuer.url, maxLifetime: '1h', ...options }],
    },
    { clock, log: recorder.log, metrics: recorder.metrics },
  );
  await made.start();
  return made;
}

export const identity = await build();
afterAll(async () => {
  identity.close();
  await issuer.close();
});

export const header = { alg: 'ES256', kid: 'es' };
export const claims = (changes: object = {}) => ({
  iss: issuer.url,
  sub: 'payer',
  aud: AUDIENCE,
  iat: seconds(),
  exp: seconds() + 300,
  ...changes,
});
export const token = (changes: object = {}, head: object = header, key = es) => signToken(head, claims(changes), key);
export const refused = (raw: string, by = identity) => refusalOf(() => by.identify(bearer(raw)));
