// The kill switch in the terminal, as somebody types it, over the whole gateway. Kinds of fault: a command that says it
// stopped something and did not, or that a stranger can use; a sandbox under another name; an exemption nobody sees.

import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { stringify } from 'yaml';
import { minimalConfig, rule } from '../support/config.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

const run = (args: readonly string[], env: Record<string, string> = {}): Promise<Ran> =>
  new Promise((resolve) => {
    execFile(process.execPath, ['src/main.ts', ...args], { env: { ...process.env, ...env } }, (error, out, err) =>
      resolve({ code: error === null ? 0 : Number(error.code), out, err }),
    );
  });

const it = gatewayTest.extend('env', file, ({ environment }) =>
  environment({ reviewers: { killSwitch: ['group:soc'] } }),
);

describe('countersign suspend and lift', () => {
  it('stop an upstream, list it, and let its calls through again', async ({ env }) => {
    const { token } = await env.reviewer('sam', ['soc']);
    const as = { COUNTERSIGN_TOKEN: token, COUNTERSIGN_URL: `http://127.0.0.1:${env.ports.reviewers}` };
    const done = await run(['suspend', 'upstream', 'api', '--reason', 'odd calls', '--for', '1h'], as);
    expect(done).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^susp_\S+ {2}upstream api .* until .*odd calls/),
    });
    expect((await env.call('/api/accounts')).status).toBe(403);
    expect((await run(['suspend', 'list'], as)).out).toContain('upstream api');
    const id = /susp_[\w-]+/.exec(done.out)?.[0] ?? '';
    expect(await run(['lift', id], as)).toMatchObject({ code: 0, out: expect.stringMatching(/^Lifted: susp_/) });
    expect((await env.call('/api/accounts')).status).toBe(200);
    expect(await run(['lift', id], as)).toMatchObject({ code: 1, err: expect.stringContaining('not_found') });
  });

  it('say what to write, and do nothing for somebody without the power', async ({ env }) => {
    const alice = await env.reviewer('alice');
    const as = { COUNTERSIGN_TOKEN: alice.token, COUNTERSIGN_URL: `http://127.0.0.1:${env.ports.reviewers}` };
    expect(await run(['suspend', 'everything', '--reason', 'x'], as)).toMatchObject({
      code: 1,
      err: expect.stringContaining('not_a_reviewer'),
    });
    expect(await run(['suspend', 'everything'], as)).toMatchObject({
      code: 2,
      err: expect.stringContaining('--reason'),
    });
    expect(await run(['suspend', 'agents', 'x', '--reason', 'x'], as)).toMatchObject({
      code: 2,
      err: expect.stringContaining('Did you mean `agent`?'),
    });
    expect((await env.call('/api/accounts')).status).toBe(200);
  });
});

describe('a configuration', () => {
  it('has its exemptions listed, those that have ended as ended', async ({ folder }) => {
    const path = join(folder, 'exemptions.yaml');
    const exempt = (until: string) => ({ exempt: { because: 'nightly export', maintainer: 'dana', until } });
    const rules = [rule.allow('old', {}, exempt('2020-01-01')), rule.allow('new', {}, exempt('2999-01-01'))];
    writeFileSync(path, stringify(minimalConfig({ rules })));
    expect((await run(['exemptions', path])).out.split('\n')).toEqual([
      'old  ended 2020-01-01  dana  nightly export',
      'new  until 2999-01-01  dana  nightly export',
      '',
    ]);
    expect(JSON.parse((await run(['exemptions', path, '--json'])).out)).toMatchObject([
      { rule: 'old', ended: true },
      { rule: 'new', ended: false },
    ]);
  });

  it('is refused online when a sandbox leads where another upstream does', async ({ folder }) => {
    const path = join(folder, 'sandbox.yaml');
    const upstreams = {
      prod: { url: 'http://127.0.0.1:9443' },
      sand: { url: 'http://localhost:9443', environment: 'sandbox' },
    };
    writeFileSync(path, stringify(minimalConfig({ upstreams })));
    expect((await run(['check', path])).code).toBe(0);
    expect(await run(['check', path, '--online'])).toMatchObject({
      code: 1,
      out: expect.stringContaining('upstreams.sand.environment: Give the sandbox an address of its own'),
    });
  });
});
