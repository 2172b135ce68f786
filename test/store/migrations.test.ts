// A file of the first schema is brought to this one: its holds stay, and can be voted on and stopped like new ones.

import { DatabaseSync } from 'node:sqlite';
import { expect, it } from 'vitest';
import { approve, benchOn, openBench, openHoldBy, principalOf } from '../support/approvals.ts';

/** Takes away what the later steps added. */
const BACK_TO_1 = `
  DROP TABLE used; DROP TABLE passkey; DROP TABLE tool_pin; DROP TABLE notification; DROP TABLE suspension; DROP TABLE passed_call; DROP TABLE vote;
  DROP INDEX hold_escalate; DROP INDEX hold_likeness;
  ALTER TABLE hold DROP COLUMN escalate_at; ALTER TABLE hold DROP COLUMN likeness;
  PRAGMA user_version = 1;
`;

it('keeps the holds of a file of schema 1', async () => {
  const old = openBench();
  const [first, second] = [await openHoldBy(old), await openHoldBy(old, { idempotencyKey: 'k' })];
  old.approvals.close();
  await old.store.close();
  const db = new DatabaseSync(old.path);
  db.exec(BACK_TO_1);
  db.close();

  const bench = benchOn(old.path, old.clock, {}, 2);
  try {
    expect((await approve(bench, first)).state).toBe('APPROVED');
    expect(await bench.store.holds.likes(second, 0)).toMatchObject({ approvedTimes: 0 });
    expect(await bench.store.suspensions.suspend({ principal: principalOf().id }, 'idp#sam', 'odd')).toMatchObject({ revoked: 2 });
  } finally {
    await bench.close();
  }
});
