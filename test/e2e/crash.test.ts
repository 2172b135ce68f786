// kill -9 in each state of a hold, and what the next start finds on the same files: approvals that still count, nothing
// sent twice, nothing left lying open at the issuer, and a record that still verifies.

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect } from 'vitest';
import { verifyAudit } from '../../src/audit/verify.ts';
import { credential, rule } from '../support/config.ts';
import type { Environment } from '../support/environment.ts';
import { freshGatewayTest } from '../support/gateway-test.ts';
import { startIssuer } from '../support/oidc-issuer.ts';
import { startRecorder } from '../support/recorder.ts';
import { answered, approveTransfer, becomes, holdTransfer, transferNow } from './held.ts';

const BANK = 'https://bank.test';
const PAYMENT = { to: 'ACME', amount: 4200 };

type Answer = Record<string, unknown>;

const it = freshGatewayTest
  .extend('bank', ({ closes }) => closes(startRecorder()))
  // What the credential's issuer does with its answers.
  .extend('minting', () => ({ alter: (answer: Answer): Answer | Promise<Answer> => answer }))
  .extend('mint', ({ minting, closes }) =>
    closes(
      startIssuer({
        clients: [{ id: 'gateway', secret: 'gateway-secret' }],
        resources: { [BANK]: { scope: 'pay' } },
        alter: (answer) => minting.alter(answer),
      }),
    ),
  )
  .extend('env', ({ bank, mint, environment }) =>
    environment(
      {
        upstreams: { bank: { url: bank.origin, credential: 'minted' } },
        credentials: {
          minted: credential.clientCredentials(mint.issuer, BANK),
        },
        rules: [
          rule.hold('transfers', { upstream: 'api', methods: ['POST'] }),
          rule.hold('payments', { upstream: 'bank', methods: ['POST'] }),
        ],
        limits: { wait: '20s', pendingPerAgent: 100 },
      },
      { env: { MINT_SECRET: 'gateway-secret' } },
    ),
  )
  .extend('alice', ({ env }) => env.reviewer('alice'));

/** SIGKILL, the record checked as it was left, a start on the same files, and the record checked again. */
async function crash(env: Environment): Promise<void> {
  await env.kill();
  expect(await verifyAudit(auditFolder(env))).toMatchObject({ ok: true, faults: [] });
  await env.start();
  expect(await verifyAudit(auditFolder(env))).toMatchObject({ ok: true, faults: [] });
}

const auditFolder = (env: Environment): string => join(env.folder, 'data/audit');

const pay = (env: Environment, options: { headers?: Record<string, string> } = {}) =>
  answered(
    env.call('/bank/payments', { method: 'POST', body: PAYMENT, headers: { prefer: 'wait=0', ...options.headers } }),
  );

