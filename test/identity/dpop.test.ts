// Tokens bound to DPoP keys (RFC 9449): what section 4.3 tells a resource server to check, one by one.

import { createHash, randomUUID } from 'node:crypto';
import { calculateJwkThumbprint } from 'jose';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Identity } from '../../src/domain/identity.ts';
import type { InboundRequest } from '../../src/domain/request.ts';
import { GatewayError } from '../../src/errors.ts';
import { challenge } from '../../src/identity/challenge.ts';
import { createProofMemory } from '../../src/identity/possession/dpop.ts';
import { createReplayMemory } from '../../src/identity/possession/replay-memory.ts';
import { problem } from '../../src/problem.ts';
import { identityOf } from '../support/identities.ts';
import { createClock, createRecorder, refusalOf, requestWith, type TestClock } from './calls.ts';
import { createSigningKey, type SigningKey, signToken, startIssuer, type TestIssuer } from './issuer.ts';

const AUDIENCE = 'https://gateway.test';
const issuerKey = createSigningKey('k1');
const agentKey = createSigningKey('ignored');
const thiefKey = createSigningKey('ignored');

let issuer: TestIssuer;
let clock: TestClock;
let identity: Identity;
let jkt: string;

beforeAll(async () => {
  issuer = await startIssuer([issuerKey]);
  jkt = await calculateJwkThumbprint(publicJwk(agentKey) as never);
});
afterAll(() => issuer.close());
beforeEach(() => start());

interface Options {
  readonly nonce?: boolean;
  readonly requireProof?: boolean;
  readonly gatewayUrl?: string | undefined;
  /** How many proofs are remembered. */
  readonly room?: number;
}

async function start(options: Options = {}): Promise<void> {
  const { nonce = false, requireProof = false } = options;
  const gatewayUrl = 'gatewayUrl' in options ? options.gatewayUrl : AUDIENCE;
  clock = createClock();
  identity = identityOf(
    {
      audience: [AUDIENCE],
      issuers: [{ name: 'corp', type: 'oidc', issuer: issuer.url, requireProof }],
      ...(gatewayUrl !== undefined && { gatewayUrl }),
      dpop: { nonce },
    },
    { clock, ...createRecorder(), proofs: { seen: createReplayMemory(clock, options.room), accepted: new WeakMap() } },
  );
  await identity.start();
}

function publicJwk({ jwk }: SigningKey): Readonly<Record<string, unknown>> {
  const { kid: _kid, use: _use, ...members } = jwk;
  return members;
}

const seconds = () => Math.floor(clock.now() / 1000);

function accessToken(claims: object = { cnf: { jkt } }): string {
  return signToken(
    { alg: 'ES256', kid: 'k1' },
    { iss: issuer.url, sub: 'agent', aud: AUDIENCE, iat: seconds(), exp: seconds() + 300, ...claims },
    issuerKey,
  );
}

interface ProofChanges {
  readonly header?: object;
  readonly claims?: object;
  readonly key?: SigningKey;
}

function proof(token: string, { header = {}, claims = {}, key = agentKey }: ProofChanges = {}): string {
  const ath = createHash('sha256').update(token).digest('base64url');
  return signToken(
    { typ: 'dpop+jwt', alg: 'ES256', jwk: publicJwk(key), ...header },
    { jti: randomUUID(), htm: 'GET', htu: `${AUDIENCE}/tools/`, iat: seconds(), ath, ...claims },
    key,
  );
}

const call = (token: string, ...proofs: string[]): InboundRequest =>
  requestWith(['authorization', `DPoP ${token}`, ...proofs.flatMap((value) => ['dpop', value])]);
const refused = (request: InboundRequest) => refusalOf(() => identity.identify(request));

