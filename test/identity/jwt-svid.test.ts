// JWT-SVIDs through the whole Identity port, against trust bundles in real files.

import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Identity } from '../../src/domain/identity.ts';
import { identityOf } from '../support/identities.ts';
import { bearer, createClock, createRecorder, refusalOf } from './calls.ts';
import { createSigningKey, type SigningKey, signToken } from './issuer.ts';

const AUDIENCE = 'https://gateway.example.org';
const PAYER = 'spiffe://prod.example.org/ns/agents/sa/payer';
const prod = createSigningKey('prod', 'ES256', 'jwt-svid');
const prodRsa = createSigningKey('prod-rsa', 'RS256', 'jwt-svid');
const stage = createSigningKey('stage', 'ES256', 'jwt-svid');
const clock = createClock();
const recorder = createRecorder();
const open: Identity[] = [];
let folder: string;
let files = 0;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'countersign-svid-'));
});
afterEach(() => {
  for (const identity of open.splice(0)) identity.close();
});
afterAll(() => rm(folder, { recursive: true }));

const bundle = (keys: readonly (SigningKey | object)[], rest: object = {}) =>
  JSON.stringify({ ...rest, keys: keys.map((key) => ('jwk' in key ? key.jwk : key)) });

async function write(content: string, file = join(folder, `bundle-${++files}.json`)): Promise<string> {
  await writeFile(`${file}.new`, content);
  await rename(`${file}.new`, file);
  return file;
}

async function trust(domains: Readonly<Record<string, string>>, options: object = {}): Promise<Identity> {
  const identity = made(domains, options);
  await identity.start();
  return identity;
}

function made(domains: Readonly<Record<string, string>>, options: object): Identity {
  const issuers = Object.entries(domains).map(([trustDomain, file]) => ({
    name: trustDomain.replaceAll('.', '-'),
    type: 'spiffe' as const,
    trustDomain,
    bundle: { file },
    ...options,
  }));
  const identity = identityOf(
    { audience: [AUDIENCE], issuers },
    { clock, log: recorder.log, metrics: recorder.metrics },
  );
  open.push(identity);
  return identity;
}

/** File events come when the system sends them. */
const eventually = <T>(read: () => T) => expect.poll(read, { timeout: 20_000 });

const seconds = () => Math.floor(clock.time / 1000);
const svid = (changes: object = {}, header: object = {}, key = prod) =>
  signToken(
    { alg: key.alg, kid: key.kid, ...header },
    { sub: PAYER, aud: [AUDIENCE], exp: seconds() + 300, ...changes },
    key,
  );
const refused = (identity: Identity, raw: string) => refusalOf(() => identity.identify(bearer(raw)));