describe('a gateway that is killed', { timeout: 90_000 }, () => {
  it('while a hold is PENDING finds it again, and an approval given then is used', async ({ env, alice }) => {
    const { hold } = await alice.expect('PENDING');
    const broken = env.transfer(PAYMENT).catch((error: unknown) => error);
    const id = await hold;
    await crash(env);
    expect(await broken).toBeInstanceOf(TypeError);
    const { stdout } = await promisify(execFile)(process.execPath, [
      'src/main.ts',
      'audit',
      'verify',
      auditFolder(env),
    ]);
    expect(stdout).toMatch(/^OK: \d+ records in 2 files, 0 faults/);
    expect((await alice.show(id)).state).toBe('PENDING');
    await alice.approve(id);
    expect(await transferNow(env, PAYMENT)).toMatchObject({ status: 200, hold: id });
    expect(env.upstream.requests).toHaveLength(1);
  });

  it('while a hold is APPROVED finds the approval again, good for one call', async ({ env, alice }) => {
    const id = await approveTransfer(env, alice, PAYMENT);
    await crash(env);
    expect((await alice.show(id)).state).toBe('APPROVED');
    expect(await transferNow(env, PAYMENT)).toMatchObject({ status: 200, hold: id });
    expect((await transferNow(env, PAYMENT)).code).toBe('approval_pending');
    expect(env.upstream.requests).toHaveLength(1);
  });

  it('while a hold is RELEASING has sent nothing, spends the approval and says so once', async ({
    bank,
    minting,
    env,
    alice,
  }) => {
    const asking = Promise.withResolvers<void>();
    // An issuer that makes the token and never answers.
    minting.alter = () => {
      asking.resolve();
      return new Promise(() => {});
    };
    const { hold: id } = await pay(env);
    await alice.approve(id);
    const broken = pay(env).catch((error: unknown) => error);
    await asking.promise;
    expect((await alice.show(id)).state).toBe('RELEASING');
    await crash(env);
    expect(await broken).toBeInstanceOf(TypeError);
    expect(await alice.show(id)).toMatchObject({ state: 'EXPIRED', expiryReason: 'abandoned' });
    const status = await answered(env.call(`/countersign/v1/holds/${id}`));
    const told = await pay(env);
    expect([told.status, told.code, told.hold]).toEqual([403, 'approval_expired', id]);
    expect(status.code).toBe(told.code);
    const next = await pay(env);
    expect([next.code, next.hold === id]).toEqual(['approval_pending', false]);
    expect(bank.requests).toEqual([]);
  });

  it('while a hold is SENT does not know the outcome, says so to everybody, and takes the credential back', async ({
    bank,
    mint,
    env,
    alice,
  }) => {
    bank.respond(() => {});
    const { hold: id } = await pay(env);
    await alice.approve(id);
    const broken = pay(env).catch((error: unknown) => error);
    const { headers } = await bank.arrived(0);
    const token = headers.authorization?.replace('Bearer ', '') ?? '';
    expect(await mint.isActive(token)).toBe(true);
    expect((await alice.show(id)).state).toBe('SENT');
    await crash(env);
    expect(await broken).toBeInstanceOf(TypeError);

    expect((await alice.show(id)).state).toBe('OUTCOME_UNKNOWN');
    expect(await env.logged('hold.outcome_unknown')).toMatchObject({ level: 'error', hold: id, upstream: 'bank' });
    expect((await answered(env.call(`/countersign/v1/holds/${id}`))).json).toMatchObject({
      state: 'OUTCOME_UNKNOWN',
      code: 'outcome_unknown',
    });
    await expect.poll(() => mint.isActive(token)).toBe(false);
    const told = await pay(env);
    expect([told.status, told.code, told.hold, told.headers.get('x-should-retry')]).toEqual([
      409,
      'outcome_unknown',
      id,
      'false',
    ]);
    const next = await pay(env);
    expect([next.code, next.hold === id]).toEqual(['approval_pending', false]);
    expect(bank.requests).toHaveLength(1);
  });

  it('while a call with an Idempotency-Key is SENT never opens another hold for that key', async ({
    bank,
    env,
    alice,
  }) => {
    bank.respond(() => {});
    const options = { headers: { 'idempotency-key': 'payment-7' } };
    const { hold: id } = await pay(env, options);
    await alice.approve(id);
    const broken = pay(env, options).catch(() => {});
    await bank.arrived(0);
    await crash(env);
    await broken;
    for (let attempt = 0; attempt < 3; attempt++) {
      const told = await pay(env, options);
      expect([told.status, told.hold, told.json.outcome]).toEqual([409, id, 'OUTCOME_UNKNOWN']);
    }
    expect(bank.requests).toHaveLength(1);
  });

  it('after a call was EXECUTED remembers its outcome for the Idempotency-Key', async ({ bank, mint, env, alice }) => {
    const options = { headers: { 'idempotency-key': 'payment-8' } };
    const { hold: id } = await pay(env, options);
    await alice.approve(id);
    expect((await pay(env, options)).status).toBe(200);
    await becomes(alice, id, 'EXECUTED');
    const token = bank.requests[0]?.headers.authorization?.replace('Bearer ', '') ?? '';
    await expect.poll(() => mint.isActive(token)).toBe(false);
    await crash(env);
    expect((await alice.show(id)).state).toBe('EXECUTED');
    expect(await pay(env, options)).toMatchObject({
      status: 409,
      code: 'already_sent',
      json: { outcome: 'EXECUTED', outcomeStatus: 200 },
    });
    expect(bank.requests).toHaveLength(1);
  });

  it('after a denial still refuses the identical call', async ({ env, alice }) => {
    const id = await holdTransfer(env, PAYMENT);
    await alice.deny(id);
    await crash(env);
    expect(await transferNow(env, PAYMENT)).toMatchObject({ status: 403, code: 'approval_denied', hold: id });
    expect(env.upstream.requests).toEqual([]);
  });

  it('in the midst of thirty releases sends none of them twice', async ({ env, alice }) => {
    const bodies = Array.from({ length: 30 }, (_, n) => ({ to: `account-${n}` }));
    const ids = await Promise.all(bodies.map((body) => approveTransfer(env, alice, body)));
    // Every third call is never answered; the kill meets the others somewhere between the claim and the end of the
    // answer.
    env.upstream.respond(
      ({ body }, response) => void (Number(/\d+/.exec(body)?.[0]) % 3 > 0 && response.end('{"ok":true}')),
    );
    const first = bodies.map((body) => transferNow(env, body).catch(() => undefined));
    await env.upstream.arrived(9);
    await crash(env);
    const answers = await Promise.all(first);
    const states = await Promise.all(ids.map(async (id) => (await alice.show(id)).state));
    expect(states.filter((state) => !['APPROVED', 'EXPIRED', 'OUTCOME_UNKNOWN', 'EXECUTED'].includes(state))).toEqual(
      [],
    );
    // Whoever was answered was sent; what is on record as executed was sent; nothing that is open or expired was.
    answers.forEach((answer, n) => {
      if (answer?.status === 200) expect(['EXECUTED', 'OUTCOME_UNKNOWN']).toContain(states[n]);
    });
    const unsent = bodies
      .filter((_, n) => states[n] === 'APPROVED' || states[n] === 'EXPIRED')
      .map((body) => JSON.stringify(body));
    expect(env.upstream.requests.filter(({ body }) => unsent.includes(body))).toEqual([]);

    env.upstream.respond((_request, response) => response.end('{"ok":true}'));
    for (let round = 0; round < 2; round++) await Promise.all(bodies.map((body) => transferNow(env, body)));
    const sent = env.upstream.requests.map(({ body }) => body);
    expect(new Set(sent).size).toBe(sent.length);
  });
});
