// Tampering, by property: whatever is done to a record, verification finds it; and misconduct, record by record.

import { readFile, rm, writeFile as write } from 'node:fs/promises';
import { basename } from 'node:path';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { credentialRecord, decisionRecord, outcomeRecord } from '../../src/audit/records.ts';
import { formatReport } from '../../src/audit/report.ts';
import { verifyAudit } from '../../src/audit/verify.ts';
import type { RecordText } from '../../src/domain/audit.ts';
import type { JsonObject } from '../../src/domain/json.ts';
import { callOf, credentialOf, holdOf, releasing, voteOf } from '../support/call-facts.ts';
import { newFolder, openIn, writeFile } from './folder-of-records.ts';

const kinds = (findings: readonly { readonly kind: string }[]): string[] => findings.map((finding) => finding.kind);

/**
 * Two chained files; gives the bytes of one of them and a way to see what verification says of others in their place.
 */
async function tamperable(which: 'older' | 'newest') {
  const folder = await newFolder();
  const older = await writeFile(folder, 6);
  const newest = await writeFile(folder, 6);
  expect(await verifyAudit(folder)).toMatchObject({ ok: true, files: 2, records: 14 });
  const file = which === 'older' ? older : newest;
  const original = await readFile(file);
  return {
    original,
    lines: original.toString('latin1').split('\n').slice(0, -1),
    async isFound(bytes: Uint8Array): Promise<boolean> {
      await write(file, bytes);
      return !(await verifyAudit(folder)).ok;
    },
  };
}

const joined = (lines: readonly string[]): Buffer => Buffer.from(lines.map((line) => `${line}\n`).join(''), 'latin1');

describe.each(['older', 'newest'] as const)('in the %s file', (which) => {
  test('an edit of any single byte is found', async () => {
    const { original, isFound } = await tamperable(which);
    await fc.assert(
      fc.asyncProperty(fc.nat(original.length - 1), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
        const bytes = Uint8Array.from(original);
        bytes[at] = (bytes[at] ?? 0) ^ flip;
        return isFound(bytes);
      }),
      { numRuns: 400 },
    );
  });

  test('an edit that puts its checksum right is found in any line but the last of the newest file', async () => {
    const { lines, isFound } = await tamperable(which);
    const editable = which === 'older' ? lines.length : lines.length - 1;
    for (let at = 0; at < editable; at += 1) {
      const head = (lines[at] as string).replace(/,"crc":"[0-9a-f]{8}"\}$/, '').replace(/"time":"\d/, '"time":"3');
      const edited = `${head},"crc":"${crc32(Buffer.from(head, 'latin1')).toString(16).padStart(8, '0')}"}`;
      expect(edited).not.toBe(lines[at]);
      expect(await isFound(joined(lines.with(at, edited))), `line ${at + 1}`).toBe(true);
    }
  });

  test('the removal of any line but the last of the newest file is found', async () => {
    const { lines, isFound } = await tamperable(which);
    const removable = which === 'older' ? lines.length : lines.length - 1;
    for (let at = 0; at < removable; at += 1)
      expect(await isFound(joined(lines.toSpliced(at, 1))), `line ${at + 1}`).toBe(true);
  });

  test('any two lines that changed places are found', async () => {
    const { lines, isFound } = await tamperable(which);
    await fc.assert(
      fc.asyncProperty(fc.nat(lines.length - 1), fc.nat(lines.length - 1), async (a, b) => {
        fc.pre(a !== b);
        return isFound(joined(lines.with(a, lines[b] as string).with(b, lines[a] as string)));
      }),
      { numRuns: 60 },
    );
  });

  test('a line that stands twice is found, wherever the copy stands', async () => {
    const { lines, isFound } = await tamperable(which);
    await fc.assert(
      fc.asyncProperty(fc.nat(lines.length - 1), fc.nat(lines.length), async (from, to) =>
        isFound(joined(lines.toSpliced(to, 0, lines[from] as string))),
      ),
      { numRuns: 60 },
    );
  });
});

