import { describe, expect, it } from 'vitest';
import { parseJwsUnverified, readClaimsUnverified } from '../../src/identity/tokens/unverified-jws.ts';
import { refusalOf } from './calls.ts';
import { createSigningKey, signTexts, signToken } from './issuer.ts';

const key = createSigningKey('k1');
const header = { alg: 'ES256', kid: 'k1' };
const token = signToken(header, { sub: 'a' }, key);
const [head = '', body = '', signature = ''] = token.split('.');

const refused = (raw: string) => refusalOf(() => readClaimsUnverified(parseJwsUnverified(raw)));

describe('taking a token apart before it is verified', () => {
  it('reads header and claims of a well-formed token', () => {
    const jws = parseJwsUnverified(token);
    expect(jws.header).toEqual({ alg: 'ES256', kid: 'k1', members: ['alg', 'kid'] });
    expect(readClaimsUnverified(jws)).toEqual({ sub: 'a' });
  });

  it('knows one spelling of each token: a signature changed within its spare bits is refused', async () => {
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const twins = [...alphabet].map((last) => signature.slice(0, -1) + last).filter((twin) => twin !== signature);
    const same = twins.filter((twin) => Buffer.from(twin, 'base64url').equals(Buffer.from(signature, 'base64url')));
    expect(same.length).toBeGreaterThan(0);
    for (const twin of same) expect(await refused(`${head}.${body}.${twin}`)).toBe('token_malformed/base64url');
  });

  it.each([
    ['a trailing line feed', `${token}\n`],
    ['a leading space', ` ${token}`],
    ['padding', `${token}=`],
    ['the standard base64 alphabet', `${head}.${body}.ab+/`],
    ['two parts', `${head}.${body}`],
    ['four parts', `${token}.${signature}`],
    ['five parts, as JWE has', `${token}.${signature}.${signature}`],
    ['an empty payload', `${head}..${signature}`],
    ['an empty signature', `${head}.${body}.`],
    ['JSON serialization', JSON.stringify({ protected: head, payload: body, signature })],
    ['nothing', ''],
  ])('refuses %s', async (_what, raw) => {
    expect(await refused(raw)).toBe('token_malformed/compact');
  });

  it('refuses more bytes than a header section has', async () => {
    expect(await refused('a'.repeat(262_145))).toBe('token_malformed/size');
  });

  it.each([
    ['a byte order mark', '\ufeff{"sub":"a"}'],
    ['a duplicate claim', '{"sub":"a","sub":"b"}'],
    ['a duplicate claim deep inside', '{"sub":"a","act":{"sub":"x","sub":"y"}}'],
    ['exp 1e400', '{"exp":1e400}'],
    ['an array', '["sub"]'],
    ['a text', '"sub"'],
    ['null', 'null'],
    ['no JSON', 'foo'],
  ])('refuses %s as payload, although it is signed', async (_what, payload) => {
    expect(await refused(signTexts(JSON.stringify(header), payload, key))).toBe('token_malformed/payload');
  });

  it('refuses a payload that is not UTF-8', async () => {
    expect(await refused(signTexts(JSON.stringify(header), Buffer.from([0x7b, 0xff, 0x7d]), key))).toBe(
      'token_malformed/payload',
    );
  });

  it.each([
    ['a duplicate algorithm', '{"alg":"none","alg":"ES256"}', 'header'],
    ['a byte order mark', '\ufeff{"alg":"ES256"}', 'header'],
    ['no algorithm', '{}', 'header_alg'],
    ['an algorithm that is no text', '{"alg":["ES256"]}', 'header_alg'],
    ['a key id that is no text', '{"alg":"ES256","kid":1}', 'header_kid'],
    ['a type that is no text', '{"alg":"ES256","typ":1}', 'header_typ'],
    ['a key address (jku)', '{"alg":"ES256","jku":"https://evil.example"}', 'header_jku'],
    ['a certificate address (x5u)', '{"alg":"ES256","x5u":"https://evil.example"}', 'header_x5u'],
    ['a key of its own (jwk)', `{"alg":"ES256","jwk":${JSON.stringify(key.jwk)}}`, 'header_jwk'],
    ['a certificate of its own (x5c)', '{"alg":"ES256","x5c":[]}', 'header_x5c'],
    ['a critical extension', '{"alg":"ES256","crit":["exp"],"exp":1}', 'header_crit'],
    ['an unencoded payload', '{"alg":"ES256","b64":false}', 'header_b64'],
  ])('refuses %s in the header', async (_what, text, check) => {
    expect(await refused(signTexts(text, '{"sub":"a"}', key))).toBe(`token_malformed/${check}`);
  });
});
