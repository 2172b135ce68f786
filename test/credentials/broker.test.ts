import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type BrokerOptions, type CredentialBroker, createBroker } from '../../src/credentials/broker.ts';
import type { BrokerProvider } from '../../src/credentials/broker-provider.ts';
import { createProvider } from '../../src/credentials/provider.ts';
import { createSealer } from '../../src/credentials/seal.ts';
import type { Clearance } from '../../src/domain/clearance.ts';
import type { Credential } from '../../src/domain/credential.ts';
import { silentLog } from '../../src/domain/log.ts';
import { noMetrics } from '../../src/domain/metrics.ts';
import { Secret } from '../../src/domain/secret.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import { allowed, callerNamed, principalNamed, released, transferAction } from '../support/clearances.ts';
import { createMemoryLedger, type MemoryLedger } from '../support/memory-ledger.ts';
import { startIssuer, type TestIssuer } from '../support/oidc-issuer.ts';

const RESOURCE = 'https://ledger.example.org';
const CLIENT = { id: 'countersign', secret: 'client-secret-literal' };
const SEAL_KEY = 'seal-key-literal-seal-key-literal-0123';
const plan = { name: 'ledger-token', scope: { scope: ['transfers:read'] } };
const agent = callerNamed('agent', 'agents-own-token-literal');

const seal = createSealer({ key: { origin: 'test', read: () => new Secret(SEAL_KEY) } });
const bearerOf = (credential: Credential | undefined) => credential?.injection.value.reveal().replace('Bearer ', '') ?? '';

/** `issue` as a promise, whether or not a shared credential was at hand. */
const issueFrom = async (broker: Pick<CredentialBroker, 'issue'>, clearance: Clearance) => broker.issue(clearance, agent, transferAction);

const fixed = { injection: { in: 'header', name: 'x-key', value: new Secret('fixed-literal') }, revocability: 'none', granted: {} } as const;

