import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLocalJWKSet, decodeProtectedHeader, type JSONWebKeySet, jwtVerify } from 'jose';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createFileKeyRing, createGatewayIssuer, type KeyRing } from '../../src/credentials/gateway-issuer.ts';
import { createGeneratedKeyRing } from '../../src/credentials/generated-keys.ts';
import { createSealer } from '../../src/credentials/seal.ts';
import { Secret } from '../../src/domain/secret.ts';
import { principalNamed } from '../support/clearances.ts';
import { providerOf } from '../support/providers.ts';
import { grantOf, privateKey, secretOf } from '../support/signing.ts';

const ISSUER = 'https://gateway.example.org/countersign';
const HOUR = 3_600_000;
const DAY = 24 * HOUR;

let folder: string;
let now: number;
const clock = { now: () => now };
const seal = createSealer({ key: secretOf('seal-key-literal-seal-key-literal-0123') });

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-keys-'));
  now = Date.now();
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const generated = (key = seal): KeyRing =>
  createGeneratedKeyRing({
    path: join(folder, 'keys.json'),
    seal: key,
    clock,
    rotateEveryMs: 30 * DAY,
    overlapMs: DAY,
  });
const jwks = async (ring: KeyRing) =>
  (await createGatewayIssuer(ISSUER, ring, clock).document('/jwks.json')) as unknown as JSONWebKeySet;
const sign = async (ring: KeyRing) =>
  (await createGatewayIssuer(ISSUER, ring, clock).sign({ aud: 'test' }, 60_000)).text;
const kidsOf = async (ring: KeyRing) => (await jwks(ring)).keys.map(({ kid }) => kid);

