// What the broker takes back, and when: on record before a credential is handed out, at its release, after an outage,
// after a crash, with the task or the principal that it was made for, and when the broker closes.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { closeHold } from '../../src/approvals/closing.ts';
import type { Credential } from '../../src/domain/credential.ts';
import { silentLog } from '../../src/domain/log.ts';
import { Secret } from '../../src/domain/secret.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import { agent, type BrokerBench, bearerOf, CLIENT, openBrokerBench, plan, seal } from '../support/broker-bench.ts';
import { allowed, callerNamed, released, transferAction } from '../support/clearances.ts';

const fixed = {
  injection: { in: 'header', name: 'x-key', value: new Secret('fixed-literal') },
  revocability: 'none',
  granted: {},
} as const;

describe('the broker', () => {
  let bench: BrokerBench;
  beforeEach(async () => {
    bench = await openBrokerBench();
  });
  afterEach(() => bench.close());

  it('has the intent to revoke on record, sealed, before it hands a credential out', async () => {
    const clearance = released(plan, 'task_1');
    const credential = await bench.brokerWith().issue(clearance, agent, transferAction);
    const entry = bench.ledger.entries.get(credential?.id ?? '');
    expect(entry).toMatchObject({
      name: plan.name,
      provider: 'oauth-client-credentials',
      taskId: 'task_1',
      expiresAt: credential?.expiresAt,
      attempts: 0,
    });
    expect(entry?.holdId).toMatch(/^hold_/);
    expect(seal.open(credential?.id ?? '', entry?.sealed ?? '').reveal()).toBe(bearerOf(credential));
  });

  it('revokes an exclusive credential at its release, once', async () => {
    const broker = bench.brokerWith();
    const credential = (await broker.issue(released(plan), agent, transferAction)) as Credential;
    expect(await bench.issuer.isActive(bearerOf(credential))).toBe(true);
    expect(await broker.release(credential)).toBe(true);
    expect(await bench.issuer.isActive(bearerOf(credential))).toBe(false);
    expect(await broker.release(credential)).toBe(true);
    expect(bench.issuer.requests('/token/revocation')).toBe(1);
    expect([bench.ledger.entries.size, bench.revoked]).toEqual([0, [true]]);
  });

  it('leaves a shared credential alone at release', async () => {
    const broker = bench.brokerWith();
    const credential = (await broker.issue(allowed(plan), agent, transferAction)) as Credential;
    expect(await broker.release(credential)).toBe(true);
    expect(await bench.issuer.isActive(bearerOf(credential))).toBe(true);
  });

  it('revokes at start what a dead process left', async () => {
    const left = await Promise.all(
      [1, 2, 3].map(() => bench.brokerWith().issue(released(plan), agent, transferAction)),
    );
    expect(bench.ledger.entries.size).toBe(3);
    await bench.brokerWith().start();
    expect(await Promise.all(left.map((credential) => bench.issuer.isActive(bearerOf(credential))))).toEqual([
      false,
      false,
      false,
    ]);
    expect(bench.ledger.entries.size).toBe(0);
  });

  it('revokes at start what a dead process left in a real store', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'broker-'));
    try {
      const open = () =>
        openSqliteStore({ path: join(folder, 'store.db'), clock: { now: () => bench.now }, closeHold, log: silentLog });
      const first = open();
      const credential = await bench
        .brokerWith({ ledger: first.credentials })
        .issue(released(plan), agent, transferAction);
      await first.close();
      const second = open();
      await bench.brokerWith({ ledger: second.credentials }).start();
      expect(await bench.issuer.isActive(bearerOf(credential))).toBe(false);
      expect(await second.credentials.outstanding()).toEqual([]);
      await second.close();
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('keeps what cannot be revoked during an outage, and revokes it when the issuer is back', async () => {
    const broker = bench.brokerWith();
    const credential = (await broker.issue(released(plan), agent, transferAction)) as Credential;
    await bench.issuer.stop();
    expect(await broker.release(credential)).toBe(false);
    expect((await broker.outstanding()).map(({ id, attempts }) => [id, attempts >= 1])).toEqual([
      [credential.id, true],
    ]);
    expect(bench.revoked[0]).toBe(false);
    expect(bench.warnings[0]).toMatchObject({
      event: 'countersign.credential.revoke_failed',
      fields: { credentialId: credential.id, credential: plan.name },
    });
    await bench.issuer.resume();
    await vi.waitFor(() => expect(bench.ledger.entries.size).toBe(0), { timeout: 10_000 });
    expect(await bench.issuer.isActive(bearerOf(credential))).toBe(false);
    expect(bench.revoked.at(-1)).toBe(true);
  });

  it('goes on in the background with what it could not revoke at start', async () => {
    const credential = await bench.brokerWith().issue(released(plan), agent, transferAction);
    await bench.issuer.stop();
    bench.provider = bench.providerWith(CLIENT.secret);
    await bench.brokerWith().start();
    expect(bench.ledger.entries.size).toBe(1);
    await bench.issuer.resume();
    await vi.waitFor(() => expect(bench.ledger.entries.size).toBe(0), { timeout: 10_000 });
    expect(await bench.issuer.isActive(bearerOf(credential))).toBe(false);
  });

  it('keeps what belongs to a provider that is no longer configured', async () => {
    await bench.brokerWith().issue(released(plan), agent, transferAction);
    await bench.brokerWith({ providers: () => undefined }).start();
    expect(bench.ledger.entries.size).toBe(1);
    expect(bench.warnings.at(-1)?.event).toBe('countersign.credential.revoke_failed');
  });

  it('takes a credential back at once and fails when the intent cannot be written', async () => {
    const broker = bench.brokerWith();
    bench.ledger.broken = true;
    await expect(broker.issue(released(plan), agent, transferAction)).rejects.toMatchObject({
      code: 'credential_unavailable',
    });
    expect(bench.made).toHaveLength(1);
    expect(await bench.issuer.isActive(bench.made[0] ?? '')).toBe(false);
    bench.ledger.broken = false;
  });

  it('settles what has expired without a request', async () => {
    const broker = bench.brokerWith();
    const credential = (await broker.issue(released(plan), agent, transferAction)) as Credential;
    bench.now = (credential.expiresAt ?? 0) + 60_000;
    expect(await broker.release(credential)).toBe(true);
    expect([bench.ledger.entries.size, bench.issuer.requests('/token/revocation')]).toEqual([0, 0]);
  });

  it('refuses, and takes back, a credential that was expired when it came', async () => {
    bench.alter = (answer) => ({ ...answer, expires_in: 0 });
    await expect(bench.brokerWith().issue(released(plan), agent, transferAction)).rejects.toMatchObject({
      code: 'credential_unavailable',
    });
    expect(await bench.issuer.isActive(bench.made[0] ?? '')).toBe(false);
  });

  it('keeps a bounded number of shared credentials and revokes those that go', async () => {
    const broker = bench.brokerWith({ maxShared: 2, lingerMs: 0 });
    const credentials: (Credential | undefined)[] = [];
    for (const name of ['a', 'b', 'c'])
      credentials.push(await broker.issue(allowed(plan), callerNamed(name), transferAction));
    await vi.waitFor(() => expect(bench.ledger.entries.size).toBe(2), { timeout: 10_000 });
    expect(await Promise.all(credentials.map((credential) => bench.issuer.isActive(bearerOf(credential))))).toEqual([
      false,
      true,
      true,
    ]);
  });

  it('refuses a grant that is broader than asked for, and takes it back', async () => {
    bench.alter = (answer) => ({ ...answer, scope: 'transfers:read admin' });
    for (const clearance of [allowed(plan), released(plan)]) {
      await expect(bench.brokerWith().issue(clearance, agent, transferAction)).rejects.toMatchObject({
        code: 'credential_too_broad',
      });
    }
    expect(bench.made).toHaveLength(2);
    for (const token of bench.made) expect(await bench.issuer.isActive(token)).toBe(false);
    expect(bench.ledger.entries.size).toBe(0);
  });

  it('takes back everything of a task, and nothing else', async () => {
    const broker = bench.brokerWith();
    const [ended, other] = await Promise.all(
      ['task_1', 'task_2'].map((task) => broker.issue(released(plan, task), agent, transferAction)),
    );
    expect(await broker.revokeFor({ taskId: 'task_1' })).toBe(true);
    expect(await broker.revokeFor({})).toBe(true);
    expect([await bench.issuer.isActive(bearerOf(ended)), await bench.issuer.isActive(bearerOf(other))]).toEqual([
      false,
      true,
    ]);
  });

  it('calls off what is being minted for a task that ends, and takes it back', async () => {
    const broker = bench.brokerWith();
    const asked = broker.issue(released(plan, 'task_1'), agent, transferAction);
    const other = broker.issue(released(plan, 'task_2'), agent, transferAction);
    const refused = expect(asked).rejects.toMatchObject({ code: 'credential_unavailable' });
    expect(await broker.revokeFor({ taskId: 'task_1' })).toBe(true);
    await refused;
    const kept = bearerOf(await other);
    const active = await Promise.all(bench.made.map(bench.issuer.isActive));
    expect(bench.made.filter((_, index) => active[index])).toEqual([kept]);
    expect(bench.made).toHaveLength(2);
  });

  it('no longer hands out to a suspended principal what cannot be revoked', async () => {
    bench.provider = {
      type: 'fixed',
      shareable: true,
      mint: async () => ({ ...fixed, secrets: [new Secret('fixed-literal')] }),
    };
    const broker = bench.brokerWith();
    const before = await broker.issue(allowed(plan), agent, transferAction);
    const others = await broker.issue(allowed(plan), callerNamed('other'), transferAction);
    await broker.revokeFor({ suspended: { principal: agent.principal.id } });
    expect(await broker.issue(allowed(plan), agent, transferAction)).not.toBe(before);
    expect(broker.issue(allowed(plan), callerNamed('other'), transferAction)).toBe(others);
  });

  it('takes back what a suspended principal shares', async () => {
    const broker = bench.brokerWith();
    const before = await broker.issue(allowed(plan), agent, transferAction);
    await broker.revokeFor({ suspended: { principal: agent.principal.id } });
    expect(await bench.issuer.isActive(bearerOf(before))).toBe(false);
    expect(await broker.issue(allowed(plan), agent, transferAction)).not.toBe(before);
  });

  // Kind: a suspension that stops the call leaves the credential that was minted for it.
  const twice = { ...agent, principal: { ...agent.principal, spiffeId: 'spiffe://prod.example/agent' } };
  const party = (id: string) => ({ id, issuer: 'https://idp.example', subject: id.slice(id.indexOf('#') + 1) });
  const subcall = {
    ...agent,
    principal: {
      ...agent.principal,
      onBehalfOf: [party('https://idp.example#alice'), party('https://idp.example#bob')],
    },
  };
  it.each([
    ['the SVID that its token is bound to', twice, 'spiffe://prod.example/agent'],
    ['its own id, although it has an SVID too', twice, agent.principal.id],
    ['the person it acts for', subcall, 'https://idp.example#alice'],
    ['someone further away it acts for', subcall, 'https://idp.example#bob'],
  ])('takes back what a caller has, or is about to get, when the suspension names %s', async (_, caller, suspended) => {
    const broker = bench.brokerWith();
    const [shared, own, others] = await Promise.all([
      broker.issue(allowed(plan), caller, transferAction),
      broker.issue(released(plan), caller, transferAction),
      broker.issue(allowed(plan), callerNamed('other'), transferAction),
    ]);
    const asked = expect(broker.issue(released(plan), caller, transferAction)).rejects.toMatchObject({
      code: 'credential_unavailable',
    });
    expect(await broker.revokeFor({ suspended: { principal: suspended } })).toBe(true);
    await asked;
    const active = await Promise.all(
      [shared, own, others].map((credential) => bench.issuer.isActive(bearerOf(credential))),
    );
    expect(active).toEqual([false, false, true]);
    expect(await broker.issue(allowed(plan), caller, transferAction)).not.toBe(shared);
  });

  it('shares nothing between a caller with its SVID and the same caller without', async () => {
    const broker = bench.brokerWith();
    const plain = await broker.issue(allowed(plan), agent, transferAction);
    const both = await broker.issue(allowed(plan), twice, transferAction);
    expect(both).not.toBe(plain);
    await broker.revokeFor({ suspended: { principal: 'spiffe://prod.example/agent' } });
    expect(broker.issue(allowed(plan), agent, transferAction)).toBe(plain);
  });

  it('revokes what is shared when it closes, and makes no more', async () => {
    const broker = bench.brokerWith();
    const credential = await broker.issue(allowed(plan), agent, transferAction);
    await broker.close();
    expect(await bench.issuer.isActive(bearerOf(credential))).toBe(false);
    expect(bench.ledger.entries.size).toBe(0);
    await expect(broker.issue(allowed(plan), agent, transferAction)).rejects.toMatchObject({ code: 'draining' });
  });

  it('takes back what was being minted while it closed', async () => {
    const broker = bench.brokerWith();
    const asked = broker.issue(released(plan), agent, transferAction);
    const refused = expect(asked).rejects.toMatchObject({ code: 'draining' });
    await broker.close();
    await refused;
    expect(await bench.issuer.isActive(bench.made[0] ?? '')).toBe(false);
  });

  it('closes during an outage and leaves the rest to the next start', async () => {
    const broker = bench.brokerWith();
    const credential = await broker.issue(allowed(plan), agent, transferAction);
    await bench.issuer.stop();
    await broker.close();
    expect(bench.ledger.entries.size).toBe(1);
    await bench.issuer.resume();
    await bench.brokerWith().start();
    expect(await bench.issuer.isActive(bearerOf(credential))).toBe(false);
  });
});