describe('the broker', () => {
  let issuer: TestIssuer;
  let ledger: MemoryLedger;
  let provider: BrokerProvider;
  let now: number;
  let alter: (answer: Record<string, unknown>) => Record<string, unknown>;
  /** Every access token that the issuer made. */
  let made: string[];
  let revoked: boolean[];
  let warnings: { event: string; fields: unknown }[];
  let brokers: CredentialBroker[];

  beforeEach(async () => {
    made = [];
    revoked = [];
    warnings = [];
    brokers = [];
    alter = (answer) => answer;
    now = Date.now();
    ledger = createMemoryLedger();
    issuer = await startIssuer({
      clients: [CLIENT],
      resources: { [RESOURCE]: { scope: 'transfers:read transfers:write admin' } },
      alter: (answer) => {
        made.push(String(answer.access_token));
        return alter(answer);
      },
    });
    provider = providerWith(CLIENT.secret);
  });
  afterEach(async () => {
    await Promise.all(brokers.map((broker) => broker.close()));
    await issuer.close();
  });

  function providerWith(secret: string): BrokerProvider {
    return createProvider({
      type: 'oauth-client-credentials',
      issuer: issuer.issuer,
      clientId: CLIENT.id,
      clientSecret: { origin: 'test', read: () => new Secret(secret) },
      scope: 'transfers:read transfers:write',
      resource: RESOURCE,
    });
  }

  function brokerWith(more: Partial<BrokerOptions> = {}): CredentialBroker {
    const broker = createBroker({
      providers: (name) => (name === plan.name ? provider : undefined),
      ledger,
      seal,
      clock: { now: () => now },
      log: { ...silentLog, warn: (event, fields) => warnings.push({ event, fields }) },
      metrics: { ...noMetrics, revoked: (_, ok) => revoked.push(ok) },
      retry: { firstMs: 20, maxMs: 100 },
      ...more,
    });
    brokers.push(broker);
    return broker;
  }

  it('makes nothing for a decision that plans no credential', async () => {
    expect(await brokerWith().issue(allowed(), agent, transferAction)).toBeUndefined();
    expect(issuer.requests('/token')).toBe(0);
  });

  it('mints once for 500 allowed calls that ask at once', async () => {
    const broker = brokerWith();
    const credentials = await Promise.all(Array.from({ length: 500 }, () => broker.issue(allowed(plan), agent, transferAction)));
    expect(new Set(credentials).size).toBe(1);
    expect(credentials[0]?.exclusive).toBe(false);
    expect(issuer.requests('/token')).toBe(1);
    expect(issuer.requests('/.well-known/openid-configuration')).toBe(1);
  });

  it('mints for each released call alone', async () => {
    const broker = brokerWith();
    const credentials = await Promise.all(Array.from({ length: 20 }, () => broker.issue(released(plan), agent, transferAction)));
    expect(new Set(credentials.map(bearerOf)).size).toBe(20);
    expect(new Set(credentials.map((credential) => credential?.id)).size).toBe(20);
    expect(credentials.every((credential) => credential?.exclusive)).toBe(true);
    expect(issuer.requests('/token')).toBe(20);
  });

  it('never serves a released call from what is shared', async () => {
    const broker = brokerWith();
    const shared = await broker.issue(allowed(plan), agent, transferAction);
    const own = await broker.issue(released(plan), agent, transferAction);
    expect(bearerOf(own)).not.toBe(bearerOf(shared));
  });

  it('shares with nobody else, for nothing else and nowhere else', async () => {
    const broker = brokerWith();
    const user = principalNamed('alice');
    const calls = [
      broker.issue(allowed(plan), agent, transferAction),
      broker.issue(allowed(plan), callerNamed('other-agent'), transferAction),
      broker.issue(allowed({ ...plan, scope: { scope: 'transfers:write' } }), agent, transferAction),
      broker.issue(allowed(plan), agent, { ...transferAction, upstream: 'ledger-copy' }),
      broker.issue(allowed(plan), { principal: { ...agent.principal, onBehalfOf: [user] } }, transferAction),
    ];
    expect(new Set((await Promise.all(calls)).map(bearerOf)).size).toBe(calls.length);
  });

  it('shares between plans that say the same in another order', async () => {
    const broker = brokerWith();
    const one = await broker.issue(allowed({ name: plan.name, scope: { scope: ['transfers:read'], resource: RESOURCE } }), agent, transferAction);
    const two = await broker.issue(allowed({ name: plan.name, scope: { resource: RESOURCE, scope: ['transfers:read'] } }), agent, transferAction);
    expect(two).toBe(one);
  });

  it('stops sharing what another configuration made', async () => {
    const broker = brokerWith();
    const before = await broker.issue(allowed(plan), agent, transferAction);
    provider = providerWith(CLIENT.secret);
    expect(await broker.issue(allowed(plan), agent, transferAction)).not.toBe(before);
  });

  it('tells before the mint whether it will be for one call alone', () => {
    const broker = brokerWith();
    expect([broker.mintsAlone(allowed()), broker.mintsAlone(allowed(plan)), broker.mintsAlone(released(plan))]).toEqual([false, false, true]);
  });

  it('has the intent to revoke on record, sealed, before it hands a credential out', async () => {
    const clearance = released(plan, 'task_1');
    const credential = await brokerWith().issue(clearance, agent, transferAction);
    const entry = ledger.entries.get(credential?.id ?? '');
    expect(entry).toMatchObject({ name: plan.name, provider: 'oauth-client-credentials', taskId: 'task_1', expiresAt: credential?.expiresAt, attempts: 0 });
    expect(entry?.holdId).toMatch(/^hold_/);
    expect(seal.open(credential?.id ?? '', entry?.sealed ?? '').reveal()).toBe(bearerOf(credential));
  });

  it('revokes an exclusive credential at its release, once', async () => {
    const broker = brokerWith();
    const credential = (await broker.issue(released(plan), agent, transferAction)) as Credential;
    expect(await issuer.isActive(bearerOf(credential))).toBe(true);
    expect(await broker.release(credential)).toBe(true);
    expect(await issuer.isActive(bearerOf(credential))).toBe(false);
    expect(await broker.release(credential)).toBe(true);
    expect(issuer.requests('/token/revocation')).toBe(1);
    expect([ledger.entries.size, revoked]).toEqual([0, [true]]);
  });

  it('leaves a shared credential alone at release', async () => {
    const broker = brokerWith();
    const credential = (await broker.issue(allowed(plan), agent, transferAction)) as Credential;
    expect(await broker.release(credential)).toBe(true);
    expect(await issuer.isActive(bearerOf(credential))).toBe(true);
  });

  it('revokes at start what a dead process left', async () => {
    const left = await Promise.all([1, 2, 3].map(() => brokerWith().issue(released(plan), agent, transferAction)));
    expect(ledger.entries.size).toBe(3);
    await brokerWith().start();
    expect(await Promise.all(left.map((credential) => issuer.isActive(bearerOf(credential))))).toEqual([false, false, false]);
    expect(ledger.entries.size).toBe(0);
  });

  it('revokes at start what a dead process left in a real store', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'broker-'));
    try {
      const open = () => openSqliteStore({ path: join(folder, 'store.db'), clock: { now: () => now }, log: silentLog });
      const first = open();
      const credential = await brokerWith({ ledger: first.credentials }).issue(released(plan), agent, transferAction);
      await first.close();
      const second = open();
      await brokerWith({ ledger: second.credentials }).start();
      expect(await issuer.isActive(bearerOf(credential))).toBe(false);
      expect(await second.credentials.outstanding()).toEqual([]);
      await second.close();
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('keeps what cannot be revoked during an outage, and revokes it when the issuer is back', async () => {
    const broker = brokerWith();
    const credential = (await broker.issue(released(plan), agent, transferAction)) as Credential;
    await issuer.stop();
    expect(await broker.release(credential)).toBe(false);
    expect((await broker.outstanding()).map(({ id, attempts }) => [id, attempts >= 1])).toEqual([[credential.id, true]]);
    expect(revoked[0]).toBe(false);
    expect(warnings[0]).toMatchObject({ event: 'countersign.credential.revoke_failed', fields: { credentialId: credential.id, credential: plan.name } });
    await issuer.resume();
    await vi.waitFor(() => expect(ledger.entries.size).toBe(0), { timeout: 10_000 });
    expect(await issuer.isActive(bearerOf(credential))).toBe(false);
    expect(revoked.at(-1)).toBe(true);
  });

  it('goes on in the background with what it could not revoke at start', async () => {
    const credential = await brokerWith().issue(released(plan), agent, transferAction);
    await issuer.stop();
    provider = providerWith(CLIENT.secret);
    await brokerWith().start();
    expect(ledger.entries.size).toBe(1);
    await issuer.resume();
    await vi.waitFor(() => expect(ledger.entries.size).toBe(0), { timeout: 10_000 });
    expect(await issuer.isActive(bearerOf(credential))).toBe(false);
  });

  it('keeps what belongs to a provider that is no longer configured', async () => {
    await brokerWith().issue(released(plan), agent, transferAction);
    await brokerWith({ providers: () => undefined }).start();
    expect(ledger.entries.size).toBe(1);
    expect(warnings.at(-1)?.event).toBe('countersign.credential.revoke_failed');
  });

  it('takes a credential back at once and fails when the intent cannot be written', async () => {
    const broker = brokerWith();
    ledger.broken = true;
    await expect(broker.issue(released(plan), agent, transferAction)).rejects.toMatchObject({ code: 'credential_unavailable' });
    expect(made).toHaveLength(1);
    expect(await issuer.isActive(made[0] ?? '')).toBe(false);
    ledger.broken = false;
  });

  it('settles what has expired without a request', async () => {
    const broker = brokerWith();
    const credential = (await broker.issue(released(plan), agent, transferAction)) as Credential;
    now = (credential.expiresAt ?? 0) + 60_000;
    expect(await broker.release(credential)).toBe(true);
    expect([ledger.entries.size, issuer.requests('/token/revocation')]).toEqual([0, 0]);
  });

  it('never hands out an expired credential', async () => {
    const broker = brokerWith();
    const before = await broker.issue(allowed(plan), agent, transferAction);
    now = before?.expiresAt ?? 0;
    const after = await broker.issue(allowed(plan), agent, transferAction);
    expect(bearerOf(after)).not.toBe(bearerOf(before));
  });

  it('refuses, and takes back, a credential that was expired when it came', async () => {
    alter = (answer) => ({ ...answer, expires_in: 0 });
    await expect(brokerWith().issue(released(plan), agent, transferAction)).rejects.toMatchObject({ code: 'credential_unavailable' });
    expect(await issuer.isActive(made[0] ?? '')).toBe(false);
  });

  it('renews early, serving calls meanwhile with what is there, and then revokes the old one', async () => {
    const broker = brokerWith({ lingerMs: 0 });
    const before = await broker.issue(allowed(plan), agent, transferAction);
    now += 280_000;
    expect(await broker.issue(allowed(plan), agent, transferAction)).toBe(before);
    await vi.waitFor(async () => expect(await broker.issue(allowed(plan), agent, transferAction)).not.toBe(before), { timeout: 10_000 });
    expect(issuer.requests('/token')).toBe(2);
    await vi.waitFor(async () => expect(await issuer.isActive(bearerOf(before))).toBe(false), { timeout: 10_000 });
  });

  it('goes on with what is there when renewing fails', async () => {
    const broker = brokerWith();
    const before = await broker.issue(allowed(plan), agent, transferAction);
    await issuer.stop();
    now += 280_000;
    expect(await broker.issue(allowed(plan), agent, transferAction)).toBe(before);
    await vi.waitFor(() => expect(warnings.at(-1)?.event).toBe('countersign.credential.mint_failed'), { timeout: 10_000 });
    expect(await broker.issue(allowed(plan), agent, transferAction)).toBe(before);
  });

  it('remembers a failure for a second', async () => {
    provider = providerWith('wrong-secret-literal');
    const broker = brokerWith();
    const ask = () => expect(broker.issue(allowed(plan), agent, transferAction)).rejects.toMatchObject({ code: 'credential_unavailable' });
    await Promise.all(Array.from({ length: 20 }, ask));
    await ask();
    expect(issuer.requests('/token')).toBe(1);
    now += 1_000;
    await ask();
    expect(issuer.requests('/token')).toBe(2);
  });

  it('gets a fresh credential after the shared one was refused, and revokes that', async () => {
    const broker = brokerWith({ lingerMs: 0 });
    const before = (await broker.issue(allowed(plan), agent, transferAction)) as Credential;
    now += 1_000;
    expect(broker.invalidate(before)).toBe(true);
    const after = await broker.issue(allowed(plan), agent, transferAction);
    expect(bearerOf(after)).not.toBe(bearerOf(before));
    await vi.waitFor(() => expect(ledger.entries.has(before.id)).toBe(false), { timeout: 10_000 });
    expect(await issuer.isActive(bearerOf(before))).toBe(false);
    expect(await issuer.isActive(bearerOf(after))).toBe(true);
  });

  it('does not replace a shared credential that is too fresh to be stale, nor one of a call’s own', async () => {
    const broker = brokerWith();
    const shared = (await broker.issue(allowed(plan), agent, transferAction)) as Credential;
    const own = (await broker.issue(released(plan), agent, transferAction)) as Credential;
    now += 999;
    expect(broker.invalidate(shared)).toBe(false);
    now += 60_000;
    expect(broker.invalidate(own)).toBe(false);
    expect(broker.issue(allowed(plan), agent, transferAction)).toBe(shared);
    expect(issuer.requests('/token')).toBe(2);
  });

  it('mints once for all the calls whose shared credential was refused together', async () => {
    const broker = brokerWith();
    const refused = (await broker.issue(allowed(plan), agent, transferAction)) as Credential;
    now += 1_000;
    const after = await Promise.all(
      Array.from({ length: 100 }, async () => {
        expect(broker.invalidate(refused)).toBe(true);
        return broker.issue(allowed(plan), agent, transferAction);
      }),
    );
    expect(new Set(after).size).toBe(1);
    expect(after[0]).not.toBe(refused);
    expect(issuer.requests('/token')).toBe(2);
  });

  it('keeps a bounded number of shared credentials and revokes those that go', async () => {
    const broker = brokerWith({ maxShared: 2, lingerMs: 0 });
    const credentials: (Credential | undefined)[] = [];
    for (const name of ['a', 'b', 'c']) credentials.push(await broker.issue(allowed(plan), callerNamed(name), transferAction));
    await vi.waitFor(() => expect(ledger.entries.size).toBe(2), { timeout: 10_000 });
    expect(await Promise.all(credentials.map((credential) => issuer.isActive(bearerOf(credential))))).toEqual([false, true, true]);
  });

  it('refuses a grant that is broader than asked for, and takes it back', async () => {
    alter = (answer) => ({ ...answer, scope: 'transfers:read admin' });
    for (const clearance of [allowed(plan), released(plan)]) {
      await expect(brokerWith().issue(clearance, agent, transferAction)).rejects.toMatchObject({ code: 'credential_too_broad' });
    }
    expect(made).toHaveLength(2);
    for (const token of made) expect(await issuer.isActive(token)).toBe(false);
    expect(ledger.entries.size).toBe(0);
  });

  it('takes back everything of a task, and nothing else', async () => {
    const broker = brokerWith();
    const [ended, other] = await Promise.all(['task_1', 'task_2'].map((task) => broker.issue(released(plan, task), agent, transferAction)));
    expect(await broker.revokeFor({ taskId: 'task_1' })).toBe(true);
    expect(await broker.revokeFor({})).toBe(true);
    expect([await issuer.isActive(bearerOf(ended)), await issuer.isActive(bearerOf(other))]).toEqual([false, true]);
  });

  it('calls off what is being minted for a task that ends, and takes it back', async () => {
    const broker = brokerWith();
    const asked = broker.issue(released(plan, 'task_1'), agent, transferAction);
    const other = broker.issue(released(plan, 'task_2'), agent, transferAction);
    const refused = expect(asked).rejects.toMatchObject({ code: 'credential_unavailable' });
    expect(await broker.revokeFor({ taskId: 'task_1' })).toBe(true);
    await refused;
    const kept = bearerOf(await other);
    const active = await Promise.all(made.map(issuer.isActive));
    expect(made.filter((_, index) => active[index])).toEqual([kept]);
    expect(made).toHaveLength(2);
  });

  it('no longer hands out to a suspended principal what cannot be revoked', async () => {
    provider = { type: 'fixed', shareable: true, mint: async () => ({ ...fixed, secrets: [new Secret('fixed-literal')] }) };
    const broker = brokerWith();
    const before = await broker.issue(allowed(plan), agent, transferAction);
    const others = await broker.issue(allowed(plan), callerNamed('other'), transferAction);
    await broker.revokeFor({ principalId: agent.principal.id });
    expect(await broker.issue(allowed(plan), agent, transferAction)).not.toBe(before);
    expect(broker.issue(allowed(plan), callerNamed('other'), transferAction)).toBe(others);
  });

  it('takes back what a suspended principal shares', async () => {
    const broker = brokerWith();
    const before = await broker.issue(allowed(plan), agent, transferAction);
    await broker.revokeFor({ principalId: agent.principal.id });
    expect(await issuer.isActive(bearerOf(before))).toBe(false);
    expect(await broker.issue(allowed(plan), agent, transferAction)).not.toBe(before);
  });

  it('revokes what is shared when it closes, and makes no more', async () => {
    const broker = brokerWith();
    const credential = await broker.issue(allowed(plan), agent, transferAction);
    await broker.close();
    expect(await issuer.isActive(bearerOf(credential))).toBe(false);
    expect(ledger.entries.size).toBe(0);
    await expect(broker.issue(allowed(plan), agent, transferAction)).rejects.toMatchObject({ code: 'draining' });
  });

  it('takes back what was being minted while it closed', async () => {
    const broker = brokerWith();
    const asked = broker.issue(released(plan), agent, transferAction);
    const refused = expect(asked).rejects.toMatchObject({ code: 'draining' });
    await broker.close();
    await refused;
    expect(await issuer.isActive(made[0] ?? '')).toBe(false);
  });

  it('closes during an outage and leaves the rest to the next start', async () => {
    const broker = brokerWith();
    const credential = await broker.issue(allowed(plan), agent, transferAction);
    await issuer.stop();
    await broker.close();
    expect(ledger.entries.size).toBe(1);
    await issuer.resume();
    await brokerWith().start();
    expect(await issuer.isActive(bearerOf(credential))).toBe(false);
  });

  it('refuses a name that is not configured', async () => {
    await expect(issueFrom(brokerWith(), released({ name: 'gone', scope: {} }))).rejects.toMatchObject({ code: 'credential_unavailable' });
  });

  it('says nothing of what a faulty provider threw', async () => {
    const leaky: BrokerProvider = { type: 'own', shareable: false, mint: () => Promise.reject(new Error('leaked-literal')) };
    const thrown = await issueFrom(brokerWith({ providers: () => leaky }), allowed(plan)).catch((error: unknown) => error);
    expect(thrown).toMatchObject({ code: 'credential_unavailable' });
    expect(inspect({ thrown, warnings }, { depth: 20, showHidden: true })).not.toContain('leaked-literal');
  });

  it('shows no secret in anything that it hands out, logs, keeps or throws', async () => {
    const broker = brokerWith();
    const seen: unknown[] = [broker, provider, ledger, warnings, seal, agent];
    for (const clearance of [allowed(plan), released(plan)]) seen.push(clearance, await broker.issue(clearance, agent, transferAction));
    seen.push([...ledger.entries.values()], await broker.outstanding());
    alter = (answer) => ({ ...answer, scope: 'admin' });
    seen.push(await issueFrom(broker, released(plan)).catch((error: unknown) => error));
    alter = (answer) => ({ ...answer, token_type: 'unheard-of' });
    seen.push(await issueFrom(broker, released(plan)).catch((error: unknown) => error));
    provider = providerWith('wrong-secret-literal');
    seen.push(provider, await issueFrom(broker, released(plan)).catch((error: unknown) => error));

    const shown = inspect(seen, { depth: 20, showHidden: true, showProxy: true, maxArrayLength: null }) + JSON.stringify(seen);
    for (const literal of [CLIENT.secret, SEAL_KEY, 'wrong-secret-literal', 'agents-own-token-literal', ...made]) {
      expect(shown).not.toContain(literal);
      expect(shown).not.toContain(Buffer.from(literal).toString('base64').replace(/=+$/, ''));
    }
    expect(made.length).toBeGreaterThanOrEqual(4);
  });
});
