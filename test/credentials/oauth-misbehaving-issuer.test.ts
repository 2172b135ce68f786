// An issuer that is slow, broken or hostile: nothing of its answer is believed or repeated, and no secret goes elsewhere.

import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { failureOf } from '../support/failures.ts';
import { providerOf } from '../support/providers.ts';
import { grantOf, secretOf } from '../support/signing.ts';
import { tokenOf, useServers } from './oauth-issuer.ts';

const serve = useServers();

describe('an issuer that misbehaves', () => {
  const at = (url: string, more: object = {}) =>
    providerOf({
      type: 'oauth-client-credentials',
      clientId: 'c',
      clientSecret: secretOf('client-secret-literal'),
      tokenEndpoint: `${url}/token`,
      revoke: false,
      ...more,
    });

  it('is not waited for longer than configured', async () => {
    const url = await serve(() => {});
    expect(await failureOf(at(url, { timeout: '100ms' }).mint(grantOf()))).toMatchObject({
      detail: expect.stringContaining('in time'),
    });
  });

  it('is not waited for when its answer never ends', async () => {
    const url = await serve(
      (_, response) => void response.writeHead(200, { 'content-type': 'application/json' }).write('{"access_token":"'),
    );
    expect(await failureOf(at(url, { timeout: '200ms' }).mint(grantOf()))).toMatchObject({
      detail: expect.stringContaining('in time'),
    });
  });

  it.each(['refresh_token', 'scope', 'expires_in', 'id_token'])(
    'and writes null for what it does not give is understood: %s',
    async (name) => {
      const url = await serve((_, response) => {
        response.writeHead(200, { 'content-type': 'application/json' });
        response.end(JSON.stringify({ access_token: 'a-token-literal', token_type: 'Bearer', [name]: null }));
      });
      expect(tokenOf(await at(url).mint(grantOf()))).toBe('a-token-literal');
    },
  );

  it('cannot redirect the request with its client secret', async () => {
    let reached = 0;
    const elsewhere = await serve((_, response) => {
      reached += 1;
      response.end();
    });
    const url = await serve((_, response) => void response.writeHead(307, { location: `${elsewhere}/token` }).end());
    expect(await failureOf(at(url).mint(grantOf()))).toMatchObject({ code: 'credential_unavailable' });
    expect(reached).toBe(0);
  });

  it('cannot fill the memory', async () => {
    const url = await serve((_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ access_token: 'x'.repeat(1024 * 1024), token_type: 'Bearer' }));
    });
    expect(await failureOf(at(url).mint(grantOf()))).toMatchObject({ detail: expect.stringContaining('too large') });
  });

  it('cannot lead a secret to plain HTTP elsewhere', async () => {
    const url: string = await serve((_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ issuer: url, token_endpoint: 'http://issuer.example.org/token' }));
    });
    const provider = providerOf({
      type: 'oauth-client-credentials',
      clientId: 'c',
      clientSecret: secretOf('s'),
      issuer: url,
    });
    expect(await failureOf(provider.mint(grantOf()))).toMatchObject({
      detail: expect.stringContaining('neither https nor on loopback'),
    });
  });

  it.each([
    [200, 'application/json', '{"access_token": "leaked-literal"'],
    [200, 'text/html', '<p>leaked-literal</p>'],
    [200, 'application/json', '{"access_token": ["leaked-literal"], "token_type": "Bearer"}'],
    [400, 'application/json', '{"error": "leaked-literal", "error_description": "leaked-literal"}'],
    [500, 'application/json', '{"error": "leaked literal\\r\\nleaked-literal"}'],
    [401, 'text/plain', 'leaked-literal'],
  ])('is not quoted in an error: %i %s %s', async (status, type, body) => {
    const url = await serve((_, response) => void response.writeHead(status, { 'content-type': type }).end(body));
    const thrown = await failureOf(at(url).mint(grantOf()));
    expect(thrown).toMatchObject({ code: 'credential_unavailable' });
    expect(inspect(thrown, { depth: 20, showHidden: true })).not.toMatch(/leaked.literal|client-secret-literal/);
  });

  it('is refused at once when it is plain HTTP beyond loopback', () => {
    for (const options of [
      { issuer: 'http://idp.example.org' },
      { tokenEndpoint: 'http://127.0.0.1.example.org/token', revoke: false },
    ]) {
      const make = () =>
        providerOf({ type: 'oauth-client-credentials', clientId: 'c', clientSecret: secretOf('s'), ...options });
      expect(make).toThrow('Plain http is accepted on loopback only');
    }
  });

  it('is discovered again when it has moved its endpoints, or could not say where they are', async () => {
    let [fault, endpoint] = [true, '/before'];
    const url: string = await serve((request, response) => {
      const answers: Record<string, object> = {
        '/.well-known/openid-configuration': fault
          ? { error: 'server_error' }
          : { issuer: url, token_endpoint: url + endpoint },
        [endpoint]: { access_token: `made-at-${endpoint.slice(1)}`, token_type: 'bearer' },
      };
      const answer = answers[request.url ?? ''];
      response.writeHead(answer === undefined ? 404 : 'error' in answer ? 503 : 200, {
        'content-type': 'application/json',
      });
      response.end(JSON.stringify(answer ?? {}));
    });
    const provider = providerOf({
      type: 'oauth-client-credentials',
      clientId: 'c',
      clientSecret: secretOf('s'),
      issuer: url,
    });
    await failureOf(provider.mint(grantOf()));
    fault = false;
    expect(tokenOf(await provider.mint(grantOf()))).toBe('made-at-before');
    endpoint = '/after';
    await failureOf(provider.mint(grantOf()));
    expect(tokenOf(await provider.mint(grantOf()))).toBe('made-at-after');
  });

  it('may publish its metadata as an authorization server only (RFC 8414)', async () => {
    const url: string = await serve((request, response) => {
      if (request.url?.startsWith('/.well-known/openid')) return void response.writeHead(404).end();
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(
        JSON.stringify(
          request.url === '/token'
            ? { access_token: 'made-here', token_type: 'bearer', expires_in: 60 }
            : { issuer: url, token_endpoint: `${url}/token`, response_types_supported: [] },
        ),
      );
    });
    const provider = providerOf({
      type: 'oauth-client-credentials',
      clientId: 'c',
      clientSecret: secretOf('s'),
      issuer: url,
    });
    expect(tokenOf(await provider.mint(grantOf()))).toBe('made-here');
  });
});
