// The entry of an OIDC issuer: which options are refused, and which of its published keys are used.

import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { identityOf } from '../support/identities.ts';
import { bearer } from './calls.ts';
import { AUDIENCE, build, clock, es, recorder, refused, stranger, token } from './corp.ts';
import { createSigningKey, startIssuer } from './issuer.ts';

describe('options', () => {
  const make = (issuers: readonly object[], audience: readonly string[] = [AUDIENCE]) =>
    identityOf({ audience, issuers: issuers as never }, { clock, log: recorder.log, metrics: recorder.metrics });
  const corp = { name: 'corp', type: 'oidc', issuer: 'https://idp.example.org' };
  const prod = { name: 'prod', type: 'spiffe', trustDomain: 'prod.example.org', bundle: { file: 'package.json' } };

  it.each<[string, readonly object[], string]>([
    [
      'plain http off this host',
      [{ ...corp, issuer: 'http://idp.example.org' }],
      'Plain http is accepted on loopback only',
    ],
    [
      'plain http to a name that only begins like loopback',
      [{ ...corp, issuer: 'http://127.0.0.1.example.org' }],
      'Plain http is accepted on loopback only',
    ],
    [
      'an issuer with a fragment',
      [{ ...corp, issuer: 'https://idp.example.org#x' }],
      'without user name, query or fragment',
    ],
    [
      'an issuer with a query',
      [{ ...corp, issuer: 'https://idp.example.org?x' }],
      'without user name, query or fragment',
    ],
    [
      'keys over plain http',
      [{ ...corp, jwksUri: 'http://idp.example.org/jwks' }],
      'Plain http is accepted on loopback only',
    ],
    [
      'two sources of keys',
      [{ ...corp, jwksUri: 'https://idp.example.org/jwks', jwks: { file: 'x' } }],
      'Unrecognized key',
    ],
    ['HMAC', [{ ...corp, algorithms: ['HS256'] }], 'Invalid option'],
    ['the algorithm none', [{ ...corp, algorithms: ['none'] }], 'Invalid option'],
    ['no algorithm', [{ ...corp, algorithms: [] }], 'Too small'],
    ['more than a minute of skew', [{ ...corp, clockSkewMs: 60_001 }], 'Unrecognized key'],
    [
      'two entries of one name',
      [corp, { ...corp, issuer: 'https://b.example.org' }],
      'an issuer above has this one already.',
    ],
    ['two entries of one issuer', [corp, { ...corp, name: 'b' }], 'an issuer above has this one already.'],
    ['two bundles of one trust domain', [prod, { ...prod, name: 'b' }], 'an issuer above has this one already.'],
    [
      'a trust domain with a scheme',
      [{ ...prod, trustDomain: 'spiffe://prod.example.org' }],
      'Write the trust domain alone',
    ],
  ])('refuses %s', (_what, issuers, why) => {
    expect(() => make(issuers)).toThrow(why);
  });

  it('refuses to run without an audience', () => {
    expect(() => make([corp], [])).toThrow(TypeError);
    expect(() => make([corp], [''])).toThrow(TypeError);
  });

  it('lets an issuer have an audience of its own, instead of the audience of all', async () => {
    const own = await build({ audience: ['https://own.example.org'] });
    expect(await own.identify(bearer(token({ aud: 'https://own.example.org' })))).toBeDefined();
    expect(await refused(token(), own)).toBe('token_audience/aud');
    own.close();
    expect(() => make([{ ...corp, audience: [] }])).toThrow('Too small');
  });

  it('finds the JWKS at a given address without discovery', async () => {
    const own = await startIssuer([es]);
    const made = identityOf(
      {
        audience: [AUDIENCE],
        issuers: [{ name: 'k', type: 'oidc', issuer: 'https://idp.example.org', jwksUri: `${own.url}/jwks` }],
      },
      { clock, log: recorder.log, metrics: recorder.metrics },
    );
    await made.start();
    expect(await made.identify(bearer(token({ iss: 'https://idp.example.org' })))).toBeDefined();
    expect(own.requests).toEqual(['/jwks']);
    made.close();
    await own.close();
  });
});

describe('keys of an issuer', () => {
  it('leaves out symmetric, private, weak and misplaced keys and keeps the good one', async () => {
    const weak = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'jwk' });
    const secret = createSigningKey('private');
    const own = await startIssuer([]);
    own.keys = [
      ...[
        { kty: 'oct', k: 'c2VjcmV0', kid: 'oct', alg: 'HS256' },
        secret.privateKey.export({ format: 'jwk' }),
        { ...weak, kid: 'weak' },
        { ...es.jwk, kid: 'enc', use: 'enc' },
        { ...es.jwk, kid: 'ops', key_ops: ['encrypt'] },
        { ...es.jwk, kid: 'x', x: 'AAAA' },
        { kty: 'XYZ', kid: 'unknown' },
        { ...es.jwk, kid: 5 },
        'no object' as never,
      ].map((jwk) => ({ ...es, jwk: jwk as never })),
      es,
    ];
    const made = identityOf(
      { audience: [AUDIENCE], issuers: [{ name: 'own', type: 'oidc', issuer: own.url }] },
      { clock, log: recorder.log, metrics: recorder.metrics },
    );
    await made.start();
    expect(made.status()).toEqual([expect.objectContaining({ name: 'own', type: 'oidc', ready: true, keys: 1 })]);
    expect(await made.identify(bearer(token({ iss: own.url })))).toBeDefined();
    for (const kid of ['enc', 'ops', 'oct'])
      expect(await refused(token({ iss: own.url }, { alg: 'ES256', kid }), made)).toBe('token_key_unknown/kid');
    made.close();
    await own.close();
  });

  it('tries both keys that an issuer publishes under one id', async () => {
    const own = await startIssuer([stranger, es]);
    const made = identityOf(
      { audience: [AUDIENCE], issuers: [{ name: 'own', type: 'oidc', issuer: own.url }] },
      { clock, log: recorder.log, metrics: recorder.metrics },
    );
    await made.start();
    expect(await made.identify(bearer(token({ iss: own.url })))).toBeDefined();
    made.close();
    await own.close();
  });
});
