import { describe, expect, it } from 'vitest';
import { readAuthorization, takeBearerToken } from '../../src/identity/bearer.ts';
import { refusalOf } from './calls.ts';

const refused = (headers: readonly string[], tokenHeader?: string) => refusalOf(() => takeBearerToken(headers, tokenHeader));

describe('taking the credential out of a call', () => {
  it('takes a bearer token, the scheme in any case', () => {
    for (const scheme of ['Bearer', 'bearer', 'BEARER', 'Bearer  ']) expect(takeBearerToken(['authorization', `${scheme} a.b.c`], undefined)).toBe('a.b.c');
  });

  it('refuses two Authorization fields with 400, even when they are equal', async () => {
    expect(await refused(['authorization', 'Bearer a', 'host', 'x', 'authorization', 'Bearer a'])).toBe('bad_header/repeated');
    expect(await refusalOf(() => readAuthorization(['Bearer a', 'Bearer a']))).toBe('bad_header/repeated');
  });

  it('refuses a call without a credential, also when one is in a cookie or in the query', async () => {
    expect(await refused([])).toBe('unauthenticated/credential');
    expect(await refused(['cookie', 'access_token=a.b.c', 'x-access-token', 'a.b.c'])).toBe('unauthenticated/credential');
    expect(await refusalOf(() => readAuthorization([]))).toBe('unauthenticated/credential');
  });

  it.each(['Basic YTpi', 'DPoP a.b.c', 'a.b.c', 'Bearera.b.c', 'Bearer\ta.b.c', ''])('refuses another scheme: %s', async (value) => {
    expect(await refused(['authorization', value])).toBe('unauthenticated/scheme');
  });

  it('refuses an empty and an oversize token', async () => {
    expect(await refused(['authorization', 'Bearer'])).toBe('token_malformed/compact');
    expect(await refused(['authorization', `Bearer ${'a'.repeat(8193)}`])).toBe('token_malformed/size');
    expect(takeBearerToken(['authorization', `Bearer ${'a'.repeat(8192)}`], undefined)).toHaveLength(8192);
  });

  it('takes the token from the named field instead of Authorization where there is one', async () => {
    const headers = ['authorization', 'Bearer theirs', 'x-agent-token', 'ours'];
    expect(takeBearerToken(headers, 'x-agent-token')).toBe('ours');
    expect(takeBearerToken(['x-agent-token', 'Bearer ours'], 'x-agent-token')).toBe('ours');
    expect(await refused(['authorization', 'Bearer theirs'], 'x-agent-token')).toBe('unauthenticated/credential');
    expect(await refused([...headers, 'x-agent-token', 'ours'], 'x-agent-token')).toBe('bad_header/repeated');
    expect(await refused([...headers, 'authorization', 'Bearer theirs'], 'x-agent-token')).toBe('bad_header/repeated');
  });
});