describe('JWT-SVIDs', () => {
  it('makes the principal from the SPIFFE ID', async () => {
    const identity = await trust({ 'prod.example.org': await write(bundle([prod, prodRsa])) });
    const { principal } = await identity.identify(bearer(svid()));
    expect(principal).toEqual({
      id: PAYER,
      issuer: 'spiffe://prod.example.org',
      subject: PAYER,
      kind: 'spiffe',
      agentKey: PAYER,
      issuerName: 'prod-example-org',
      trustDomain: 'prod.example.org',
      proof: 'jwt-svid',
      claims: { sub: PAYER, aud: [AUDIENCE], exp: seconds() + 300 },
      onBehalfOf: [],
      expiresAt: (seconds() + 300) * 1000,
    });
    expect(await identity.identify(bearer(svid({}, {}, prodRsa)))).toBeDefined();
    for (const typ of ['JWT', 'JOSE']) expect(await identity.identify(bearer(svid({}, { typ })))).toBeDefined();
    expect(identity.status()).toEqual([
      { name: 'prod-example-org', type: 'spiffe', ready: true, keys: 2, authorities: 0, fetchedAt: clock.time },
    ]);
  });

  it('believes a trust domain its own members only: another domain’s key is no key here', async () => {
    const identity = await trust({
      'prod.example.org': await write(bundle([prod])),
      'stage.example.org': await write(bundle([stage])),
    });
    expect(await identity.identify(bearer(svid({ sub: 'spiffe://stage.example.org/a' }, {}, stage)))).toBeDefined();
    expect(await refused(identity, svid({}, {}, stage))).toBe('token_key_unknown/kid');
    expect(await refused(identity, svid({}, { kid: 'prod' }, stage))).toBe('token_signature/signature');
    expect(await refused(identity, svid({}, { kid: undefined }, stage))).toBe('token_signature/signature');
  });

  it('refuses a trust domain without a bundle, also one whose name contains a trusted one', async () => {
    const identity = await trust({ 'prod.example.org': await write(bundle([prod])) });
    for (const domain of ['dev.example.org', 'prod.example.org.evil', 'xprod.example.org', 'example.org']) {
      expect(await refused(identity, svid({ sub: `spiffe://${domain}/a` }))).toBe('token_untrusted/issuer');
    }
  });

  it('refuses a JWT-SVID addressed to another audience', async () => {
    const identity = await trust({ 'prod.example.org': await write(bundle([prod])) });
    expect(await refused(identity, svid({ aud: ['https://elsewhere.example.org'] }))).toBe('token_audience/aud');
    expect(await refused(identity, svid({ aud: undefined }))).toBe('token_claims/aud');
  });

  it.each<[string, object, object, string]>([
    ['without expiry', { exp: undefined }, {}, 'token_claims/exp'],
    ['that has expired', { exp: 1 }, {}, 'token_expired/exp'],
    ['that is not valid yet', { nbf: 9_999_999_999 }, {}, 'token_not_yet_valid/nbf'],
    ['that lives for two hours', { iat: 0, exp: 9_999_999_999 }, {}, 'token_lifetime/lifetime'],
    ['of another type', {}, { typ: 'at+jwt' }, 'token_claims/typ'],
    [
      'that is a WIT-SVID, which is worth nothing without its proof',
      { cnf: { jwk: {} } },
      { typ: 'wit+jwt' },
      'token_claims/typ',
    ],
    ['of a type in lower case', {}, { typ: 'jwt' }, 'token_claims/typ'],
    ['with a further header', {}, { x5t: 'abc' }, 'token_malformed/header'],
    ['with a parent segment', { sub: 'spiffe://prod.example.org/a/../b' }, {}, 'token_claims/spiffe_id'],
    ['of a trust domain instead of a workload', { sub: 'spiffe://prod.example.org' }, {}, 'token_claims/spiffe_id'],
    ['with a key binding', { cnf: { jkt: 'x' } }, {}, 'token_claims/cnf'],
    ['with an actor', { act: { sub: 'x' } }, {}, 'token_claims/act'],
  ])('refuses a JWT-SVID %s', async (_what, changes, header, expected) => {
    const identity = await trust({ 'prod.example.org': await write(bundle([prod])) });
    expect(await refused(identity, svid(changes, header))).toBe(expected);
  });

  it('refuses EdDSA and HMAC, which the standard excludes', async () => {
    const ed = createSigningKey('ed', 'EdDSA', 'jwt-svid');
    const identity = await trust({ 'prod.example.org': await write(bundle([prod, ed])) });
    for (const alg of ['EdDSA', 'Ed25519', 'HS256', 'none'])
      expect(await refused(identity, svid({}, { alg }, ed))).toBe('token_algorithm/alg');
  });

  it('tries the domain’s compatible keys for a token without kid, four at most', async () => {
    const others = Array.from({ length: 4 }, (_, i) => createSigningKey(`other-${i}`, 'ES256', 'jwt-svid'));
    const four = await trust({ 'prod.example.org': await write(bundle([prodRsa, ...others.slice(1), prod])) });
    expect(await four.identify(bearer(svid({}, { kid: undefined })))).toBeDefined();
    const five = await trust({ 'prod.example.org': await write(bundle([...others, prod])) });
    expect(await refused(five, svid({}, { kid: undefined }))).toBe('token_signature/signature');
  });

  it('ignores unknown kinds of key, other uses and keys without id', async () => {
    const file = await write(
      bundle([
        { kty: 'XYZ', use: 'jwt-svid', kid: 'future' },
        { ...prod.jwk, use: 'x509-svid', x5c: ['AAAA'] },
        { ...prod.jwk, use: 'sig' },
        { ...prod.jwk, use: undefined },
        { ...prod.jwk, kid: undefined },
        { ...stage.jwk },
      ]),
    );
    const identity = await trust({ 'prod.example.org': file });
    expect(identity.status()[0]?.keys).toBe(1);
    expect(await refused(identity, svid())).toBe('token_key_unknown/kid');
  });
});

