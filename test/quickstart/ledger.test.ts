import { mkdtempSync, rmSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type QuickstartIssuer, startQuickstartIssuer, type TokenHolder } from '../../config/quickstart/issuer.ts';
import { type Ledger, startLedger } from '../../config/quickstart/ledger.ts';
import { signInOnDevice } from '../support/device-sign-in.ts';

const GATEWAY = 'http://127.0.0.1:8080';
const LEDGER = 'https://ledger.test';
let folder: string;
let issuer: QuickstartIssuer;
let ledger: Ledger;

const startIssuer = (port = 0) =>
  startQuickstartIssuer({ port, dataDir: folder, gatewayAudience: GATEWAY, ledgerAudience: LEDGER });

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-quickstart-'));
  issuer = await startIssuer();
  ledger = await startLedger({ port: 0, issuer: issuer.issuer, audience: LEDGER, client: issuer.clients.ledger });
});
afterAll(async () => {
  await ledger.close();
  await issuer.close();
  rmSync(folder, { recursive: true, force: true });
});

const basic = (client: { clientId: string; clientSecret: string }) =>
  `Basic ${Buffer.from(`${client.clientId}:${client.clientSecret}`).toString('base64')}`;
const form = (path: string, client: keyof QuickstartIssuer['clients'], parameters: Record<string, string>) =>
  fetch(issuer.issuer + path, {
    method: 'POST',
    headers: { authorization: basic(issuer.clients[client]) },
    body: new URLSearchParams(parameters),
  });
async function ledgerToken(scope: string): Promise<string> {
  const response = await form('/token', 'countersign', { grant_type: 'client_credentials', scope });
  return ((await response.json()) as { access_token: string }).access_token;
}
const call = (token: string, path: string, body?: unknown) =>
  fetch(ledger.url + path, {
    headers: { authorization: `Bearer ${token}` },
    ...(body !== undefined && { method: 'POST', body: JSON.stringify(body) }),
  });
const TRANSFER = { from: 'operations', to: 'suppliers', amount: 1.5, currency: 'EUR' };

describe('the local issuer', () => {
  // On a connection of its own: after the restart, kept-alive ones are dead.
  const keys = () =>
    new Promise<ReturnType<typeof createLocalJWKSet>>((resolve, reject) => {
      get(`${issuer.issuer}/jwks`, { agent: false }, async (response) => {
        resolve(
          createLocalJWKSet((await new Response(Readable.toWeb(response) as ReadableStream).json()) as JSONWebKeySet),
        );
      }).on('error', reject);
    });

  it.each([
    ['agent', GATEWAY, { sub: 'agent' }],
    ['agent-for-alice', GATEWAY, { sub: 'alice', act: { sub: 'agent' } }],
    ['alice', 'countersign-review', { sub: 'alice', groups: ['finance'], auth_time: expect.any(Number) }],
    ['mallory', 'countersign-review', { sub: 'mallory', groups: [] }],
  ] as const)('gives %s a signed token for %s alone', async (holder: TokenHolder, audience, claims) => {
    const { payload, protectedHeader } = await jwtVerify(await issuer.token(holder), await keys(), {
      issuer: issuer.issuer,
      audience,
    });
    expect(protectedHeader).toMatchObject({ alg: 'ES256', typ: 'at+jwt' });
    expect(payload).toMatchObject({ ...claims, aud: audience });
  });

  it('keeps its tokens valid over a restart', async () => {
    const token = await issuer.token('agent');
    const port = Number(new URL(issuer.issuer).port);
    await issuer.close();
    issuer = await startIssuer(port);
    await jwtVerify(token, await keys(), { audience: GATEWAY });
  });

  it('gives a client no token for another audience than its own', async () => {
    for (const [client, resource] of [
      ['countersign', GATEWAY],
      ['agent', LEDGER],
    ] as const) {
      const secret = issuer.clients[client].clientSecret;
      const response = await (client === 'agent'
        ? fetch(`${issuer.issuer}/token`, {
            method: 'POST',
            body: new URLSearchParams({
              grant_type: 'client_credentials',
              client_id: client,
              client_secret: secret,
              resource,
            }),
          })
        : form('/token', client, { grant_type: 'client_credentials', resource }));
      expect(await response.json()).toMatchObject({ error: 'invalid_target' });
    }
  });

  it('counts requests by path and client', async () => {
    const [all, own] = [issuer.requests('/token'), issuer.requests('/token', 'countersign')];
    await issuer.token('agent');
    expect([issuer.requests('/token'), issuer.requests('/token', 'countersign')]).toEqual([all + 1, own]);
    await ledgerToken('ledger:read');
    expect([issuer.requests('/token'), issuer.requests('/token', 'countersign')]).toEqual([all + 2, own + 1]);
  });

  it('signs two people in with one browser, one after the other', async () => {
    for (const user of ['alice', 'bob']) {
      const started = (await (
        await fetch(`${issuer.issuer}/device/auth`, {
          method: 'POST',
          body: new URLSearchParams({ client_id: 'countersign-cli', scope: 'openid' }),
        })
      ).json()) as {
        device_code: string;
        verification_uri_complete: string;
      };
      await signInOnDevice(started.verification_uri_complete, user);
      const parameters = {
        grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
        client_id: 'countersign-cli',
        device_code: started.device_code,
      };
      const { access_token } = (await (
        await fetch(`${issuer.issuer}/token`, { method: 'POST', body: new URLSearchParams(parameters) })
      ).json()) as {
        access_token: string;
      };
      const { payload } = await jwtVerify(access_token, await keys(), { audience: 'countersign-review' });
      expect(payload).toMatchObject({ sub: user, groups: ['finance'] });
    }
  });
});

