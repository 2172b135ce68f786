import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { run } from '../../src/cli/whoami.ts';
import { GATEWAY_AUDIENCE, minimalConfig, type Section } from '../support/config.ts';
import { startIssuer, type TestIssuer } from '../support/oidc-issuer.ts';
import { openTerminal } from './terminal-io.ts';

let issuer: TestIssuer;
let folder: string;
let config: string;

beforeAll(async () => {
  issuer = await startIssuer({ clients: [{ id: 'unused', secret: 'unused-secret' }] });
});
afterAll(() => issuer.close());
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-whoami-'));
  config = join(folder, 'countersign.yaml');
  const identity: Section<'identity'> = {
    audience: [GATEWAY_AUDIENCE],
    issuers: [{ name: 'corp', type: 'oidc', issuer: issuer.issuer, algorithms: ['ES256'] }],
  };
  writeFileSync(config, stringify(minimalConfig({ identity })));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const sign = (claims: object = {}) => issuer.sign({ sub: 'agent-1', aud: GATEWAY_AUDIENCE, ...claims });

describe('countersign whoami', () => {
  it('says who a token makes the caller, and does not print it', async () => {
    const token = await sign({ act: { sub: 'robot' } });
    const io = openTerminal({ COUNTERSIGN_TOKEN: token });
    expect(await run(['--config', config], io)).toBe(0);
    expect(io.out()).toMatch(/principal: +http:\/\/127\.0\.0\.1:\d+#robot\n/);
    expect(io.out()).toMatch(/on behalf of: +http:\/\/127\.0\.0\.1:\d+#agent-1\n/);
    expect(io.out()).not.toMatch(/NO|not reached/);
    for (const part of token.split('.')) expect(io.out() + io.err()).not.toContain(part);
  });

  it('says at which step a token is refused, with code and check, and nothing of the steps after it', async () => {
    const io = openTerminal({ MINE: await sign({ aud: 'https://elsewhere.test' }) });
    expect(await run(['--config', config, '--token', 'env:MINE'], io)).toBe(1);
    expect(io.out()).toContain('yes  its signature holds\n');
    expect(io.out()).toContain('NO   it is addressed to this gateway\n -   it is in force now\n');
    expect(io.out()).toContain('refused: token_audience (aud)\n');
    expect(io.out()).not.toContain('elsewhere');
  });

  it('reads the token from standard input or a file, too', async () => {
    const token = await sign();
    const piped = openTerminal();
    piped.stdin.push(`${token}\n`);
    piped.stdin.push(null);
    expect(await run(['--config', config, '--token', '-', '--json'], piped)).toBe(0);
    expect(JSON.parse(piped.out())).toMatchObject({
      principal: { subject: 'agent-1' },
      steps: expect.arrayContaining([]),
    });
    const path = join(folder, 'token');
    writeFileSync(path, token);
    expect(await run(['--config', config, '--token', `file:${path}`], openTerminal())).toBe(0);
  });

  it('says why the issuer’s keys cannot be had', async () => {
    const token = await sign();
    await issuer.stop();
    const io = openTerminal({ COUNTERSIGN_TOKEN: token });
    expect(await run(['--config', config], io)).toBe(1);
    await issuer.resume();
    expect(io.out()).toContain('NO   its issuer’s keys are at hand\n');
    expect(io.out()).toContain('keys of corp: ECONNREFUSED');
  });

  it('warns of a token on the command line', async () => {
    const io = openTerminal();
    expect(await run(['--config', config, '--token', 'a.b.c'], io)).toBe(1);
    expect(io.err()).toContain('Every process of this host can see a token');
    expect(await run([], openTerminal())).toBe(2);
    expect(await run(['--config', config, '--token', 'env:NONE'], openTerminal())).toBe(1);
  });
});
