// Compact JWS before they are verified. What is accepted, jose takes apart alike; and it has one spelling: no other
// text gives the same parts.

import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { presentMembers } from '../../../src/domain/json.ts';
import { parseJwsUnverified, readClaimsUnverified } from '../../../src/identity/tokens/unverified-jws.ts';
import { fromPieces, jsonText, mutated } from '../inputs.ts';
import { accepted, demand, type Target } from '../target.ts';

const encode = (text: string): string => Buffer.from(text).toString('base64url');
const header = fc.oneof(
  fc.constantFrom(
    '{"alg":"ES256"}',
    '{"alg":"ES256","kid":"k1","typ":"JWT"}',
    '{"alg":"none"}',
    '{"alg":"ES256","kid":null}',
    '{"alg":"ES256","crit":["b64"]}',
    '{"alg":["ES256"]}',
  ),
  jsonText,
);
const claims = fc.oneof(
  fc.constantFrom('{"sub":"a","exp":1}', '{"sub":null}', '{"sub":"a","sub":"b"}', '{"exp":1.5,"aud":["a"]}', '[]'),
  jsonText,
);
const token = fc
  .tuple(header, claims, fc.constantFrom('AA', 'AAAA', 'AB', '', '_-'))
  .map(([head, body, signature]) => [encode(head), encode(body), signature].join('.'));

export const jwt: Target = {
  name: 'jwt',
  drives: 'taking a token apart before it is verified',
  inputs: fc.oneof(
    token,
    mutated(token),
    fromPieces(['.', '.', 'eyJhbGciOiJFUzI1NiJ9', 'e30', 'AA', '=', '\n', '+', '/', '_', '-']),
  ),
  read: (text) => void readClaimsUnverified(parseJwsUnverified(text)),
  check(text) {
    const read = accepted(() => {
      const jws = parseJwsUnverified(text);
      return { jws, claims: readClaimsUnverified(jws) };
    });
    if (read === undefined) return;
    const { alg, kid, typ } = decodeProtectedHeader(text);
    demand(
      read.jws.header.alg === alg &&
        read.jws.header.kid === (kid ?? undefined) &&
        read.jws.header.typ === (typ ?? undefined),
      'jose reads another header.',
    );
    demand(isDeepStrictEqual(read.claims, presentMembers(decodeJwt(text) as never)), 'jose reads other claims.');
    const parts = text.split('.').map((part) => Buffer.from(part, 'base64url').toString('base64url'));
    demand(parts.length === 3 && parts.join('.') === text, 'The token has another spelling.');
  },
};
