// Who gets which credential of the broker: one of its own for a released call, a shared one for calls that are allowed
// and alike, made once, renewed early, and shown to nobody in what fails or is logged.

import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { CredentialBroker } from '../../src/credentials/broker.ts';
import type { BrokerProvider } from '../../src/credentials/broker-provider.ts';
import type { Clearance } from '../../src/domain/clearance.ts';
import type { Credential } from '../../src/domain/credential.ts';
import {
  agent,
  type BrokerBench,
  bearerOf,
  CLIENT,
  openBrokerBench,
  plan,
  RESOURCE,
  SEAL_KEY,
  seal,
} from '../support/broker-bench.ts';
import { allowed, callerNamed, principalNamed, released, transferAction } from '../support/clearances.ts';

/** `issue` as a promise, whether or not a shared credential was at hand. */
const issueFrom = async (broker: Pick<CredentialBroker, 'issue'>, clearance: Clearance) =>
  broker.issue(clearance, agent, transferAction);

describe('the broker', () => {
  let bench: BrokerBench;
  beforeEach(async () => {
    bench = await openBrokerBench();
  });
  afterEach(() => bench.close());

  it('makes nothing for a decision that plans no credential', async () => {
    expect(await bench.brokerWith().issue(allowed(), agent, transferAction)).toBeUndefined();
    expect(bench.issuer.requests('/token')).toBe(0);
  });

  it('mints once for 500 allowed calls that ask at once', async () => {
    const broker = bench.brokerWith();
    const credentials = await Promise.all(
      Array.from({ length: 500 }, () => broker.issue(allowed(plan), agent, transferAction)),
    );
    expect(new Set(credentials).size).toBe(1);
    expect(credentials[0]?.exclusive).toBe(false);
    expect(bench.issuer.requests('/token')).toBe(1);
    expect(bench.issuer.requests('/.well-known/openid-configuration')).toBe(1);
  });

  it('mints for each released call alone', async () => {
    const broker = bench.brokerWith();
    const credentials = await Promise.all(
      Array.from({ length: 20 }, () => broker.issue(released(plan), agent, transferAction)),
    );
    expect(new Set(credentials.map(bearerOf)).size).toBe(20);
    expect(new Set(credentials.map((credential) => credential?.id)).size).toBe(20);
    expect(credentials.every((credential) => credential?.exclusive)).toBe(true);
    expect(bench.issuer.requests('/token')).toBe(20);
  });

  it('never serves a released call from what is shared', async () => {
    const broker = bench.brokerWith();
    const shared = await broker.issue(allowed(plan), agent, transferAction);
    const own = await broker.issue(released(plan), agent, transferAction);
    expect(bearerOf(own)).not.toBe(bearerOf(shared));
  });

  it('shares with nobody else, for nothing else and nowhere else', async () => {
    const broker = bench.brokerWith();
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
    const broker = bench.brokerWith();
    const one = await broker.issue(
      allowed({ name: plan.name, scope: { scope: ['transfers:read'], resource: RESOURCE } }),
      agent,
      transferAction,
    );
    const two = await broker.issue(
      allowed({ name: plan.name, scope: { resource: RESOURCE, scope: ['transfers:read'] } }),
      agent,
      transferAction,
    );
    expect(two).toBe(one);
  });

  it('stops sharing what another configuration made', async () => {
    const broker = bench.brokerWith();
    const before = await broker.issue(allowed(plan), agent, transferAction);
    bench.provider = bench.providerWith(CLIENT.secret);
    expect(await broker.issue(allowed(plan), agent, transferAction)).not.toBe(before);
  });

  it('tells before the mint whether it will be for one call alone', () => {
    const broker = bench.brokerWith();
    expect([broker.mintsAlone(allowed()), broker.mintsAlone(allowed(plan)), broker.mintsAlone(released(plan))]).toEqual(
      [false, false, true],
    );
  });

  it('never hands out an expired credential', async () => {
    const broker = bench.brokerWith();
    const before = await broker.issue(allowed(plan), agent, transferAction);
    bench.now = before?.expiresAt ?? 0;
    const after = await broker.issue(allowed(plan), agent, transferAction);
    expect(bearerOf(after)).not.toBe(bearerOf(before));
  });

  it('renews early, serving calls meanwhile with what is there, and then revokes the old one', async () => {
    const broker = bench.brokerWith({ lingerMs: 0 });
    const before = await broker.issue(allowed(plan), agent, transferAction);
    bench.now += 280_000;
    expect(await broker.issue(allowed(plan), agent, transferAction)).toBe(before);
    await vi.waitFor(async () => expect(await broker.issue(allowed(plan), agent, transferAction)).not.toBe(before), {
      timeout: 10_000,
    });
    expect(bench.issuer.requests('/token')).toBe(2);
    await vi.waitFor(async () => expect(await bench.issuer.isActive(bearerOf(before))).toBe(false), {
      timeout: 10_000,
    });
  });

  it('goes on with what is there when renewing fails', async () => {
    const broker = bench.brokerWith();
    const before = await broker.issue(allowed(plan), agent, transferAction);
    await bench.issuer.stop();
    bench.now += 280_000;
    expect(await broker.issue(allowed(plan), agent, transferAction)).toBe(before);
    await vi.waitFor(() => expect(bench.warnings.at(-1)?.event).toBe('countersign.credential.mint_failed'), {
      timeout: 10_000,
    });
    expect(await broker.issue(allowed(plan), agent, transferAction)).toBe(before);
  });

  it('remembers a failure for a second', async () => {
    bench.provider = bench.providerWith('wrong-secret-literal');
    const broker = bench.brokerWith();
    const ask = () =>
      expect(broker.issue(allowed(plan), agent, transferAction)).rejects.toMatchObject({
        code: 'credential_unavailable',
      });
    await Promise.all(Array.from({ length: 20 }, ask));
    await ask();
    expect(bench.issuer.requests('/token')).toBe(1);
    bench.now += 1_000;
    await ask();
    expect(bench.issuer.requests('/token')).toBe(2);
  });

  it('gets a fresh credential after the shared one was refused, and revokes that', async () => {
    const broker = bench.brokerWith({ lingerMs: 0 });
    const before = (await broker.issue(allowed(plan), agent, transferAction)) as Credential;
    bench.now += 1_000;
    expect(broker.invalidate(before)).toBe(true);
    const after = await broker.issue(allowed(plan), agent, transferAction);
    expect(bearerOf(after)).not.toBe(bearerOf(before));
    await vi.waitFor(() => expect(bench.ledger.entries.has(before.id)).toBe(false), { timeout: 10_000 });
    expect(await bench.issuer.isActive(bearerOf(before))).toBe(false);
    expect(await bench.issuer.isActive(bearerOf(after))).toBe(true);
  });

  it('does not replace a shared credential that is too fresh to be stale, nor one of a call’s own', async () => {
    const broker = bench.brokerWith();
    const shared = (await broker.issue(allowed(plan), agent, transferAction)) as Credential;
    const own = (await broker.issue(released(plan), agent, transferAction)) as Credential;
    bench.now += 999;
    expect(broker.invalidate(shared)).toBe(false);
    bench.now += 60_000;
    expect(broker.invalidate(own)).toBe(false);
    expect(broker.issue(allowed(plan), agent, transferAction)).toBe(shared);
    expect(bench.issuer.requests('/token')).toBe(2);
  });

  it('mints once for all the calls whose shared credential was refused together', async () => {
    const broker = bench.brokerWith();
    const refused = (await broker.issue(allowed(plan), agent, transferAction)) as Credential;
    bench.now += 1_000;
    const after = await Promise.all(
      Array.from({ length: 100 }, async () => {
        expect(broker.invalidate(refused)).toBe(true);
        return broker.issue(allowed(plan), agent, transferAction);
      }),
    );
    expect(new Set(after).size).toBe(1);
    expect(after[0]).not.toBe(refused);
    expect(bench.issuer.requests('/token')).toBe(2);
  });

  it('refuses a name that is not configured', async () => {
    await expect(issueFrom(bench.brokerWith(), released({ name: 'gone', scope: {} }))).rejects.toMatchObject({
      code: 'credential_unavailable',
    });
  });

  it('says nothing of what a faulty provider threw', async () => {
    const leaky: BrokerProvider = {
      type: 'own',
      shareable: false,
      mint: () => Promise.reject(new Error('leaked-literal')),
    };
    const thrown = await issueFrom(bench.brokerWith({ providers: () => leaky }), allowed(plan)).catch(
      (error: unknown) => error,
    );
    expect(thrown).toMatchObject({ code: 'credential_unavailable' });
    expect(inspect({ thrown, warnings: bench.warnings }, { depth: 20, showHidden: true })).not.toContain(
      'leaked-literal',
    );
  });

  it('shows no secret in anything that it hands out, logs, keeps or throws', async () => {
    const broker = bench.brokerWith();
    const seen: unknown[] = [broker, bench.provider, bench.ledger, bench.warnings, seal, agent];
    for (const clearance of [allowed(plan), released(plan)])
      seen.push(clearance, await broker.issue(clearance, agent, transferAction));
    seen.push([...bench.ledger.entries.values()], await broker.outstanding());
    bench.alter = (answer) => ({ ...answer, scope: 'admin' });
    seen.push(await issueFrom(broker, released(plan)).catch((error: unknown) => error));
    bench.alter = (answer) => ({ ...answer, token_type: 'unheard-of' });
    seen.push(await issueFrom(broker, released(plan)).catch((error: unknown) => error));
    bench.provider = bench.providerWith('wrong-secret-literal');
    seen.push(bench.provider, await issueFrom(broker, released(plan)).catch((error: unknown) => error));

    const shown =
      inspect(seen, { depth: 20, showHidden: true, showProxy: true, maxArrayLength: null }) + JSON.stringify(seen);
    for (const literal of [
      CLIENT.secret,
      SEAL_KEY,
      'wrong-secret-literal',
      'agents-own-token-literal',
      ...bench.made,
    ]) {
      expect(shown).not.toContain(literal);
      expect(shown).not.toContain(Buffer.from(literal).toString('base64').replace(/=+$/, ''));
    }
    expect(bench.made.length).toBeGreaterThanOrEqual(4);
  });
});
