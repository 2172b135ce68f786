// OIDC access tokens through the whole Identity port, against a real issuer over HTTP.

import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { bearer, refusalOf, requestWith } from './calls.ts';
import {
  AUDIENCE,
  build,
  claims,
  clock,
  ed,
  es,
  header,
  identity,
  issuer,
  recorder,
  refused,
  rs,
  seconds,
  stranger,
  token,
} from './corp.ts';
import { signTexts } from './issuer.ts';

const strict = await build({ requireAccessTokenType: true, algorithms: ['ES256'] });
afterAll(() => strict.close());

describe('OIDC access tokens', () => {
  it('makes the principal from issuer and subject, with the verified claims and without the token', async () => {
    const raw = token({ email: 'payer@example.org', role: 'x' });
    const { principal, token: secret } = await identity.identify(bearer(raw));
    expect(principal).toEqual({
      id: `${issuer.url}#payer`,
      issuer: issuer.url,
      subject: 'payer',
      kind: 'oidc',
      agentKey: `${issuer.url}#payer`,
      issuerName: 'corp',
      proof: 'jwt',
      claims: claims({ email: 'payer@example.org', role: 'x' }),
      onBehalfOf: [],
      expiresAt: (seconds() + 300) * 1000,
    });
    expect(secret?.reveal()).toBe(raw);
    expect(JSON.stringify(principal)).not.toContain(raw.split('.')[2]);
  });

  it('accepts each default kind of key, an audience in a list, and the accepted types', async () => {
    for (const key of [es, rs, ed])
      expect(await identity.identify(bearer(token({}, { alg: key.alg, kid: key.kid }, key)))).toBeDefined();
    expect(await identity.identify(bearer(token({ aud: ['x', AUDIENCE] })))).toBeDefined();
    for (const typ of ['JWT', 'at+jwt', 'AT+JWT', 'application/at+jwt'])
      expect(await identity.identify(bearer(token({}, { ...header, typ })))).toBeDefined();
  });

  it('finds the key of a token without kid among the compatible ones', async () => {
    expect(await identity.identify(bearer(token({}, { alg: 'ES256' })))).toBeDefined();
    expect(await refused(token({}, { alg: 'ES256' }, stranger))).toBe('token_signature/signature');
  });

  it.each<[string, object, string]>([
    ['another issuer', { iss: 'https://idp.example.org' }, 'token_untrusted/issuer'],
    ['the issuer with a slash more', { iss: 'SLASH' }, 'token_untrusted/issuer'],
    ['no issuer', { iss: undefined }, 'token_untrusted/issuer'],
    ['an issuer that is a list', { iss: ['a'] }, 'token_untrusted/issuer'],
    [
      'a SPIFFE ID as subject, for which no bundle speaks',
      { sub: 'spiffe://prod.example.org/a' },
      'token_untrusted/issuer',
    ],
    ['a malformed SPIFFE ID as subject', { sub: 'SPIFFE://prod.example.org/a' }, 'token_claims/spiffe_id'],
    ['another audience', { aud: 'https://upstream.example.org' }, 'token_audience/aud'],
    ['an audience that only begins like ours', { aud: `${AUDIENCE}/` }, 'token_audience/aud'],
    ['no audience', { aud: undefined }, 'token_claims/aud'],
    ['an audience list with something else in it', { aud: [AUDIENCE, 1] }, 'token_claims/aud'],
    ['an empty audience list', { aud: [] }, 'token_audience/aud'],
    ['no expiry', { exp: undefined }, 'token_claims/exp'],
    ['an expiry in text', { exp: '9999999999' }, 'token_claims/exp'],
    ['an expiry below zero by a fraction', { exp: -0.001 }, 'token_claims/exp'],
    ['a beginning beyond safe integers', { nbf: 1e14 }, 'token_claims/nbf'],
    ['an expiry beyond safe integers', { exp: 1e300 }, 'token_claims/exp'],
    ['a negative time', { nbf: -1 }, 'token_claims/nbf'],
    ['no subject', { sub: undefined }, 'token_claims/sub'],
    ['an empty subject', { sub: '' }, 'token_claims/sub'],
    ['a subject with a line feed', { sub: 'a\nb' }, 'token_claims/sub'],
    // Kind: a second agent beside another one, told apart by what nobody sees.
    ['a subject with a zero-width joiner', { sub: 'pay\u200der' }, 'token_claims/sub'],
    ['a subject with a soft hyphen', { sub: 'pay\u00ader' }, 'token_claims/sub'],
    ['a subject with a bidi isolate', { sub: 'payer\u2069' }, 'token_claims/sub'],
    ['a subject with a C1 control', { sub: 'payer\u009b' }, 'token_claims/sub'],
    ['a subject with a byte order mark', { sub: '\ufeffpayer' }, 'token_claims/sub'],
    ['a subject with a braille blank', { sub: 'payer\u2800' }, 'token_claims/sub'],
    ['a subject with an ideographic space', { sub: 'payer\u3000a' }, 'token_claims/sub'],
    ['a subject with a blank before it', { sub: ' payer' }, 'token_claims/sub'],
    ['a subject in decomposed letters', { sub: 'pay\u0065\u0301' }, 'token_claims/sub'],
    ['an actor with a zero-width space', { act: { sub: 'agent\u200b' } }, 'token_claims/sub'],
    [
      'an actor of an issuer with a zero-width space',
      { act: { sub: 'agent', iss: 'https://idp.example.org\u200b' } },
      'token_claims/act',
    ],
    ['an overlong subject', { sub: 'a'.repeat(1025) }, 'token_claims/sub'],
    ['a key binding whose proof nobody checks', { cnf: { jkt: 'x' } }, 'token_claims/cnf'],
  ])('refuses %s', async (_what, changes, expected) => {
    const adjusted = 'iss' in changes && changes.iss === 'SLASH' ? { iss: `${issuer.url}/` } : changes;
    expect(await refused(token(adjusted))).toBe(expected);
  });

  // Kind: times as RFC 7519 section 2 allows them.
  it('takes fractions of a second: an end comes no later for them, a beginning no earlier', async () => {
    const at = seconds();
    const { principal } = await identity.identify(
      bearer(token({ iat: at - 0.5, nbf: at - 0.123456, exp: at + 9.9999 })),
    );
    expect(principal.expiresAt).toBe(at * 1000 + 9_999);
    expect(await refused(token({ nbf: at + 30 + (clock.time % 1000) / 1000 + 0.0001 }))).toBe(
      'token_not_yet_valid/nbf',
    );
    expect(await refused(token({ exp: clock.time / 1000 }))).toBe('token_expired/exp');
    expect(await refused(token({ iat: at, exp: at + 3600.001 }))).toBe('token_lifetime/lifetime');
  });

  it('reads who to show beside the id: the client, and a claim by path, of the actor where there is one', async () => {
    const named = await build({ displayClaim: 'profile.label' });
    const of = async (changes: object) => {
      const { client, name } = (await named.identify(bearer(token(changes)))).principal;
      return { client, name };
    };
    expect(await of({ azp: 'agent-ledger', profile: { label: 'Ledger agent' } })).toEqual({
      client: 'agent-ledger',
      name: 'Ledger agent',
    });
    expect(await of({ client_id: 'payer', 'profile.label': 'Exact' })).toEqual({ client: undefined, name: 'Exact' });
    expect(await of({ azp: 'a\u200b', profile: { label: 'Bob\u202e' } })).toEqual({
      client: undefined,
      name: undefined,
    });
    expect(
      await of({ profile: { label: 'Alice' }, act: { sub: 'agent', profile: { label: 'The agent' } } }),
    ).toMatchObject({ name: 'The agent' });
    expect(await of({ profile: { label: 'Alice' }, act: { sub: 'agent' } })).toMatchObject({ name: undefined });
    named.close();
  });

  it('refuses a token at the very second of its expiry, without grace', async () => {
    expect(await refused(token({ exp: seconds() - 1 }))).toBe('token_expired/exp');
    const raw = token({ exp: seconds() + 10 });
    clock.time = (seconds() + 10) * 1000;
    expect(await refused(raw)).toBe('token_expired/exp');
  });

  it('gives nbf and iat the skew and no more', async () => {
    expect(await identity.identify(bearer(token({ nbf: seconds() + 29, iat: seconds() + 29 })))).toBeDefined();
    expect(await refused(token({ nbf: seconds() + 32 }))).toBe('token_not_yet_valid/nbf');
    expect(await refused(token({ iat: seconds() + 32 }))).toBe('token_not_yet_valid/iat');
  });

  it('caps the lifetime, from iat or from now', async () => {
    expect(await identity.identify(bearer(token({ exp: seconds() + 3600 })))).toBeDefined();
    expect(await refused(token({ exp: seconds() + 3601 }))).toBe('token_lifetime/lifetime');
    expect(await refused(token({ iat: undefined, exp: seconds() + 3700 }))).toBe('token_lifetime/lifetime');
  });

  it.each(['none', 'HS256', 'ES512', 'RS1', 'es256', '', 'constructor'])('refuses the algorithm %j', async (alg) => {
    expect(await refused(token({}, { alg, kid: 'es' }))).toBe('token_algorithm/alg');
  });

  it('refuses an HMAC made with the public key as its secret', async () => {
    const { createHmac } = await import('node:crypto');
    const [head, body] = token({}, { alg: 'HS256', kid: 'es' }).split('.');
    const mac = createHmac('sha256', JSON.stringify(es.jwk)).update(`${head}.${body}`).digest('base64url');
    expect(await refused(`${head}.${body}.${mac}`)).toBe('token_algorithm/alg');
  });

  it('refuses an algorithm that the issuer entry does not list', async () => {
    expect(await refused(token({}, { alg: 'RS256', kid: 'rs' }, rs), strict)).toBe('token_algorithm/alg');
  });

  it('refuses a key of the wrong kind for the algorithm, a foreign key under a known id, and another signature', async () => {
    expect(await refused(token({}, { alg: 'ES256', kid: 'rs' }))).toBe('token_key_unknown/kid');
    expect(await refused(token({}, header, stranger))).toBe('token_signature/signature');
    const [head, , signature] = token().split('.');
    expect(await refused(`${head}.${token({ sub: 'root' }).split('.')[1]}.${signature}`)).toBe(
      'token_signature/signature',
    );
  });

  it('refuses every token that differs from a good one in one character', async () => {
    const good = token();
    await identity.identify(bearer(good));
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ ';
    await fc.assert(
      fc.asyncProperty(fc.nat(good.length - 1), fc.constantFrom(...alphabet), async (at, char) => {
        fc.pre(good[at] !== char);
        expect(await refused(good.slice(0, at) + char + good.slice(at + 1))).toMatch(/^token_/);
      }),
      { numRuns: 300 },
    );
  });

  it('refuses other kinds of JWT by their type', async () => {
    for (const typ of ['wit+jwt', 'logout+jwt', 'dpop+jwt', 'secevent+jwt', 'JOSE', 'id+jwt']) {
      expect(await refused(token({}, { ...header, typ }))).toBe('token_claims/typ');
    }
  });

  it('refuses an ID token where an access token is demanded', async () => {
    const profile = { client_id: 'agent', jti: '1' };
    expect(await strict.identify(bearer(token(profile, { ...header, typ: 'at+jwt' })))).toBeDefined();
    expect(await refused(token({ ...profile, nonce: 'n' }, { ...header, typ: 'JWT' }), strict)).toBe(
      'token_claims/typ',
    );
    expect(await refused(token(profile), strict)).toBe('token_claims/typ');
  });

  it.each(['client_id', 'jti', 'iat', 'sub'])('refuses a token of the RFC 9068 profile without %s', async (name) => {
    const raw = token({ client_id: 'agent', jti: '1', [name]: undefined }, { ...header, typ: 'at+jwt' });
    expect(await refused(raw, strict)).toBe(`token_claims/${name}`);
  });

  it('refuses a signed token with a duplicate claim', async () => {
    const body = JSON.stringify(claims()).replace('{', '{"sub":"root",');
    expect(await refused(signTexts(JSON.stringify(header), body, es))).toBe('token_malformed/payload');
  });

  it('holds a Kubernetes token to the service account that it names', async () => {
    const cluster = {
      namespace: 'agents',
      serviceaccount: { name: 'payer', uid: 'u1' },
      pod: { name: 'p', uid: 'u2' },
    };
    const sub = 'system:serviceaccount:agents:payer';
    const { principal } = await identity.identify(bearer(token({ sub, 'kubernetes.io': cluster })));
    expect(principal.claims['kubernetes.io']).toEqual(cluster);
    expect(await refused(token({ sub: `${sub}2`, 'kubernetes.io': cluster }))).toBe('token_claims/kubernetes.io');
    expect(await refused(token({ sub, 'kubernetes.io': {} }))).toBe('token_claims/kubernetes.io');
    expect(await refused(token({ sub, 'kubernetes.io': cluster, exp: undefined }))).toBe('token_claims/exp');
  });

  it('names the check in the log and counts the refusal, without a byte of the token', async () => {
    const raw = token({ aud: 'https://elsewhere.example.org', secret: 'do-not-log' });
    recorder.lines.length = 0;
    recorder.refusals.length = 0;
    await refused(raw);
    await refused('nonsense');
    expect(recorder.lines.map(({ event, fields }) => [event, fields.issuer, fields.check, fields.code])).toEqual([
      ['identity.refused', 'corp', 'aud', 'token_audience'],
      ['identity.refused', undefined, 'compact', 'token_malformed'],
    ]);
    expect(recorder.refusals).toEqual([
      { issuer: 'corp', code: 'token_audience' },
      { issuer: undefined, code: 'token_malformed' },
    ]);
    for (const part of [...raw.split('.'), 'elsewhere', 'do-not-log', 'nonsense'])
      expect(JSON.stringify(recorder.lines)).not.toContain(part);
  });

  it('refuses a call whose client certificate cannot be read, however good its token', async () => {
    const request = { ...bearer(token()), peer: { address: '127.0.0.1', certificates: [new Uint8Array(1)] } };
    expect(await refusalOf(() => identity.identify(request))).toBe('certificate_malformed/der');
    expect(await refusalOf(() => identity.identify(requestWith([])))).toBe('unauthenticated/credential');
  });
});

