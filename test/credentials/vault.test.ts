// Dynamic secrets of Vault and OpenBao: a login per credential, the secret's lease ended and then the login, whatever
// went wrong between.

import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { JsonObject } from '../../src/domain/json.ts';
import { brokerOver } from '../support/broker-over.ts';
import { allowed, callerNamed, released, transferAction } from '../support/clearances.ts';
import { failureOf } from '../support/failures.ts';
import { providerOf } from '../support/providers.ts';
import { grantOf, secretOf } from '../support/signing.ts';
import { LOGIN_JWT, startVault, type VaultServer } from '../support/vault-server.ts';

const REVOKE_SELF = '/v1/auth/token/revoke-self';
const REVOKE_LEASE = '/v1/sys/leases/revoke';

let server: VaultServer;
beforeEach(async () => {
  server = await startVault();
});
afterEach(async () => {
  expect(server.violations).toEqual([]);
  await server.stop();
});

const provider = (more: object = {}) =>
  providerOf({
    type: 'vault',
    address: server.origin,
    login: { mount: 'jwt', role: 'countersign', token: secretOf(LOGIN_JWT), policies: ['deployer'] },
    path: 'database/creds/{role}',
    inject: { in: 'basic', usernameField: 'username', passwordField: 'password' },
    ...more,
  });
const token = {
  path: 'kubernetes/creds/deployer',
  inject: { in: 'header', name: 'authorization', format: 'Bearer {secret}', field: 'service_account_token' },
} as const;

describe('a dynamic secret', () => {
  it('is read with a login of its own for the role of the rule, and put on the request', async () => {
    const minted = await provider().mint(grantOf({ role: 'readonly' }));
    expect(server.requests.map(({ method, path }) => `${method} ${path}`)).toEqual([
      'POST /v1/auth/jwt/login',
      'GET /v1/database/creds/readonly',
    ]);
    expect(minted.injection.value.reveal()).toBe(`Basic ${btoa(`v-jwt-readonly:${server.madeSecrets[0]}`)}`);
    expect(minted).toMatchObject({
      revocability: 'lease',
      granted: { path: 'database/creds/readonly', policies: ['default', 'deployer'], leased: true },
    });
    expect((minted.expiresAt ?? 0) - Date.now()).toBeLessThanOrEqual(600_000);
    expect(inspect(minted, { depth: 9 }) + JSON.stringify(minted)).not.toContain(server.madeSecrets[0]);
  });

  it('is asked for with the parameters of configuration and rule', async () => {
    const minted = await provider({ ...token, parameters: { ttl: '10m' } }).mint(
      grantOf({ parameters: { kubernetes_namespace: 'shop' } }),
    );
    expect(JSON.parse(server.requests[1]?.body ?? '')).toEqual({ ttl: '10m', kubernetes_namespace: 'shop' });
    expect(minted.injection.value.reveal()).toBe(`Bearer ${server.madeSecrets[0]}`);
  });

  it('is gone at its source before its login is', async () => {
    const one = provider();
    const { handle } = await one.mint(grantOf({ role: 'readonly' }));
    if (handle === undefined) throw new Error('no handle');
    await one.revoke?.(handle);
    expect(server.requests.slice(2).map(({ path }) => path)).toEqual([REVOKE_LEASE, REVOKE_SELF]);
    expect([server.live.size, server.logins]).toEqual([0, 0]);
    await one.revoke?.(handle);
  });

  it('goes with its login where that may not revoke leases', async () => {
    server.refuse(REVOKE_LEASE, 403);
    const one = provider();
    const { handle } = await one.mint(grantOf({ role: 'readonly' }));
    if (handle === undefined) throw new Error('no handle');
    await one.revoke?.(handle);
    expect([server.live.size, server.logins]).toEqual([0, 0]);
  });

  it('without a lease is declared irrevocable; its login is ended all the same', async () => {
    const { broker } = brokerOver(provider({ path: 'kv/ledger' }));
    const credential = await broker.issue(released({ name: 'vault', scope: {} }), callerNamed('agent'), transferAction);
    expect(credential?.revocability).toBe('none');
    expect(credential && (await broker.release(credential))).toBe(true);
    expect(server.logins).toBe(0);
    await broker.close();
  });
});

/** A credential for a released call, from a broker that tries again soon what could not be revoked. */
async function issued() {
  const { broker, ledger } = brokerOver(provider(), { retry: { firstMs: 20, maxMs: 50 } });
  const clearance = released({ name: 'vault', scope: { role: 'readonly' } });
  const credential = await broker.issue(clearance, callerNamed('agent'), transferAction);
  if (credential === undefined) throw new Error('no credential');
  return { broker, ledger, credential };
}

