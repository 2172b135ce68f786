// A data folder that an earlier gateway wrote, and left when it was killed: the present one opens it, reads every
// digest as it was recorded, verifies the audit log, and releases what people had approved for the identical request.
// Kind: a change of types or of code that silently changes what is stored, recorded or bound.

import { chmodSync, cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { bindingDigest } from '../../src/approvals/binding.ts';
import { closeHold } from '../../src/approvals/closing.ts';
import { verifyAudit } from '../../src/audit/verify.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import { live, type Name, REQUESTS, send } from '../fixtures/old-data-folder/story.ts';
import { fixtureText, startWorld, type World } from '../fixtures/old-data-folder/world.ts';
import { manualClock } from '../support/holds/values.ts';
import { answered, becomes } from './held.ts';

interface Recorded {
  readonly id: string;
  readonly state: string;
  readonly actionDigest: string;
  readonly bindingDigest: string;
  readonly requestDigest: string;
  readonly decisionDigest: string;
}

const FIXTURE = join(import.meta.dirname, '../fixtures/old-data-folder/folder');
const MAIN = join(import.meta.dirname, '../../src/main.ts');
const { takenAt, task, suspension, holds } = JSON.parse(fixtureText('expected.json')) as {
  readonly takenAt: number;
  readonly task: string;
  readonly suspension: string;
  readonly holds: Readonly<Record<Name, Recorded>>;
};

let place: string;
const folder = () => join(place, 'folder');
beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), 'countersign-old-'));
  mkdirSync(folder());
});
afterEach(() => rmSync(place, { recursive: true }));

function copyFixture(to = folder()): void {
  cpSync(FIXTURE, to, { recursive: true });
  // Git keeps no modes, and the gateway takes no key that others may read.
  chmodSync(join(to, 'seal.key'), 0o600);
}
const recordsIn = (data: string): { readonly id: string; readonly record: string }[] => {
  const db = new DatabaseSync(join(data, 'store.db'), { readOnly: true });
  const rows = db.prepare('SELECT id, record FROM hold ORDER BY seq').all();
  db.close();
  return rows.map(({ id, record }) => ({ id: String(id), record: String(record) }));
};
const auditLines = (data: string): string[] =>
  readdirSync(join(data, 'audit')).flatMap((name) =>
    readFileSync(join(data, 'audit', name), 'utf8')
      .trimEnd()
      .split('\n'),
  );

it('is read without a byte of a hold’s record changed, and every binding digest is worked out as it was', async () => {
  copyFixture();
  const stored = recordsIn(folder());
  expect(stored.map(({ id }) => id).sort()).toEqual(
    Object.values(holds)
      .map(({ id }) => id)
      .sort(),
  );
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  const path = join(folder(), 'store.db');
  const store = openSqliteStore({ path, clock: manualClock(takenAt), closeHold, log });
  try {
    for (const { id, record } of stored) {
      const hold = await store.holds.get(id);
      expect(JSON.stringify(hold)).toBe(record);
      expect(hold && bindingDigest(hold)).toBe(hold?.bindingDigest);
    }
  } finally {
    await store.close();
  }
});