describe('a trust bundle in a file', () => {
  it('is taken up when it is replaced, and what was revoked ends at once, cached or not', async () => {
    const file = await write(bundle([prod]));
    const identity = await trust({ 'prod.example.org': file });
    const raw = svid();
    await identity.identify(bearer(raw));
    expect(identity.identify(bearer(raw))).not.toBeInstanceOf(Promise);
    await write(bundle([stage]), file);
    await eventually(() => refusalOf(() => identity.identify(bearer(raw))).catch(() => 'accepted')).toBe(
      'token_key_unknown/kid',
    );
    expect(await identity.identify(bearer(svid({}, {}, stage)))).toBeDefined();
  });

  it('is read again for an unknown key, before any change is noticed', async () => {
    const file = await write(bundle([prod]));
    const identity = await trust({ 'prod.example.org': file });
    await write(bundle([prod, stage]), file);
    clock.time += 1_000;
    expect(await identity.identify(bearer(svid({}, {}, stage)))).toBeDefined();
  });

  it('is noticed behind a symbolic link that is swapped, as Kubernetes does', async () => {
    const link = join(folder, 'linked.json');
    await symlink(await write(bundle([prod])), link);
    const identity = await trust({ 'prod.example.org': link });
    await symlink(await write(bundle([stage])), `${link}.new`);
    await rename(`${link}.new`, link);
    await eventually(() => refusalOf(() => identity.identify(bearer(svid()))).catch(() => 'accepted')).toBe(
      'token_key_unknown/kid',
    );
  });

  it('is noticed in a mounted ConfigMap, where a link beside it is swapped', async () => {
    const mount = await mkdtemp(join(folder, 'mount-'));
    for (const [version, key] of [
      ['..1', prod],
      ['..2', stage],
    ] as const) {
      await mkdir(join(mount, version));
      await writeFile(join(mount, version, 'bundle.json'), bundle([key]));
    }
    await symlink('..1', join(mount, '..data'));
    await symlink(join('..data', 'bundle.json'), join(mount, 'bundle.json'));
    const identity = await trust({ 'prod.example.org': join(mount, 'bundle.json') });
    expect(await identity.identify(bearer(svid()))).toBeDefined();
    await symlink('..2', join(mount, '..data.new'));
    await rename(join(mount, '..data.new'), join(mount, '..data'));
    await eventually(() => refusalOf(() => identity.identify(bearer(svid()))).catch(() => 'accepted')).toBe(
      'token_key_unknown/kid',
    );
  });

  it('trusts nothing when it lists no keys', async () => {
    const identity = await trust({ 'prod.example.org': await write(bundle([])) });
    expect(identity.status()[0]).toMatchObject({ ready: false, keys: 0 });
    expect(await refused(identity, svid())).toBe('token_key_unknown/kid');
  });

  it.each([
    ['no JSON', 'nonsense', 'bad_json'],
    ['no keys', '{}', 'not_a_jwks'],
    ['a bad sequence', '{"keys":[],"spiffe_sequence":-1}', 'bad_sequence'],
    ['more than a mebibyte', `{"keys":[],"x":"${'x'.repeat(1024 * 1024)}"}`, 'too_large'],
  ])('is refused with %s, and the last good one stays in force for an hour', async (_what, content, reason) => {
    const file = await write(bundle([prod]));
    const identity = await trust({ 'prod.example.org': file });
    await write(content, file);
    await eventually(() => identity.status()[0]?.lastError).toBe(reason);
    expect(await identity.identify(bearer(svid()))).toBeDefined();
    clock.time += 3_600_000;
    expect(await refused(identity, svid())).toBe('issuer_unavailable/keys');
    expect(identity.status()[0]).toMatchObject({ ready: false, keys: 0 });
  });

  it('is refused when its sequence goes back', async () => {
    const file = await write(bundle([prod], { spiffe_sequence: 7 }));
    const identity = await trust({ 'prod.example.org': file });
    await write(bundle([stage], { spiffe_sequence: 6 }), file);
    await eventually(() => identity.status()[0]?.lastError).toBe('sequence_rollback');
    expect(await refused(identity, svid({}, {}, stage))).toBe('token_key_unknown/kid');
    await write(bundle([stage], { spiffe_sequence: 8 }), file);
    await eventually(() => identity.status()[0]?.lastError).toBeUndefined();
    expect(await identity.identify(bearer(svid({}, {}, stage)))).toBeDefined();
  });

  it('makes the gateway say 503 while it is missing, and works once it is there', async () => {
    const file = await write(bundle([prod]), join(folder, 'later.json'));
    const identity = made({ 'prod.example.org': file }, {});
    await rm(file);
    await identity.start();
    expect(identity.status()[0]).toMatchObject({ ready: false, lastError: 'ENOENT' });
    expect(await refused(identity, svid())).toBe('issuer_unavailable/keys');
    await write(bundle([prod]), file);
    await eventually(() => identity.status()[0]?.ready).toBe(true);
    expect(await identity.identify(bearer(svid()))).toBeDefined();
  });
});