// Whatever cannot be taken back because it is gone is taken back, and the rest still runs.
describe('what no longer exists at Vault', () => {
  it.each([
    ['a lease that is gone', REVOKE_LEASE, 400],
    ['a lease that is gone, as OpenBao may say it', REVOKE_LEASE, 404],
    ['a lease whose engine was unmounted', REVOKE_LEASE, 405],
    ['a login whose namespace is gone', REVOKE_SELF, 404],
  ])('counts as taken back: %s', async (_, path, status) => {
    const { broker, ledger, credential } = await issued();
    server.refuse(path, status);
    expect(await broker.release(credential)).toBe(true);
    expect(await ledger.outstanding()).toEqual([]);
    expect(server.requests.map((request) => request.path).slice(-2)).toEqual([REVOKE_LEASE, REVOKE_SELF]);
    if (path === REVOKE_LEASE) expect([server.live.size, server.logins]).toEqual([0, 0]);
    await broker.close();
  });
});

describe('a revocation that Vault does not take is a failure', () => {
  it.each([
    [REVOKE_LEASE, 500],
    [REVOKE_LEASE, 429],
    [REVOKE_SELF, 503],
    // The login can still see itself, so it is not over.
    [REVOKE_SELF, 403],
  ])('%s with %d, and is tried again', async (path, status) => {
    const { broker, ledger, credential } = await issued();
    server.refuse(path, status);
    expect(await broker.release(credential)).toBe(false);
    expect(await ledger.outstanding()).toHaveLength(1);
    server.refuse(path, undefined);
    await expect.poll(() => ledger.outstanding()).toEqual([]);
    expect([server.live.size, server.logins]).toEqual([0, 0]);
    await broker.close();
  });
});

describe('Vault is not asked', () => {
  it.each([
    ['a rule without a role', {}, {}],
    ['a role that is a path', {}, { role: '../sys' }],
    ['a role where the path has no place for one', token, { role: 'admin' }],
    [
      'other parameters than the configured ones',
      { ...token, parameters: { ttl: '10m' } },
      { parameters: { ttl: '30d' } },
    ],
    ['parameters that are no plain values', token, { parameters: { labels: {} } }],
    ['a member that it does not know', {}, { role: 'readonly', path: 'sys/raw' }],
  ] satisfies [string, object, JsonObject][])('for %s', async (_, more, scope) => {
    expect(await failureOf(provider(more).mint(grantOf(scope)))).toMatchObject({ code: 'credential_unavailable' });
    expect(server.requests).toEqual([]);
  });
});

describe('what is refused after the login is taken back with it', () => {
  it.each([
    [
      'a login with more policies',
      { login: (auth) => ({ ...auth, policies: ['default', 'deployer', 'admin'] }) },
      'credential_too_broad',
    ],
    [
      'a lease that lives too long',
      { read: (answer) => ({ ...answer, lease_duration: 86_400 }) },
      'credential_too_broad',
    ],
    ['a secret without the fields', { read: (answer) => ({ ...answer, data: {} }) }, 'credential_unavailable'],
    [
      'a secret that would end the line',
      { read: (answer) => ({ ...answer, data: { username: 'a', password: 'b\r\nx: y' } }) },
      'credential_unavailable',
    ],
  ] satisfies [string, Parameters<VaultServer['alter']>[0], string][])('%s', async (_, how, code) => {
    server.alter(how);
    await refusedAndClean({ role: 'readonly' }, code);
  });

  it('a secret that Vault refuses', () => refusedAndClean({ role: 'no.such.role' }, 'credential_unavailable'));

  async function refusedAndClean(scope: JsonObject, code: string): Promise<void> {
    const { broker, ledger } = brokerOver(provider());
    expect(
      await failureOf(
        Promise.resolve(broker.issue(released({ name: 'vault', scope }), callerNamed('agent'), transferAction)),
      ),
    ).toMatchObject({ code });
    expect([server.live.size, server.logins]).toEqual([0, 0]);
    expect(await ledger.outstanding()).toEqual([]);
    await broker.close();
  }
});

it('tells a refused login by its status and does not repeat what Vault says', async () => {
  const login = { mount: 'jwt', role: 'other', token: secretOf(LOGIN_JWT) };
  const thrown = await failureOf(provider({ login }).mint(grantOf({ role: 'readonly' })));
  expect(thrown).toMatchObject({ code: 'credential_unavailable', detail: 'Vault refused the login: status 400.' });
  expect(inspect(thrown)).not.toContain(LOGIN_JWT);
});

it('refuses batch tokens, which nobody could revoke', async () => {
  server.alter({ login: (auth) => ({ ...auth, token_type: 'batch' }) });
  expect(await failureOf(provider().mint(grantOf({ role: 'readonly' })))).toMatchObject({
    detail: expect.stringContaining('batch'),
  });
});

it('each released call has a secret of its own, allowed ones share, and all end when the gateway does', async () => {
  const { broker } = brokerOver(provider());
  const plan = { name: 'vault', scope: { role: 'readonly' } };
  await Promise.all(
    Array.from({ length: 100 }, () => broker.issue(allowed(plan), callerNamed('agent'), transferAction)),
  );
  expect(server.madeSecrets).toHaveLength(1);
  await Promise.all(
    Array.from({ length: 5 }, () => broker.issue(released(plan), callerNamed('agent'), transferAction)),
  );
  expect(server.madeSecrets).toHaveLength(6);
  await broker.close();
  expect([server.live.size, server.logins]).toEqual([0, 0]);
});