describe('a token bound to a DPoP key', () => {
  it('is taken with a proof for this very request, and its key becomes part of the principal', async () => {
    const token = accessToken();
    for (let i = 0; i < 2; i++)
      expect((await identity.identify(call(token, proof(token)))).principal.keyThumbprint).toBe(jkt);
  });

  it('is refused without a proof, also when it was verified a moment ago', async () => {
    const token = accessToken();
    await identity.identify(call(token, proof(token)));
    expect(await refused(call(token))).toBe('proof_required/dpop');
    expect(await refused(requestWith(['authorization', `Bearer ${token}`]))).toBe('proof_required/scheme');
    expect(await refused(requestWith(['authorization', `Bearer ${token}`, 'dpop', proof(token)]))).toBe(
      'proof_required/scheme',
    );
  });

  it('is refused with the proof of a thief’s key', async () => {
    const token = accessToken();
    expect(await refused(call(token, proof(token, { key: thiefKey })))).toBe('proof_invalid/jkt');
    expect(await refused(call(token, proof(token, { key: thiefKey, header: { jwk: publicJwk(agentKey) } })))).toBe(
      'proof_invalid/signature',
    );
  });

  it('is refused with a proof that was used before', async () => {
    const token = accessToken();
    const once = proof(token);
    await identity.identify(call(token, once));
    expect(await refused(call(token, once))).toBe('proof_invalid/replay');
    clock.time += 59_000;
    expect(await refused(call(token, once))).toBe('proof_invalid/replay');
  });

  it('cannot be used again in the moment in which its proof is forgotten', async () => {
    clock.time = Math.ceil(clock.time / 1000) * 1000;
    const token = accessToken();
    const ahead = proof(token, { claims: { iat: seconds() + 10 } });
    expect((await identity.identify(call(token, ahead))).principal.keyThumbprint).toBe(jkt);
    clock.time += 69_999;
    expect(await refused(call(token, ahead))).toBe('proof_invalid/replay');
    clock.time += 1;
    expect(await refused(call(token, ahead))).toBe('proof_invalid/iat');
  });

  it('is refused while no more proofs can be remembered', async () => {
    await start({ room: 1 });
    const token = accessToken();
    await identity.identify(call(token, proof(token)));
    expect(await refused(call(token, proof(token)))).toBe('proof_invalid/replay_memory');
    clock.time += 70_000;
    expect((await identity.identify(call(token, proof(token)))).principal.keyThumbprint).toBe(jkt);
  });

  it('stays proven for the request that it came with, which is judged again when its hold is released', async () => {
    const token = accessToken();
    const request = call(token, proof(token));
    await identity.identify(request);
    clock.time += 120_000;
    expect((await identity.identify(request)).principal.keyThumbprint).toBe(jkt);
    clock.time += 300_000;
    expect(await refused(request)).toBe('token_expired/exp');
  });

  it('is remembered over a change of configuration: used proofs, and those of calls that wait', async () => {
    const proofs = createProofMemory(clock);
    const make = () =>
      identityOf(
        { audience: [AUDIENCE], issuers: [{ name: 'corp', type: 'oidc', issuer: issuer.url }], gatewayUrl: AUDIENCE },
        { clock, ...createRecorder(), proofs },
      );
    const [before, after] = [make(), make()];
    await Promise.all([before.start(), after.start()]);
    const token = accessToken();
    const once = proof(token);
    const waiting = call(token, once);
    await before.identify(waiting);
    expect(await refusalOf(() => after.identify(call(token, once)))).toBe('proof_invalid/replay');
    clock.time += 120_000;
    expect((await after.identify(waiting)).principal.keyThumbprint).toBe(jkt);
  });

  it.each<[string, ProofChanges, string]>([
    ['of another type', { header: { typ: 'JWT' } }, 'typ'],
    ['for another method', { claims: { htm: 'POST' } }, 'htm'],
    ['for another host', { claims: { htu: 'https://elsewhere.test/tools/' } }, 'htu'],
    ['for another path', { claims: { htu: `${AUDIENCE}/tools/x` } }, 'htu'],
    ['for another scheme', { claims: { htu: 'http://gateway.test/tools/' } }, 'htu'],
    ['for no address', { claims: { htu: undefined } }, 'htu'],
    ['for another token', { claims: { ath: 'x' } }, 'ath'],
    ['without the token’s hash', { claims: { ath: undefined } }, 'ath'],
    ['without identifier', { claims: { jti: undefined } }, 'jti'],
    ['with an endless identifier', { claims: { jti: 'x'.repeat(257) } }, 'jti'],
    ['without time', { claims: { iat: undefined } }, 'iat'],
    ['made two minutes ago', { claims: { iat: Math.floor(Date.now() / 1000) - 120 } }, 'iat'],
    ['made in the future', { claims: { iat: Math.floor(Date.now() / 1000) + 120 } }, 'iat'],
    ['without key', { header: { jwk: undefined } }, 'jwk'],
    ['with a private key in it', { header: { jwk: agentKey.privateKey.export({ format: 'jwk' }) } }, 'jwk'],
    ['with a symmetric key in it', { header: { alg: 'HS256', jwk: { kty: 'oct', k: 'AAAA' } } }, 'jwk'],
    ['of another algorithm than its key', { header: { alg: 'RS256' } }, 'alg'],
    ['without algorithm', { header: { alg: 'none' } }, 'alg'],
    ['that points to a key elsewhere', { header: { jku: 'https://evil.test' } }, 'header_jku'],
  ])('is refused with a proof %s', async (_what, changes, check) => {
    const token = accessToken();
    expect(await refused(call(token, proof(token, changes)))).toBe(`proof_invalid/${check}`);
  });

  it('is refused with two proofs, and with something else in their place', async () => {
    const token = accessToken();
    expect(await refused(call(token, proof(token), proof(token)))).toBe('proof_invalid/repeated');
    expect(await refused(call(token, 'nonsense'))).toBe('proof_invalid/compact');
    expect(await refused(call(token, `${proof(token)} `))).toBe('proof_invalid/compact');
  });

  it('takes the address in the proof as any client writes it: case of the host, default port, query', async () => {
    for (const htu of [
      'https://GATEWAY.test/tools/',
      'https://gateway.test:443/tools/',
      `${AUDIENCE}/tools/?q=1`,
      `${AUDIENCE}/tools/#x`,
    ]) {
      const token = accessToken();
      expect(await identity.identify(call(token, proof(token, { claims: { htu } })))).toBeDefined();
    }
  });

  // Kind: what an issuer says about the key besides the binding is not a second binding (RFC 7800 section 3.1).
  it.each<[string, object]>([
    ['Keycloak’s word for how the key was shown', { 'kc-jkt-type': 'DPoP' }],
    ['a method that only others know', { jwk: { kty: 'OKP' } }],
    ['an identifier of the key', { kid: 'k1' }],
    ['a thumbprint of another hash', { 'x5t#S512': 'A'.repeat(86) }],
    ['a member of no type at all', { 'example.org/attested': null, osc: [] }],
  ])('is taken although its binding comes with %s, and is still worth nothing without its key', async (_what, more) => {
    const token = accessToken({ cnf: { ...more, jkt } });
    expect((await identity.identify(call(token, proof(token)))).principal.keyThumbprint).toBe(jkt);
    expect(await refused(call(token, proof(token, { key: thiefKey })))).toBe('proof_invalid/jkt');
    expect(await refused(call(token))).toBe('proof_required/dpop');
    expect(await refused(requestWith(['authorization', `Bearer ${token}`]))).toBe('proof_required/scheme');
  });

  it.each<[string, object]>([
    ['two bindings', { cnf: { jkt: 'A'.repeat(43), 'x5t#S256': 'A'.repeat(43) } }],
    ['a binding of an unknown kind', { cnf: { jwk: {} } }],
    ['a binding whose members are all unknown', { cnf: { 'kc-jkt-type': 'DPoP', kid: 'k1' } }],
    ['a thumbprint under the name in other letter case', { cnf: { JKT: 'A'.repeat(43) } }],
    ['a known binding that is no text, beside an unknown one', { cnf: { jkt: null, kid: 'k1' } }],
    ['two bindings, one of them no text', { cnf: { jkt: 'A'.repeat(43), 'x5t#S256': 7 } }],
    ['an empty binding', { cnf: {} }],
    ['a binding that is no object', { cnf: 'x' }],
    ['a thumbprint of another length', { cnf: { jkt: 'abc' } }],
  ])('is refused with %s', async (_what, claims) => {
    expect(await refused(call(accessToken(claims)))).toBe('token_claims/cnf');
  });
});

