// Against a running gateway and after a kill it is proved in test/e2e/credentials.test.ts; here is what else an
// operator may meet.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { closeHold } from '../../src/approvals/closing.ts';
import { run } from '../../src/cli/credentials.ts';
import { systemClock } from '../../src/domain/clock.ts';
import { silentLog } from '../../src/domain/log.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import { minimalConfig } from '../support/config.ts';
import { openTerminal } from './terminal-io.ts';

let folder: string;
let config: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-cli-'));
  config = join(folder, 'countersign.yaml');
  // Port 0 is never answered on.
  const listeners = { agents: { address: '127.0.0.1:0' }, ops: { address: '127.0.0.1:0' } };
  writeFileSync(config, stringify(minimalConfig({ listeners })));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const store = () => openSqliteStore({ path: join(folder, 'store.db'), clock: systemClock, closeHold, log: silentLog });
const entry = {
  id: 'cred_1',
  name: 'ledger',
  provider: 'oauth',
  sealed: 'sealed-literal',
  issuedAt: 1_000,
  attempts: 0,
  holdId: 'hold_1',
};

describe('countersign credentials outstanding', () => {
  it('reads the store of a stopped gateway, without what is sealed', async () => {
    const left = store();
    await left.credentials.intend(entry);
    await left.close();
    const io = openTerminal();
    expect(await run(['outstanding', '--config', config], io)).toBe(1);
    expect(io.out()).toMatch(
      /^cred_1 {2}ledger \(oauth\) {2}issued 1970-01-01T00:00:01.000Z .*hold_1\n1 outstanding \(the store .*; no gateway is running\)\.\n$/,
    );
    const json = openTerminal();
    await run(['outstanding', '--config', config, '--json'], json);
    expect(JSON.parse(json.out())).toEqual([
      { id: 'cred_1', name: 'ledger', provider: 'oauth', issuedAt: 1_000, attempts: 0, holdId: 'hold_1' },
    ]);
  });

  it('says that nothing is outstanding', async () => {
    await store().close();
    const io = openTerminal();
    expect(await run(['outstanding', '--config', config], io)).toBe(0);
    expect(io.out()).toContain('Nothing is outstanding');
  });

  it('says that nobody answers where there is no store either, and makes none', async () => {
    const io = openTerminal();
    expect(await run(['outstanding', '--config', config], io)).toBe(1);
    expect(io.err()).toContain('No gateway answers at http://127.0.0.1:0.');
    await expect(run(['outstanding', '--config', config], openTerminal())).resolves.toBe(1);
  });

  it.each([
    [[]],
    [['everything']],
    [['outstanding', '--url', 'http://127.0.0.1:1', '--config', 'x']],
    [['outstanding', '--colour']],
  ])('explains itself for %j', async (args) => {
    const io = openTerminal();
    expect(await run(args, io)).toBe(2);
    expect(io.err()).toContain('Usage: countersign credentials outstanding');
  });
});