describe('the ledger', () => {
  it('takes tokens that the issuer made for it, within their scope', async () => {
    const token = await ledgerToken('ledger:read');
    expect((await call(token, '/accounts')).status).toBe(200);
    expect((await call(token, '/transfers', TRANSFER)).status).toBe(403);
  });

  it('books a transfer once, and shows it', async () => {
    const token = await ledgerToken('ledger:read ledger:write');
    const before = ledger.transfers.length;
    expect(await (await call(token, '/transfers', TRANSFER)).json()).toMatchObject(TRANSFER);
    expect(ledger.transfers).toHaveLength(before + 1);
    expect(await (await call(token, '/transfers')).json()).toMatchObject({
      transfers: expect.arrayContaining([expect.objectContaining(TRANSFER)]),
    });
  });

  it.each(['agent', 'agent-for-alice', 'alice'] as const)('has no use for the own token of %s', async (holder) => {
    const token = await issuer.token(holder);
    expect((await call(token, '/accounts')).status).toBe(401);
    expect(await ledger.accepts(token)).toBe(false);
  });

  it('refuses a token from the moment it was revoked', async () => {
    const token = await ledgerToken('ledger:read');
    expect((await call(token, '/accounts')).status).toBe(200);
    expect((await form('/token/revocation', 'countersign', { token })).status).toBe(200);
    expect((await call(token, '/accounts')).status).toBe(401);
    expect(await ledger.accepts(token)).toBe(false);
  });

  it.each([
    ['without a token', {}],
    ['with a made-up token', { authorization: 'Bearer made-up' }],
    ['with two tokens in one', { authorization: 'Bearer a b' }],
  ])('refuses a call %s', async (_, headers) => {
    expect((await fetch(`${ledger.url}/accounts`, { headers })).status).toBe(401);
  });

  it.each([
    [{ ...TRANSFER, amount: -1 }],
    [{ ...TRANSFER, amount: 1e9 }],
    [{ ...TRANSFER, from: 'nowhere' }],
    [{ ...TRANSFER, currency: 'USD' }],
    [null],
  ])('books nothing for %j', async (body) => {
    const before = ledger.transfers.length;
    expect((await call(await ledgerToken('ledger:write'), '/transfers', body)).status).toBe(422);
    expect(ledger.transfers).toHaveLength(before);
  });
});
