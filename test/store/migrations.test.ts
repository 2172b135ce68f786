// A file of an earlier schema is brought to this one: its holds stay, whole, and can be voted on and stopped like new
// ones.

import { mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, it } from 'vitest';
import { heldArguments } from '../../src/domain/held-arguments.ts';
import type { Hold } from '../../src/domain/hold.ts';
import { STEPS } from '../../src/store/schema-steps.ts';
import { approve, benchOn, openBench, openHoldBy } from '../support/holds/bench.ts';
import { actionOf, GENEROUS, manualClock, principalOf } from '../support/holds/values.ts';

const APPLICATION_ID = 0x4353676e;
const BODY = '{"amount":5,"memo":"\\u0000 \\ud83d\\ude00","nothing":null}';
const WORDS = { objective: 'o'.repeat(400), plan: ['look', 'pay'], labels: ['finance'] };
const CALLS = [{ at: 1, upstream: 'ledger', method: 'GET', path: '/accounts', decision: 'allow', status: 200 }];

/** A hold as schemas before the sixth kept it: all of the action in `held_action`, all of the task in the record. */
function insertOldHold(db: DatabaseSync, { action, task, ...rest }: Hold, body: string): void {
  const { gist: _, ...bare } = action;
  const record = { ...rest, ...(task && { task: { id: task.id, revision: task.revision, ...WORDS, calls: CALLS } }) };
  db.prepare(
    `INSERT INTO hold (id, state, principal_id, task_id, request_digest, idempotency_key, deadline, use_by, claimed_by, record)
     VALUES (?, ?, ?, ?, ?, ?, ?, NULL, NULL, ?)`,
  ).run(
    ...[
      rest.id,
      rest.state,
      rest.principal.id,
      task?.id ?? null,
      rest.requestDigest,
      rest.idempotencyKey ?? null,
      rest.deadline,
    ],
    JSON.stringify(record),
  );
  db.prepare('INSERT INTO held_action (hold_id, record) VALUES (?, ?)').run(
    rest.id,
    JSON.stringify({ ...bare, args: JSON.parse(body), bodyText: body }),
  );
}

it.each([1, 2, 3, 4, 5])('keeps the holds of a file of schema %i', async (schema) => {
  const template = openBench();
  const task = await template.store.tasks.open(principalOf().id, WORDS, GENEROUS);
  const [first, second, denied] = [
    await openHoldBy(template, { task, action: actionOf({ args: JSON.parse(BODY) }, BODY) }),
    await openHoldBy(template, { idempotencyKey: 'k' }),
    await openHoldBy(template, { idempotencyKey: 'd' }),
  ];
  await template.close();

  const path = join(mkdtempSync(join(tmpdir(), 'countersign-')), 'store', 'holds.db');
  mkdirSync(join(path, '..'));
  const db = new DatabaseSync(path);
  for (const step of STEPS.slice(0, schema)) db.exec(step);
  db.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${schema};`);
  insertOldHold(db, first, BODY);
  insertOldHold(db, second, '{"amount":5}');
  insertOldHold(db, { ...denied, state: 'DENIED', endedAt: denied.createdAt }, '{"amount":5}');
  db.close();

  const bench = benchOn(path, manualClock());
  try {
    const { gist: _, ...action } = first.action;
    expect(await bench.store.holds.get(first.id)).toEqual({
      ...first,
      action,
      task: { ...first.task, heading: 'o'.repeat(200) },
    });
    const content = await bench.store.holds.content(first.id);
    expect(content).toEqual({ bodyText: BODY, argsAt: [], task: { ...WORDS, calls: CALLS } });
    expect(heldArguments(content ?? {})).toEqual(JSON.parse(BODY));
    expect(await bench.store.holds.content(second.id)).toEqual({ bodyText: '{"amount":5}', argsAt: [] });
    expect(await bench.store.holds.content(denied.id)).toEqual({});
    expect((await approve(bench, first)).state).toBe('APPROVED');
    if (schema === 1) expect(await bench.store.holds.similar(second, 0)).toMatchObject({ approvedTimes: 0 });
    expect(
      await bench.store.suspensions.suspend({ principal: principalOf().id }, { by: 'idp#sam', reason: 'odd' }),
    ).toMatchObject({
      revoked: 2,
    });
  } finally {
    await bench.close();
  }
});