describe('a token that is not bound', () => {
  it('is a bearer token, unless its issuer entry demands a binding', async () => {
    const token = accessToken({});
    expect(await identity.identify(requestWith(['authorization', `Bearer ${token}`]))).toBeDefined();
    await start({ requireProof: true });
    expect(await refused(requestWith(['authorization', `Bearer ${token}`]))).toBe('proof_required/binding');
    expect(await refused(requestWith(['authorization', `Bearer ${token}`]))).toBe('proof_required/binding');
  });

  it('gains nothing by a proof', async () => {
    const token = accessToken({});
    expect(await refused(call(token, proof(token)))).toBe('proof_invalid/unbound');
  });
});

describe('the gateway', () => {
  it('takes no proof as long as it has not been told its own address', async () => {
    await start({ gatewayUrl: undefined });
    const token = accessToken();
    expect(await refused(call(token, proof(token)))).toBe('proof_required/dpop_unavailable');
  });

  it('may demand a nonce of its own, which it gives with the refusal and takes for two minutes', async () => {
    await start({ nonce: true });
    const token = accessToken();
    let error: unknown;
    try {
      await identity.identify(call(token, proof(token)));
    } catch (thrown) {
      error = thrown;
    }
    if (!(error instanceof GatewayError)) throw error;
    const { status, headers } = problem(error, {
      requestId: 'x',
      challenge: challenge(error, { realm: 'countersign' }),
    });
    const nonce = headers[headers.indexOf('dpop-nonce') + 1];
    expect(status).toBe(401);
    expect(headers[headers.indexOf('www-authenticate') + 1]).toMatch(
      /^DPoP realm="countersign", error="use_dpop_nonce", .*algs="ES256 /,
    );
    expect(await identity.identify(call(token, proof(token, { claims: { nonce } })))).toBeDefined();
    clock.time += 120_000;
    expect(await refused(call(token, proof(token, { claims: { nonce } })))).toBe('proof_nonce_required/nonce');
  });

  it('takes nothing more when it cannot remember more, and forgets in time', async () => {
    const memory = createReplayMemory(clock, 2);
    const use = (text: string) => memory.use('dpop-proof', text, clock.now() + 1000);
    expect([await use('a'), await use('b'), await use('a'), await use('c')]).toEqual(['new', 'new', 'seen', 'full']);
    clock.time += 1000;
    expect(await use('c')).toBe('new');
  });
});
