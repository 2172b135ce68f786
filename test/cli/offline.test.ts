import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openAuditLog } from '../../src/audit/journal.ts';
import { run as audit } from '../../src/cli/audit.ts';
import { run as check } from '../../src/cli/check.ts';
import { systemClock } from '../../src/domain/clock.ts';
import { silentLog } from '../../src/domain/log.ts';
import { noMetrics } from '../../src/domain/metrics.ts';
import { openTerminal } from './terminal-io.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-cli-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('countersign check', () => {
  const CONFIG = `
listeners: { agents: { address: 127.0.0.1:0 } }
store: { type: sqlite, path: db }
audit: { path: audit }
identity: { audience: [a], issuers: [{ name: corp, type: oidc, issuer: https://idp.example.org }] }
upstreams: { ledger: { url: https://ledger.example.org } }
rules:
  - { id: reads, match: { upstream: ledger, methods: [GET] }, decide: allow }
`;

  it('says ok, and nothing else, of a file without faults', async () => {
    const path = join(folder, 'good.yaml');
    writeFileSync(path, CONFIG);
    const io = openTerminal();
    expect(await check([path], io)).toBe(0);
    expect(io.out()).toBe('ok\n');
  });

  it('prints every fault with its line, those of the policy too', async () => {
    const path = join(folder, 'bad.yaml');
    writeFileSync(
      path,
      `${CONFIG}  - { id: odd, match: { upstream: ledger }, when: "1 +", decide: allow }\ncolour: red\n`,
    );
    const io = openTerminal();
    expect(await check([path], io)).toBe(1);
    const lines = io.out().trimEnd().split('\n');
    expect(lines).toHaveLength(2);
    expect(lines[0]).toContain(`${path}:9:`);
    expect(lines[0]).toContain('rules[1].when');
    expect(lines[1]).toContain(`${path}:10:1`);
  });

  it('warns of a condition that can be expensive, and refuses nothing', async () => {
    const path = join(folder, 'slow.yaml');
    writeFileSync(
      path,
      `${CONFIG}  - { id: twins, match: {}, when: "args.l.all(x, args.l.exists(y, y == x))", decide: deny }\n`,
    );
    const io = openTerminal();
    expect(await check([path], io)).toBe(0);
    const [warning, verdict] = io.out().trimEnd().split('\n');
    expect(warning).toMatch(/slow\.yaml:9:\d+ warning: rules\[1\]\.when: The time for `args\.l\.exists\(y, y == x\)`/);
    expect(verdict).toBe('ok');
  });

  it('prints that a file is not there', async () => {
    const io = openTerminal();
    expect(await check([join(folder, 'none.yaml')], io)).toBe(1);
    expect(io.out()).toContain('ENOENT');
  });

  it.each([[[]], [['a', 'b']], [['--x']]])('answers %j with its usage', async (args) => {
    expect(await check(args, openTerminal())).toBe(2);
  });
});

describe('countersign audit verify', () => {
  async function writeLog() {
    const path = join(folder, 'audit');
    const log = await openAuditLog({ path, instance: 'i', clock: systemClock, log: silentLog, metrics: noMetrics });
    await log.append('config', 1_800_000_000_000, { version: 'x' }, 'fsync');
    await log.close();
    return { path, file: log.file };
  }

  it('finds a log in order, and says what it cannot know', async () => {
    const { path } = await writeLog();
    const io = openTerminal();
    expect(await audit(['verify', path], io)).toBe(0);
    expect(io.out()).toMatch(/^OK: /);
    expect(io.out()).toContain('note     No checkpoint was given');
  });

  it('finds an edit, and leaves the file as it is', async () => {
    const { path, file } = await writeLog();
    const edited = readFileSync(file, 'utf8').replace('"version":"x"', '"version":"y"');
    writeFileSync(file, edited);
    appendFileSync(file, '');
    const io = openTerminal();
    expect(await audit(['verify', path], io)).toBe(1);
    expect(io.out()).toMatch(/^FAULTS FOUND: /);
    expect(readFileSync(file, 'utf8')).toBe(edited);
  });

  it('prints the report as JSON', async () => {
    const { path } = await writeLog();
    const io = openTerminal();
    expect(await audit(['verify', path, '--json'], io)).toBe(0);
    expect(JSON.parse(io.out())).toMatchObject({ ok: true, files: 1 });
  });

  it('says that a folder is not there', async () => {
    const io = openTerminal();
    expect(await audit(['verify', join(folder, 'none')], io)).toBe(1);
    expect(io.err()).toContain('ENOENT');
  });

  it.each([[[]], [['verify']], [['prove', 'x']], [['verify', 'a', 'b']]])('answers %j with its usage', async (args) => {
    expect(await audit(args, openTerminal())).toBe(2);
  });
});