describe('files', () => {
  test('that are taken away are missed, and a cut of an older one is found', async () => {
    const folder = await newFolder();
    const files = [await writeFile(folder, 2), await writeFile(folder, 2), await writeFile(folder, 2)];
    const [first = '', second = ''] = files;
    const bytes = await readFile(second);
    await write(second, bytes.subarray(0, bytes.indexOf(0x0a, bytes.length / 2) + 1));
    expect(kinds((await verifyAudit(folder)).faults)).toEqual(['cut_file']);
    await rm(second);
    expect(kinds((await verifyAudit(folder)).faults)).toEqual(['missing_file']);
    await write(second, bytes);
    await rm(first);
    expect(kinds((await verifyAudit(folder)).faults)).toEqual(['missing_file']);
  });

  test('that begin anew beside an older beginning are found', async () => {
    const folder = await newFolder();
    const elsewhere = await newFolder();
    await writeFile(folder, 2);
    const fresh = await writeFile(elsewhere, 2);
    await write(`${folder}/29990101T000000000Z-fresh.jsonl`, await readFile(fresh));
    expect(kinds((await verifyAudit(folder)).faults)).toEqual(['second_beginning']);
  });

  test('cannot tell of a cut at the very end, and the report says so', async () => {
    const folder = await newFolder();
    const file = await writeFile(folder, 3);
    const text = await readFile(file, 'utf8');
    await write(file, text.slice(0, text.lastIndexOf('\n', text.length - 2) + 1));
    const report = await verifyAudit(folder);
    expect(report.ok).toBe(true);
    expect(formatReport(report).join('\n')).toMatch(
      /No checkpoint was given\. These files alone cannot show whether records were cut off the end/,
    );
  });
});

