// Pins the kind "null for an optional member": serialisers write it for what is not there, so it says the same as
// absence, in every document of an issuer's. What is demanded stays demanded.

import { hash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { readTrustBundle } from '../../src/identity/bundles/trust-bundle.ts';
import { readKeySet } from '../../src/identity/keys/key-set.ts';
import { identityOf } from '../support/identities.ts';
import { bearer, createClock, createRecorder, refusalOf } from './calls.ts';
import { createSigningKey, signToken, startIssuer } from './issuer.ts';

const AUDIENCE = 'https://gateway.example.org';
const key = createSigningKey('es');
const clock = createClock();
const recorder = createRecorder();

async function identified(head: object, changes: object) {
  const issuer = await startIssuer([key]);
  const identity = identityOf(
    { audience: [AUDIENCE], issuers: [{ name: 'corp', type: 'oidc', issuer: issuer.url }] },
    { clock, log: recorder.log, metrics: recorder.metrics },
  );
  await identity.start();
  try {
    const now = Math.floor(clock.time / 1000);
    const claims = { iss: issuer.url, sub: 'payer', aud: AUDIENCE, iat: now, exp: now + 300, ...changes };
    const raw = signToken({ alg: 'ES256', kid: 'es', ...head }, claims, key);
    const request = bearer(raw);
    return {
      issuer: issuer.url,
      outcome: await Promise.resolve(identity.identify(request)).catch(() =>
        refusalOf(() => identity.identify(bearer(raw))),
      ),
    };
  } finally {
    identity.close();
    await issuer.close();
  }
}

describe('a claim or header member that is null', () => {
  it.each<[string, object, object]>([
    ['act', {}, { act: null }],
    ['cnf', {}, { cnf: null }],
    ['nbf', {}, { nbf: null }],
    ['kubernetes.io', {}, { 'kubernetes.io': null }],
    ['several at once', {}, { act: null, cnf: null, azp: null, scope: null, jti: null }],
    ['typ and kid', { typ: null, kid: null }, {}],
    ['members of the header that would be refused', { jku: null, jwk: null, x5u: null, x5c: null }, {}],
  ])('is an absent one: %s', async (_what, head, changes) => {
    const { outcome, issuer } = await identified(head, changes);
    expect(outcome).toMatchObject({ principal: { id: `${issuer}#payer`, onBehalfOf: [] } });
    if (typeof outcome === 'object') expect(outcome.principal).not.toHaveProperty('keyThumbprint');
  });

  it.each<[object, readonly string[]]>([
    [{ sub: 'agent', act: null }, ['payer']],
    [{ sub: 'agent', iss: null }, ['payer']],
    [{ sub: 'agent', act: { sub: 'planner', iss: null, act: null } }, ['payer', 'planner']],
  ])('is absent in an actor, too: %j', async (act, onBehalfOf) => {
    const { outcome } = await identified({}, { act });
    expect(outcome).toMatchObject({
      principal: { subject: 'agent', onBehalfOf: onBehalfOf.map((subject) => ({ subject })) },
    });
  });

  it('does not free a bound token from its proof', async () => {
    const jkt = hash('sha256', 'a key', 'base64url');
    expect((await identified({}, { cnf: { jkt, 'x5t#S256': null } })).outcome).toMatch(/^proof_required/);
    expect((await identified({}, { cnf: { jkt: null } })).outcome).toBe('token_claims/cnf');
  });

  it.each(['exp', 'sub', 'aud'])('is missing where it is demanded: %s', async (name) => {
    expect((await identified({}, { [name]: null })).outcome).toMatch(/^token_(claims|audience)/);
  });

  it('is refused where it makes a signature mean something else', async () => {
    expect((await identified({ crit: null }, {})).outcome).toMatch(/^token_/);
    expect((await identified({ alg: null }, {})).outcome).toMatch(/^token_malformed/);
  });
});

describe('keys and bundles with members that are null', () => {
  it.each([
    { alg: null },
    { use: null, kid: null },
    { key_ops: null, x5c: null, x5t: null },
    { d: null, p: null, k: null },
  ])('are read: %j', (members) => {
    expect(readKeySet({ keys: [{ ...key.jwk, ...members } as never] }, 'sig').keys).toHaveLength(1);
  });

  it('are not read where the member is there', () => {
    for (const members of [{ alg: 1 }, { use: 'enc' }, { d: 'x' }])
      expect(readKeySet({ keys: [{ ...key.jwk, ...members } as never] }, 'sig').keys).toEqual([]);
  });

  it.each(['spiffe_sequence', 'spiffe_refresh_hint'])('say nothing of %s', (name) => {
    const bundle = readTrustBundle(Buffer.from(JSON.stringify({ keys: [], [name]: null })), undefined);
    expect([bundle.sequence, bundle.refreshHintMs]).toEqual([undefined, undefined]);
  });
});
