import { describe, expect, it } from 'vitest';
import { readAuthorization, takeToken } from '../../src/identity/tokens/bearer.ts';
import { refusalOf } from './calls.ts';

const refused = (headers: readonly string[], tokenHeader?: string) => refusalOf(() => takeToken(headers, tokenHeader));

describe('taking the credential out of a call', () => {
  it('takes a bearer token, the scheme in any case', () => {
    for (const scheme of ['Bearer', 'bearer', 'BEARER', 'Bearer  '])
      expect(takeToken(['authorization', `${scheme} a.b.c`], undefined)).toEqual({ token: 'a.b.c', scheme: 'bearer' });
  });

  it('refuses two Authorization fields with 400, even when they are equal', async () => {
    expect(await refused(['authorization', 'Bearer a', 'host', 'x', 'authorization', 'Bearer a'])).toBe(
      'bad_header/repeated',
    );
    expect(await refusalOf(() => readAuthorization(['Bearer a', 'Bearer a']))).toBe('bad_header/repeated');
  });

  it('finds no credential where there is none, also when one is in a cookie or in the query', async () => {
    expect(takeToken([], undefined)).toBeUndefined();
    expect(takeToken(['cookie', 'access_token=a.b.c', 'x-access-token', 'a.b.c'], undefined)).toBeUndefined();
    expect(await refusalOf(() => readAuthorization([]))).toBe('unauthenticated/credential');
  });

  it.each(['Basic YTpi', 'DPoPa.b.c', 'a.b.c', 'Bearera.b.c', 'Bearer\ta.b.c', ''])(
    'refuses another scheme: %s',
    async (value) => {
      expect(await refused(['authorization', value])).toBe('unauthenticated/scheme');
    },
  );

  it('tells a token that comes with a proof from a bearer token, and takes none from reviewers', async () => {
    expect(takeToken(['authorization', 'DPoP a.b.c'], undefined)).toEqual({ token: 'a.b.c', scheme: 'dpop' });
    expect(await refusalOf(() => readAuthorization(['DPoP a.b.c']))).toBe('unauthenticated/scheme');
  });

  it('refuses an empty and an oversize token', async () => {
    expect(await refused(['authorization', 'Bearer'])).toBe('token_malformed/compact');
    // The largest header section that can be configured: what comes in one is a token to look at.
    expect(await refused(['authorization', `Bearer ${'a'.repeat(262_145)}`])).toBe('token_malformed/size');
    expect(takeToken(['authorization', `Bearer ${'a'.repeat(262_144)}`], undefined)?.token).toHaveLength(262_144);
  });

  it('takes the token from the named field instead of Authorization where there is one', async () => {
    const headers = ['authorization', 'Bearer theirs', 'x-agent-token', 'ours'];
    expect(takeToken(headers, 'x-agent-token')).toEqual({ token: 'ours' });
    expect(takeToken(['x-agent-token', 'DPoP ours'], 'x-agent-token')).toEqual({ token: 'ours', scheme: 'dpop' });
    expect(takeToken(['authorization', 'Bearer theirs'], 'x-agent-token')).toBeUndefined();
    expect(await refused([...headers, 'x-agent-token', 'ours'], 'x-agent-token')).toBe('bad_header/repeated');
    expect(await refused([...headers, 'authorization', 'Bearer theirs'], 'x-agent-token')).toBe('bad_header/repeated');
  });
});