describe('the gateway as an issuer', () => {
  it('publishes discovery and public keys, and nothing private', async () => {
    const issuer = createGatewayIssuer(
      ISSUER,
      createFileKeyRing([secretOf(privateKey('rsa')), secretOf(privateKey())]),
      clock,
    );
    expect(await issuer.document('/.well-known/openid-configuration')).toMatchObject({
      issuer: ISSUER,
      jwks_uri: `${ISSUER}/jwks.json`,
      id_token_signing_alg_values_supported: ['RS256', 'ES256'],
    });
    const { keys } = (await issuer.document('/jwks.json')) as unknown as JSONWebKeySet;
    for (const key of keys)
      for (const member of ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']) expect(key).not.toHaveProperty(member);
    expect(keys.map(({ alg, use }) => [alg, use])).toEqual([
      ['RS256', 'sig'],
      ['ES256', 'sig'],
    ]);
    expect(await issuer.document('/other')).toBeUndefined();
  });

  it('signs with the first of the operator’s keys, and verifiers know the next one beforehand', async () => {
    const [old, next] = [privateKey(), privateKey()];
    const before = createFileKeyRing([secretOf(old), secretOf(next)]);
    const published = createLocalJWKSet(await jwks(before));
    const after = createFileKeyRing([secretOf(next), secretOf(old)]);
    const fresh = await sign(after);
    await jwtVerify(fresh, published, { issuer: ISSUER, currentDate: new Date(now) });
    await jwtVerify(await sign(before), createLocalJWKSet(await jwks(after)), {
      issuer: ISSUER,
      currentDate: new Date(now),
    });
    expect(decodeProtectedHeader(fresh).kid).toBe((await kidsOf(after))[0]);
  });
});

describe('keys that the gateway makes', () => {
  it('are kept sealed, for this user alone, and are the same after a restart', async () => {
    const token = await sign(generated());
    const text = readFileSync(join(folder, 'keys.json'), 'utf8');
    expect(text).not.toContain('PRIVATE KEY');
    expect(statSync(join(folder, 'keys.json')).mode & 0o777).toBe(0o600);
    await jwtVerify(token, createLocalJWKSet(await jwks(generated())), { currentDate: new Date(now) });
  });

  it('cannot be used under another seal', async () => {
    await sign(generated());
    const other = createSealer({
      key: { origin: 'test', read: () => new Secret('another-key-literal-another-key-0123') },
    });
    await expect(sign(generated(other))).rejects.toMatchObject({ code: 'credential_unavailable' });
  });

  it('never sign before they were published for the whole overlap, and stay published for another after they stopped', async () => {
    const ring = generated();
    const [first] = await kidsOf(ring);
    now += 30 * DAY;
    const [, second] = await kidsOf(ring);
    expect(second).toBeDefined();
    expect(decodeProtectedHeader(await sign(ring)).kid).toBe(first);
    now += DAY;
    expect(decodeProtectedHeader(await sign(ring)).kid).toBe(second);
    now += DAY - 1;
    expect(await kidsOf(ring)).toEqual([first, second]);
    now += 1;
    expect(await kidsOf(ring)).toEqual([second]);
  });

  it('are always known to a verifier that fetched keys less than an overlap ago, over a year of hourly use', async () => {
    const ring = generated();
    let fetched = await jwks(ring);
    const kids = new Set<unknown>();
    for (let hour = 0; hour < 365 * 24; hour += 7) {
      now += 7 * HOUR;
      const { kid } = decodeProtectedHeader(await sign(ring));
      kids.add(kid);
      expect(fetched.keys.map((key) => key.kid)).toContain(kid);
      if (hour % 21 === 0) fetched = await jwks(ring);
    }
    expect(kids.size).toBeGreaterThan(10);
  });

  it('does not sign with an unpublished key after a year of silence', async () => {
    const ring = generated();
    const [first] = await kidsOf(ring);
    now += 365 * DAY;
    expect(decodeProtectedHeader(await sign(ring)).kid).toBe(first);
  });
});

describe('signed-jwt', () => {
  const user = { id: 'https://idp.example.org#alice', issuer: 'https://idp.example.org', subject: 'alice' };
  const planner = { id: 'https://idp.example.org#planner', issuer: 'https://idp.example.org', subject: 'planner' };

  async function minted(grant = grantOf(), more: object = {}) {
    const ring = generated();
    const signer = createGatewayIssuer(ISSUER, ring, clock);
    const provider = providerOf(
      { type: 'signed-jwt', audience: 'https://ledger.example.org', scope: 'read write', ...more },
      { signer },
    );
    const made = await provider.mint(grant);
    const token = made.secrets[0]?.reveal() ?? '';
    const { payload } = await jwtVerify(token, createLocalJWKSet(await jwks(ring)), {
      issuer: ISSUER,
      currentDate: new Date(now),
    });
    return { made, payload, token };
  }

  it('says who acts, for whom it is, under which approval, and for how long', async () => {
    const { made, payload } = await minted(grantOf({ scope: ['read'] }, { holdId: 'hold_7' }));
    const { id } = principalNamed('agent');
    expect(payload).toMatchObject({
      iss: ISSUER,
      aud: 'https://ledger.example.org',
      sub: id,
      act: { sub: id },
      scope: 'read',
      countersign_hold: 'hold_7',
    });
    expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(120);
    expect(made).toMatchObject({
      expiresAt: (payload.exp ?? 0) * 1000,
      revocability: 'none',
      granted: { jti: payload.jti, scope: 'read' },
    });
  });

  it('names the user as subject and the agent as actor, with earlier actors nested', async () => {
    const { payload } = await minted(
      grantOf({}, { principal: principalNamed('agent', { onBehalfOf: [user, planner] }) }),
    );
    expect(payload).toMatchObject({ sub: user.id, act: { sub: principalNamed('agent').id, act: { sub: planner.id } } });
  });

  it('makes another one for each mint', async () => {
    const [one, two] = [await minted(), await minted()];
    expect(one.payload.jti).not.toBe(two.payload.jti);
  });

  it.each([
    { scope: ['admin'] },
    { audience: ['https://other.example.org'] },
    { resource: ['https://x.example.org'] },
    { permissions: 'all' },
  ])('refuses to widen to %j', async (scope) => {
    await expect(minted(grantOf(scope))).rejects.toMatchObject({ code: 'credential_unavailable' });
  });

  it('refuses to live for more than five minutes', async () => {
    await expect(minted(grantOf(), { lifetime: '6m' })).rejects.toThrow('Write a value from 1m to 5m.');
  });
});
