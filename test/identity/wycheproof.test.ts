// Project Wycheproof's JSON Web Signature vectors through the gateway's own path: take apart, choose a key, prove the
// signature. The vectors' payloads are no JWT claims, so the path ends where claims would be read. Every disagreement
// is listed with its reason.

import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Json } from '../../src/domain/json.ts';
import { GatewayError } from '../../src/errors.ts';
import { SIGNATURE_ALGORITHMS } from '../../src/identity/keys/algorithms.ts';
import { readKeySet } from '../../src/identity/keys/key-set.ts';
import { proveSignature } from '../../src/identity/tokens/signature.ts';
import { parseJwsUnverified } from '../../src/identity/tokens/unverified-jws.ts';

const FILE = new URL('../../../shared/vectors/jws-wycheproof.json', import.meta.url);

interface Vector {
  readonly tcId: number;
  readonly comment: string;
  readonly jws: string | object;
  readonly result: 'valid' | 'invalid' | 'acceptable';
}
interface Group {
  readonly comment: string;
  readonly public?: Json;
  readonly private: Json;
  readonly tests: readonly Vector[];
}

/** Every asymmetric algorithm, so that a refusal is due to the vector and not to a short list. */
const ALGORITHMS = SIGNATURE_ALGORITHMS;

/** Vectors marked valid that we refuse, by the reason that makes it right. */
const REFUSED_ON_PURPOSE: Readonly<Record<string, { readonly why: string; readonly ids: readonly number[] }>> = {
  'token_algorithm/alg': {
    why: 'HMAC: a verifier that holds the secret could forge tokens, so symmetric algorithms are never accepted.',
    ids: [1, 348, 352, 357, 358, 359, 376, 377],
  },
  'token_malformed/compact': {
    why: 'An empty payload cannot be a set of claims (259-325). 372 and 373 hold a character outside the alphabet, which makes further spellings of one token.',
    ids: [259, 264, 268, 272, 320, 325, 372, 373],
  },
  'token_key_unknown/kid': {
    why: 'The key says that it is for another algorithm (PS256) than the token uses (PS384), or for one that does not exist (ES521).',
    ids: [346, 347, 350, 351],
  },
};

async function verdict(group: Group, vector: Vector): Promise<string> {
  const keySet = readKeySet({ keys: [group.public ?? group.private] }, 'sig');
  try {
    const raw = typeof vector.jws === 'string' ? vector.jws : JSON.stringify(vector.jws);
    await proveSignature(parseJwsUnverified(raw), { current: () => keySet, renew: async () => keySet }, ALGORITHMS);
    return 'valid';
  } catch (thrown) {
    if (!(thrown instanceof GatewayError)) throw thrown;
    return `${thrown.code}/${thrown.details.members?.check}`;
  }
}

describe.skipIf(!existsSync(FILE))('wycheproof JWS vectors (skipped where ../shared/vectors is absent)', async () => {
  const groups: readonly Group[] = existsSync(FILE) ? JSON.parse(readFileSync(FILE, 'utf8')).testGroups : [];
  const results: { id: number; expected: string; ours: string }[] = [];
  for (const group of groups) {
    for (const vector of group.tests)
      results.push({ id: vector.tcId, expected: vector.result, ours: await verdict(group, vector) });
  }

  it('runs all 401', () => {
    expect(results).toHaveLength(401);
  });

  it('accepts nothing that is invalid', () => {
    expect(results.filter(({ expected, ours }) => ours === 'valid' && expected !== 'valid')).toEqual([]);
  });

  it('accepts what is valid, but for the vectors that are refused on purpose', () => {
    const disagreements = results.filter(({ expected, ours }) => expected === 'valid' && ours !== 'valid');
    const onPurpose = Object.entries(REFUSED_ON_PURPOSE).flatMap(([reason, { ids }]) =>
      ids.map((id) => `${id} ${reason}`),
    );
    expect(disagreements.map(({ id, ours }) => `${id} ${ours}`).sort()).toEqual(onPurpose.sort());
  });
});