describe('delegation (RFC 8693)', () => {
  const principalOf = async (changes: object) => (await identity.identify(bearer(token(changes)))).principal;

  it('takes the outermost actor for the caller and the subject for whom it acts, then earlier actors', async () => {
    const { id, subject, onBehalfOf } = await principalOf({
      sub: 'alice',
      act: {
        sub: 'agent',
        iss: issuer.url,
        act: { sub: 'planner', act: { sub: 'root', iss: 'https://old.example.org' } },
      },
    });
    expect([id, subject]).toEqual([`${issuer.url}#agent`, 'agent']);
    expect(onBehalfOf).toEqual([
      { id: `${issuer.url}#alice`, issuer: issuer.url, subject: 'alice' },
      { id: `${issuer.url}#planner`, issuer: issuer.url, subject: 'planner' },
      { id: 'https://old.example.org#root', issuer: 'https://old.example.org', subject: 'root' },
    ]);
  });

  it.each<[string, unknown]>([
    ['an actor of another issuer', { sub: 'agent', iss: 'https://evil.example.org' }],
    ['an actor without subject', {}],
    ['an actor whose subject is no text', { sub: 1 }],
    ['an actor that is no object', 'agent'],
    ['a list for an actor', []],
    ['a nested actor without subject', { sub: 'agent', act: {} }],
    ['an issuer that would move the dividing line of an id', { sub: 'agent', act: { sub: 'b', iss: 'https://a#c' } }],
  ])('refuses %s', async (_what, act) => {
    expect(await refused(token({ sub: 'alice', act }))).toMatch(/^token_claims\/(act|sub)$/);
  });

  it('reads eight actors and refuses nine', async () => {
    const nest = (count: number): object => (count === 1 ? { sub: 'a1' } : { sub: `a${count}`, act: nest(count - 1) });
    expect((await principalOf({ act: nest(8) })).onBehalfOf).toHaveLength(8);
    expect(await refused(token({ act: nest(9) }))).toBe('token_claims/act');
  });
});
