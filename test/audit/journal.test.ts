// The audit log on real files: order, durability, and what happens when the disk or the process fails.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, chmod, readdir, stat, truncate, writeFile as write } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, expect, test } from 'vitest';
import { verifyAudit } from '../../src/audit/verify.ts';
import { sha256 } from '../../src/domain/canonical.ts';
import { linesOf, newFolder, openIn, writeFile } from './folder-of-records.ts';

const APPENDER = new URL('appender.ts', import.meta.url).pathname;
const kinds = (findings: readonly { readonly kind: string }[]): string[] => findings.map((finding) => finding.kind);

describe('a file', () => {
  test('chains every line to the exact bytes of the one before', async () => {
    const lines = await linesOf(await writeFile(await newFolder(), 20));
    expect(lines).toHaveLength(21);
    const records = lines.map((line) => JSON.parse(line));
    expect(records.map((record) => record.seq)).toEqual(Array.from({ length: 21 }, (_, i) => i + 1));
    expect(records[0]).toMatchObject({ v: 1, type: 'start', instance: 'test', previous: null, prev: '0'.repeat(64) });
    for (const [i, line] of lines.slice(0, -1).entries()) expect(records[i + 1].prev).toBe(sha256(line));
  });

  test('keeps the order of the calls to append, whatever their durability', async () => {
    const log = await openIn(await newFolder());
    const seqs = await Promise.all(
      Array.from({ length: 50 }, (_, i) => log.append('config', 0, { i }, i % 3 === 0 ? 'fsync' : 'soon')).map(
        async (place) => (await place).seq,
      ),
    );
    await log.close();
    expect(seqs).toEqual(Array.from({ length: 50 }, (_, i) => i + 2));
    const records = (await linesOf(log.file)).slice(1).map((line) => JSON.parse(line).i);
    expect(records).toEqual(Array.from({ length: 50 }, (_, i) => i));
  });

  test('is readable by its owner alone', async () => {
    const folder = join(await newFolder(), 'audit');
    const file = await writeFile(folder, 1);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect((await stat(folder)).mode & 0o777).toBe(0o700);
  });

  test('shows control, bidirectional and invisible characters as escapes that read back the same', async () => {
    const log = await openIn(await newFolder());
    const text = 'a\u202eb\u200bc\u0085d\u{e0041}e\u2028f\u001bg\ud800';
    await log.append('config', 0, { text }, 'soon');
    await log.close();
    const line = (await linesOf(log.file))[1] as string;
    expect(line).toMatch(/^[\x20-\x7e]*$/);
    expect(JSON.parse(line).text).toBe(text);
  });

  test('refuses a record that sets what the chain owns', async () => {
    const log = await openIn(await newFolder());
    expect(() => log.append('config', 0, { seq: 1 }, 'soon')).toThrow(TypeError);
    await log.append('config', 0, { ok: true }, 'soon');
    await log.close();
    expect(await verifyAudit(log.file)).toMatchObject({ ok: true, records: 2 });
  });

  test('takes nothing more once it is closed', async () => {
    const log = await openIn(await newFolder());
    await log.close();
    await expect(log.append('config', 0, {}, 'soon')).rejects.toMatchObject({ code: 'audit_unavailable' });
  });
});

describe('the folder', () => {
  test('gets a new file at each start, chained to the one before, even when the clock went back', async () => {
    const folder = await newFolder();
    const clock = { now: () => Date.parse('2030-01-01T00:00:00Z') };
    const first = await openIn(folder, { clock });
    await first.close();
    const second = await openIn(folder, { clock: { now: () => Date.parse('2029-01-01T00:00:00Z') } });
    await second.close();
    expect((await readdir(folder)).sort().map((name) => join(folder, name))).toEqual([first.file, second.file]);
    expect(await verifyAudit(folder)).toMatchObject({ ok: true, files: 2, records: 2, warnings: [] });
  });

  test('gets the tail of a crash on record, untouched', async () => {
    const folder = await newFolder();
    const file = await writeFile(folder, 2);
    await appendFile(file, '{"v":1,"seq":4,"ti');
    expect(kinds((await verifyAudit(folder)).faults)).toEqual(['torn_tail']);

    await writeFile(folder, 1);
    const report = await verifyAudit(folder);
    expect(report).toMatchObject({ ok: true, files: 2 });
    expect(kinds(report.warnings)).toEqual(['recorded_tear']);

    await truncate(file, (await stat(file)).size - 1);
    expect(kinds((await verifyAudit(folder)).faults)).toEqual(['torn_tail']);
    await truncate(file, (await stat(file)).size - 17);
    expect(kinds((await verifyAudit(folder)).faults)).toEqual(['torn_bytes_gone']);
  });

  test('goes on from the file before when a start died before its first record', async () => {
    const folder = await newFolder();
    const before = await writeFile(folder, 2);
    await write(join(folder, '29990101T000000000Z-died.jsonl'), '');
    const after = await openIn(folder);
    await after.close();
    expect(await verifyAudit(folder)).toMatchObject({ ok: true, files: 3 });
    const start = JSON.parse((await linesOf(after.file))[0] as string);
    expect(join(folder, start.previous.file)).toBe(before);
  });

  test('that cannot be written is refused at start', async () => {
    const folder = await newFolder();
    await write(join(folder, 'file'), '');
    await expect(openIn(join(folder, 'file'))).rejects.toMatchObject({ code: 'audit_unavailable' });
    if (process.getuid?.() === 0) return;
    await chmod(folder, 0o500);
    await expect(openIn(folder)).rejects.toMatchObject({ code: 'audit_unavailable' });
  });
});