describe('a gateway on an old data folder', () => {
  let world: World;
  const open = async (): Promise<void> => {
    world = await startWorld({ place, main: MAIN, startsAt: takenAt + 1_000 });
  };
  afterEach(() => world.close());

  it('has every hold as it was, with what is owed since', async () => {
    copyFixture();
    expect(await verifyAudit(join(folder(), 'audit'))).toMatchObject({ ok: true });
    await open();
    const alice = await world.reviewer('alice', 'finance');
    for (const { id, requestDigest: _request, decisionDigest: _decision, state, ...digests } of Object.values(holds))
      expect(await alice.show(id)).toMatchObject({ ...digests, state: state === 'SENT' ? 'OUTCOME_UNKNOWN' : state });

    // The task with its calls, the suspension, the notices and the credential of the call that was under way.
    expect(await (await world.call(`/countersign/v1/tasks/${task}`)).json()).toMatchObject({ revision: 2 });
    expect((await alice.show(holds.ofTask.id)).task).toMatchObject({ calls: { length: 3 } });
    const sam = await world.reviewer('sam', 'soc');
    expect(await sam.read('/suspensions')).toMatchObject({ suspensions: [{ id: suspension }] });
    expect(await answered(send(world, 'suspended'))).toMatchObject({ status: 403, code: 'principal_suspended' });
    world.hook.respond((_request, response) => response.end());
    await expect.poll(() => world.hook.requests.filter(({ body }) => body.includes(holds.pending.id))).not.toEqual([]);
    await expect.poll(() => world.issuer.requests('/token/revocation')).toBe(1);
    await world.kill();
    expect(await verifyAudit(join(folder(), 'audit'))).toMatchObject({ ok: true });
  });

  it('sends each approved call once, for the identical request', async () => {
    copyFixture();
    await open();
    const alice = await world.reviewer('alice', 'finance');
    expect((await send(world, 'approvedHttp', { 'idempotency-key': 'key-1' })).status).toBe(200);
    expect(await answered(send(world, 'approvedMcp'))).toMatchObject({ status: 200, json: { result: {} } });
    expect(await world.dial(REQUESTS.approvedFeed[0])).toBe('open');
    for (const name of ['approvedHttp', 'approvedMcp', 'approvedFeed'] as const)
      await becomes(alice, holds[name].id, 'EXECUTED');
    expect(world.upstream.arrived).toEqual([
      `POST /ledger/payments?month=7 ${REQUESTS.approvedHttp[1]}`,
      `POST /bank ${REQUESTS.approvedMcp[1]}`,
      'upgrade /feed/prices chat',
    ]);
  });

  it('lets people go on with what waits, and keeps to what was denied', async () => {
    copyFixture();
    await open();
    const [bob, alice] = [await world.reviewer('bob', 'finance'), await world.reviewer('alice', 'finance')];
    await bob.approve(holds.half.id);
    expect((await send(world, 'half')).status).toBe(200);
    await alice.approve(holds.ofTask.id);
    expect((await send(world, 'ofTask', { 'countersign-task': task })).status).toBe(200);
    expect(await answered(send(world, 'denied'))).toMatchObject({ code: 'approval_denied', hold: holds.denied.id });
    for (const [name, code] of [
      ['cancelled', 'approval_revoked'],
      ['revoked', 'approval_revoked'],
      ['expired', 'approval_expired'],
      ['sent', 'outcome_unknown'],
    ] as const)
      expect(await answered(send(world, name))).toMatchObject({ code, hold: holds[name].id });
  });

  it.each(['actionDigest', 'decisionDigest', 'bindingDigest', 'nonce'])(
    'sends nothing under an approval whose %s was changed in the file',
    async (member) => {
      copyFixture();
      const db = new DatabaseSync(join(folder(), 'store.db'));
      const change = db.prepare(`UPDATE hold SET record = json_set(record, '$.${member}', ?) WHERE id = ?`);
      change.run('0'.repeat(64), holds.approvedHttp.id);
      db.close();
      await open();
      const answer = await answered(send(world, 'approvedHttp', { 'idempotency-key': 'key-1' }));
      expect(answer).toMatchObject({ status: 403, code: 'approval_invalidated', hold: holds.approvedHttp.id });
      expect(world.upstream.arrived).toEqual([]);
    },
  );

  it('writes holds and the audit log as the old one did, but for ids, times and random values', async () => {
    world = await startWorld({ place, main: MAIN });
    await live(world);
    await world.kill();
    const old = join(place, 'old');
    copyFixture(old);
    expect(recordsIn(folder()).map(({ record }) => plain(record))).toEqual(
      recordsIn(old).map(({ record }) => plain(record)),
    );
    // Sorted: records of one moment may change places.
    expect(auditLines(folder()).map(plain).sort()).toEqual(auditLines(old).map(plain).sort());
  });
});

/** The text without what differs from run to run. Digests of actions, requests and decisions stay: they must not. */
function plain(text: string): string {
  // The id of the task is part of the request.
  const request = text.includes('"task":') ? /"requestDigest":"[^"]*"/ : '';
  return (
    text
      .replace(request, '')
      .replace(/"seq":\d+,"time":"[^"]*","prev":"[^"]*"/, '')
      .replace(/"crc":"[^"]*"/, '')
      // What this version says besides: the agent's key, the facts about a call, and of a task where it stands.
      .replace(/"agentKey":"[^"]*",|"factsDigest":"[^"]*",/g, '')
      .replace(/"(?:places|targets|mentions)":\[[^\]]*\]/g, '')
      .replace(/"facts":\{"classification":\{[^}]*\},"destinations":\{[^}]*\}\},/g, '')
      .replace(/"(?:classification|destinations)":\{[^}]*\},/g, '')
      .replace(/,"(root|taskRoot)":"task_[\w-]{22}"|,"provenance":"declared"/g, '')
      .replace(/"(salt)":"[^"]*","digest":"[^"]*"/g, '"$1"')
      .replace(/"(version)":"[^"]*"/g, '"$1"')
      .replace(/"(bindingDigest|nonce|claim|claimedBy|traceId|spanId|callTraceId|approvalTraceId)":"[^"]*"/g, '"$1"')
      .replace(/"(heldMs)":\d+/g, '"$1"')
      .replace(/\b(hold|task|susp|cred)_[\w-]{22}/g, '$1')
      .replace(/[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}/g, 'uuid')
      .replace(/\b1[789]\d{11}\b|\d{4}-\d\d-\d\dT[\d:.]{12}Z/g, 'time')
      .replace(/http:\/\/127\.0\.0\.1:(?!18473)\d+/g, 'issuer')
  );
}