describe('the lifecycle check', () => {
  type Entry = readonly ['decision' | 'outcome' | 'credential', JsonObject | RecordText];

  async function verdictOn(...entries: Entry[]) {
    const folder = await newFolder();
    const log = await openIn(folder);
    for (const [type, record] of entries) await log.append(type, Date.now(), record, 'soon');
    await log.close();
    const { faults, warnings } = await verifyAudit(folder);
    return { faults: kinds(faults), warnings: kinds(warnings) };
  }

  const span = { traceId: '1'.repeat(32), spanId: '2'.repeat(16), sampled: true };
  const pending = holdOf({ admit: span, approval: span });
  const approved = releasing(pending, [{ ...voteOf('alice'), span }]);
  const { decision } = callOf('allow');
  if (decision === undefined) throw new Error('a call without a decision');
  const released = () => callOf('allow', { hold: approved, status: 201, upstreamStatus: 201 });
  const decided = (facts: Parameters<typeof decisionRecord>[0]): Entry => ['decision', decisionRecord(facts)];
  const ended = (facts: Parameters<typeof outcomeRecord>[0], sent = true, revoked?: boolean): Entry => [
    'outcome',
    outcomeRecord(facts, { sent, ...(revoked !== undefined && { revoked }) }),
  ];

  test('of an allowed, a released, a denied, a refused and a pending call is in order', async () => {
    const allowed = callOf('allow', { id: 'a', status: 200, upstreamStatus: 200 });
    const denied = callOf('deny', { id: 'b', status: 403, error: 'denied' });
    const refused = { id: 'c', receivedAt: 0, method: 'GET', status: 401, error: 'token_expired' as const };
    const pendingCall = callOf('hold', { id: 'd', hold: pending, status: 409, error: 'approval_pending' });
    const entries = [
      decided(allowed),
      ended(allowed),
      decided(denied),
      decided(refused),
      decided(pendingCall),
      decided(released()),
      ended(released()),
    ];
    expect(await verdictOn(...entries)).toEqual({ faults: [], warnings: [] });
  });

  test.each([
    ['denied', callOf('deny', { error: 'denied' })],
    ['still pending', callOf('hold', { hold: pending, error: 'approval_pending' })],
  ])('a %s call that was sent', async (_what, refused) => {
    expect((await verdictOn(decided(refused), ended(refused))).faults).toEqual(['denied_but_sent']);
  });

  test('a call that was sent with no decision before', async () => {
    expect((await verdictOn(ended(callOf('allow')))).faults).toEqual(['sent_without_decision']);
  });

  test.each([
    ['nobody voted', { ...approved, votes: [] }],
    ['somebody denied', { ...approved, votes: [...approved.votes, { ...voteOf('bob', { decision: 'deny' }), span }] }],
    [
      'the vote was on another binding',
      { ...approved, votes: [{ ...voteOf('alice', { bindingDigest: 'f'.repeat(64) }), span }] },
    ],
  ])('a held call that was sent though %s', async (_why, hold) => {
    const facts = { ...released(), hold };
    expect((await verdictOn(decided(facts), ended(facts))).faults).toEqual(['sent_without_approval']);
  });

  test('a held call that was sent with one approval of two, or twice by one person', async () => {
    const requirements = pending.requirements.map((requirement) => ({ ...requirement, count: 2 }));
    const facts = { ...released(), decision: { ...decision, requirements } };
    expect((await verdictOn(decided(facts), ended(facts))).faults).toEqual(['sent_without_approval']);
    const twice = { ...facts, hold: { ...approved, votes: [...approved.votes, ...approved.votes] } };
    expect((await verdictOn(decided(twice), ended(twice))).faults).toEqual(['sent_without_approval']);
  });

  test('a send under another binding, of another action, or a second time', async () => {
    const facts = released();
    expect(
      (await verdictOn(decided(facts), ended({ ...facts, hold: { ...approved, bindingDigest: 'f'.repeat(64) } })))
        .faults,
    ).toEqual(['sent_without_approval']);
    expect((await verdictOn(decided(facts), ended({ ...facts, actionDigest: 'f'.repeat(64) }))).faults).toEqual([
      'sent_another_action',
    ]);
    const again = { ...facts, id: 'second' };
    expect((await verdictOn(decided(facts), ended(facts), decided(again), ended(again))).faults).toEqual([
      'sent_twice',
    ]);
  });

  test('a cleared call without an end is open', async () => {
    expect(await verdictOn(decided(callOf('allow')))).toEqual({ faults: [], warnings: ['open_call'] });
  });

  test('a credential is open until it is revoked or has expired', async () => {
    const facts = { ...callOf('allow'), credential: credentialOf() };
    const past = { ...facts, credential: credentialOf({ expiresAt: Date.now() - 1000 }) };
    expect((await verdictOn(decided(facts), ended(facts, true, true))).warnings).toEqual([]);
    expect((await verdictOn(decided(facts), ended(facts, true, false))).warnings).toEqual(['open_credential']);
    expect((await verdictOn(decided(past), ended(past, true, false))).warnings).toEqual([]);
    const swept: Entry = ['credential', credentialRecord('revoked', facts.credential)];
    expect((await verdictOn(decided(facts), ended(facts, true, false), swept)).warnings).toEqual([]);
  });

  test('is reported with file and line, and ids that cannot forge a line', async () => {
    const folder = await newFolder();
    const log = await openIn(folder);
    await log.append('outcome', 0, { call: 'x\nOK: forged \u001b[2J', sent: true }, 'soon');
    await log.close();
    const lines = formatReport(await verifyAudit(folder));
    expect(lines[0]).toMatch(/^FAULTS FOUND: 2 records in 1 files, 1 faults, 0 warnings$/);
    expect(lines[1]).toBe(
      `fault    ${basename(log.file)}:2  sent_without_decision: call x?OK:?forged???2J was sent and no decision on it is on record before`,
    );
  });
});