describe('a process', () => {
  test('that is killed has every record on disk that it was promised', async () => {
    const folder = await newFolder();
    const child = spawn(process.execPath, [APPENDER, folder], { stdio: ['ignore', 'pipe', 'inherit'] });
    const promised: number[] = [];
    for await (const line of createInterface({ input: child.stdout })) {
      promised.push(Number(line));
      if (promised.length === 200) child.kill('SIGKILL');
    }
    expect(promised.length).toBeGreaterThanOrEqual(200);

    const [name = ''] = await readdir(folder);
    const kept = new Set<number>();
    for (const line of await linesOf(join(folder, name))) kept.add(JSON.parse(line).seq);
    expect(promised.filter((seq) => !kept.has(seq))).toEqual([]);

    // The next start records what the kill may have cut off; nothing else is wrong.
    await writeFile(folder, 1);
    expect((await verifyAudit(folder)).faults).toEqual([]);
  });

  test('whose disk is full is told so, and what was promised before is there', async () => {
    const folder = await newFolder();
    // RLIMIT_FSIZE in blocks of 1024 bytes: the write that crosses it is cut short, the next one fails, as on a full
    // disk.
    const script = `ulimit -f 16; exec "$0" "$@"`;
    const child = spawn('bash', ['-c', script, process.execPath, APPENDER, folder], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const answers: string[] = [];
    for await (const line of createInterface({ input: child.stdout })) answers.push(line);
    if (child.exitCode === null) await once(child, 'exit');
    expect(child.exitCode).toBe(0);
    expect(answers.at(-1)).toBe('audit_unavailable');
    const promised = answers.slice(0, -1).map(Number);
    expect(promised.length).toBeGreaterThan(8);

    const [name = ''] = await readdir(folder);
    const kept = new Set((await linesOf(join(folder, name))).map((line) => JSON.parse(line).seq));
    expect(promised.filter((seq) => !kept.has(seq))).toEqual([]);
  });
});

// Kind: a journal that is refused for good after a fault that passes, and a process that looks alive meanwhile.
describe('after the disk failed', () => {
  test('a new file goes on when it can, is chained to what is on disk, and says how many records are missing', async () => {
    const folder = await newFolder();
    const script = 'ulimit -S -f 16; exec "$0" "$@"';
    const child = spawn('bash', ['-c', script, process.execPath, APPENDER, folder, '0', 'reopen'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const answers: string[] = [];
    for await (const line of createInterface({ input: child.stdout })) {
      answers.push(line);
      if (line === 'reopened') child.kill('SIGKILL');
    }
    expect(answers.slice(-2)).toEqual(['audit_unavailable', 'reopened']);
    const files = (await readdir(folder)).sort();
    expect(files).toHaveLength(2);
    const [start = ''] = await linesOf(join(folder, files[1] ?? ''));
    const before = await linesOf(join(folder, files[0] ?? ''));
    const { previous, missing } = JSON.parse(start) as {
      previous: { file: string; seq: number };
      missing: { file: string; records: number };
    };
    expect([previous.file, missing.file, previous.seq]).toEqual([files[0], files[0], before.length]);
    expect(missing.records).toBeGreaterThan(0);
    expect((await verifyAudit(folder)).faults).toEqual([]);
  });
});
