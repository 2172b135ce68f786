import { describe, expect, it } from 'vitest';
import type { Grant } from '../../src/domain/credential.ts';
import type { JsonObject } from '../../src/domain/json.ts';
import { Secret } from '../../src/domain/secret.ts';
import { principalNamed, transferAction } from '../support/clearances.ts';
import { providerOf } from '../support/providers.ts';

const source = (text: string) => ({ origin: 'test', read: () => new Secret(text) });
const grant = (scope: JsonObject = {}): Grant => ({
  principal: principalNamed('agent'),
  action: transferAction,
  plan: { name: 'key', scope },
  now: Date.now(),
});
const staticOf = (more: object) => providerOf({ type: 'static', ...more });
const mint = (options: object) => staticOf(options).mint(grant());

describe('static credentials', () => {
  it('puts a bearer token into Authorization by default', async () => {
    const { injection, secrets, revocability, expiresAt } = await mint({ in: 'header', secret: source('s3cret') });
    expect({ ...injection, value: injection.value.reveal() }).toEqual({
      in: 'header',
      name: 'authorization',
      value: 'Bearer s3cret',
    });
    expect(secrets.map((secret) => secret.reveal())).toEqual(['s3cret']);
    expect([revocability, expiresAt]).toEqual(['none', undefined]);
  });

  it('puts the bare secret into other header fields and into the query', async () => {
    const inHeader = await mint({ in: 'header', name: 'X-Api-Key', secret: source('s3cret') });
    expect({ ...inHeader.injection, value: inHeader.injection.value.reveal() }).toEqual({
      in: 'header',
      name: 'x-api-key',
      value: 's3cret',
    });
    const inQuery = await mint({ in: 'query', name: 'apiKey', secret: source('s3cret') });
    expect({ ...inQuery.injection, value: inQuery.injection.value.reveal() }).toEqual({
      in: 'query',
      name: 'apiKey',
      value: 's3cret',
    });
  });

  it('follows the format, and takes nothing in the secret for a pattern', async () => {
    const { injection } = await mint({ in: 'header', format: 'Token token={secret}', secret: source("$&$'") });
    expect(injection.value.reveal()).toBe("Token token=$&$'");
  });

  it('makes Basic credentials and names the password and the encoded pair as secrets', async () => {
    const { injection, secrets } = await mint({ in: 'basic', username: 'svc', secret: source('p:w') });
    const pair = Buffer.from('svc:p:w').toString('base64');
    expect(injection.value.reveal()).toBe(`Basic ${pair}`);
    expect(secrets.map((secret) => secret.reveal())).toEqual(['p:w', pair]);
  });

  it('reads the secret at each mint, so a rotated one is used', async () => {
    let text = 'old-secret';
    const provider = staticOf({ in: 'header', secret: { origin: 'test', read: () => new Secret(text) } });
    expect((await provider.mint(grant())).injection.value.reveal()).toBe('Bearer old-secret');
    text = 'new-secret';
    expect((await provider.mint(grant())).injection.value.reveal()).toBe('Bearer new-secret');
  });

  it.each(['a\r\nx: y', 'a\nb', 'a\0b', 'a\u007fb', 'ключ', ''])('refuses the secret %j', async (text) => {
    for (const options of [{ in: 'header' }, { in: 'query', name: 'key' }, { in: 'basic', username: 'svc' }]) {
      // The configuration is read with a good secret, which is then replaced.
      let now = 's3cret';
      const provider = staticOf({ ...options, secret: { origin: 'test', read: () => new Secret(now) } });
      now = text;
      await expect(provider.mint(grant())).rejects.toMatchObject({ code: 'credential_unavailable' });
    }
  });

  it('refuses rules that narrow it: it cannot be narrowed', async () => {
    const provider = staticOf({ in: 'header', secret: source('s3cret') });
    await expect(provider.mint(grant({ scope: 'read' }))).rejects.toMatchObject({ code: 'credential_unavailable' });
  });

  it.each([
    [{ in: 'header', name: 'Host' }, 'this one frames or routes the message'],
    [{ in: 'header', name: 'transfer-encoding' }, 'this one frames or routes the message'],
    [{ in: 'header', name: 'x y' }, 'Write the name of a header field: letters, digits and hyphens.'],
    [{ in: 'header', format: 'Bearer' }, 'The format holds {secret}'],
    [{ in: 'header', format: 'A\r\nB: {secret}' }, 'The format holds {secret}'],
    [{ in: 'query', name: '' }, 'Too small'],
    [{ in: 'basic', username: 'a:b' }, 'A user name has neither colon nor control characters'],
  ])('refuses options that cannot work: %j', (options, why) => {
    expect(() => staticOf({ ...options, secret: source('x') })).toThrow(why);
  });
});
