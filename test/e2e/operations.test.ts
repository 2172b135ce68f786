// What operators rely on: probes that tell the truth, an end that loses nothing, a start that refuses what cannot work
// and says why, and an agent's bad token answered with what is wrong with it.

import { type ExecFileException, execFile, execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { verifyAudit } from '../../src/audit/verify.ts';
import { REVIEW_AUDIENCE, ruleOf } from '../support/config.ts';
import { countFrom } from '../support/count.ts';
import { type Environment, INJECTED_SECRET } from '../support/environment.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';
import { sendRaw } from '../support/raw-http.ts';

const PATIENCE = { timeout: 25_000, interval: 100 };

const serial = countFrom(0);

const it = gatewayTest.extend('env', file, ({ environment }) => environment());

it.afterEach(({ env }) => env.upstream.respond((_request, response) => response.end('{"ok":true}')));

const payment = () => ({ to: 'ACME', reference: `o${serial()}` });
const codeOf = async (response: Response): Promise<string> => ((await response.json()) as { code: string }).code;

async function probe(
  env: Environment,
  path: string,
): Promise<{ readonly status: number; readonly body: Readonly<Record<string, unknown>> }> {
  const response = await fetch(`http://127.0.0.1:${env.ports.ops}${path}`);
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs the command line to its end. */
function countersign(...args: readonly string[]): Promise<Ended> {
  return new Promise((resolve) => {
    // A gateway that starts where it should not is ended here.
    const options = { env: { ...process.env, E2E_SECRET: INJECTED_SECRET }, timeout: 20_000 };
    execFile(process.execPath, ['src/main.ts', ...args], options, (error: ExecFileException | null, out, err) =>
      resolve({ code: error === null ? 0 : Number(error.code), out, err }),
    );
  });
}

function hasPrlimit(): boolean {
  try {
    execFileSync('prlimit', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

describe('probes', () => {
  it('say that the gateway lives and is ready, and what that rests on', async ({ env }) => {
    expect(await probe(env, '/livez')).toMatchObject({ status: 200 });
    const issuers = [{ name: 'test', type: 'oidc', ready: true, keys: 1 }];
    expect(await probe(env, '/readyz')).toMatchObject({
      status: 200,
      body: { ready: true, accepting: true, store: true, audit: true, issuers },
    });
  });

  it('are not on the agents’ listener', async ({ env }) => {
    for (const path of ['/livez', '/readyz', '/metrics']) expect((await env.call(path)).status).toBe(404);
  });
});

describe('an issuer that is away', () => {
  it.afterEach(({ env }) => env.issuer.stop().then(() => env.issuer.resume()));

  it('stops nobody whose keys are known, not even an agent that was never seen before', async ({ env }) => {
    await env.issuer.stop();
    expect((await env.call('/api/accounts', { as: 'agent-late' })).status).toBe(200);
    expect((await probe(env, '/readyz')).status).toBe(200);
  });

  it('keeps a gateway that has no keys from being ready, which it becomes by itself once the issuer is back', async ({
    env,
  }) => {
    await env.terminate();
    await env.issuer.stop();
    await env.start();
    expect(await probe(env, '/livez')).toMatchObject({ status: 200 });
    expect(await probe(env, '/readyz')).toMatchObject({
      status: 503,
      body: { ready: false, issuers: [{ name: 'test', ready: false }] },
    });
    const refused = await env.call('/api/accounts');
    expect([refused.status, refused.headers.get('x-should-retry'), await codeOf(refused)]).toEqual([
      503,
      'true',
      'issuer_unavailable',
    ]);
    await env.issuer.resume();
    await expect.poll(async () => (await probe(env, '/readyz')).status, PATIENCE).toBe(200);
    expect((await env.call('/api/accounts')).status).toBe(200);
  });
});

describe('SIGTERM', () => {
  it('answers a waiting call with 409, ends with 0, and the next start finds the hold', async ({ env }) => {
    const body = payment();
    const alice = await env.reviewer('alice');
    const { hold } = await alice.expect('PENDING');
    const waiting = env.transfer(body);
    const id = await hold;
    const ended = env.terminate();
    const answer = await waiting;
    expect([answer.status, answer.headers.get('countersign-hold'), answer.headers.get('x-should-retry')]).toEqual([
      409,
      id,
      'true',
    ]);
    expect(await codeOf(answer)).toBe('approval_pending');
    expect(await ended).toBe(0);

    await env.start();
    const again = await env.reviewer('alice');
    expect((await again.show(id)).state).toBe('PENDING');
    await again.approve(id);
    const before = env.upstream.requests.length;
    const released = await env.transfer(body);
    expect([released.status, released.headers.get('countersign-hold')]).toEqual([200, id]);
    expect(env.upstream.requests.length).toBe(before + 1);
  });

  it('makes the gateway unready at once and lets a running call end', async ({ env }) => {
    const before = env.upstream.requests.length;
    let finish: () => void = () => {};
    env.upstream.respond((_request, response) => {
      finish = () => void response.end('late');
    });
    const running = env.call('/api/accounts');
    await env.upstream.arrived(before);
    const ended = env.terminate();
    await expect
      .poll(() => probe(env, '/readyz'), PATIENCE)
      .toMatchObject({ status: 503, body: { ready: false, accepting: false } });
    finish();
    const answer = await running;
    expect([answer.status, await answer.text()]).toEqual([200, 'late']);
    expect(await ended).toBe(0);
    await env.start();
  });

  it('ends what waits for news: a reviewer’s stream of events, and an agent’s look at its hold', async ({ env }) => {
    const alice = await env.reviewer('alice');
    const events = await alice.request('/events');
    const id = (await env.transfer(payment(), { headers: { prefer: 'wait=0' } })).headers.get('countersign-hold');
    const looking = env.call(`/countersign/v1/holds/${id}`, { headers: { prefer: 'wait=20' } });
    // Answered after the look has begun to wait, since both came over the same listener in this order.
    await env.call('/api/accounts');
    const ended = env.terminate();
    expect(await (await looking).json()).toMatchObject({ id, state: 'PENDING' });
    expect(await events.text()).toContain('event: snapshot');
    expect(await ended).toBe(0);
    await env.start();
  });
});

describe.skipIf(!hasPrlimit())('a record that cannot be written (skipped where prlimit is absent)', () => {
  it.afterEach(({ env }) => env.terminate().then(() => env.start()));

  it('stops every call before it has an effect, and makes the gateway unready', async ({ env }) => {
    // No file can grow from here on, as on a full disk.
    execFileSync('prlimit', ['--pid', String(env.pid), '--fsize=1:unlimited']);
    const before = env.upstream.requests.length;
    const first = await env.call('/api/accounts');
    const second = await env.transfer(payment());
    expect([first.status, first.headers.get('x-should-retry'), await codeOf(first)]).toEqual([
      503,
      'true',
      'audit_unavailable',
    ]);
    expect(second.status).toBe(503);
    expect(env.upstream.requests.length).toBe(before);
    expect(await probe(env, '/readyz')).toMatchObject({ status: 503, body: { ready: false, audit: false } });
    expect((await probe(env, '/livez')).status).toBe(200);
  });

  // Kind: a fault of the disk that has passed, and a process that stays refused until somebody restarts it.
  it('is over when files can grow again: a new file is begun, which says what is missing, and the record verifies', async ({
    env,
  }) => {
    expect((await env.call('/api/accounts')).status).toBe(200);
    for (let round = 0; round < 2; round++) {
      execFileSync('prlimit', ['--pid', String(env.pid), '--fsize=1:unlimited']);
      const refused = await Promise.all(Array.from({ length: 5 }, () => env.call('/api/accounts')));
      expect(refused.map(({ status }) => status)).toEqual([503, 503, 503, 503, 503]);
      execFileSync('prlimit', ['--pid', String(env.pid), '--fsize=unlimited:unlimited']);
      await expect
        .poll(() => probe(env, '/readyz'), PATIENCE)
        .toMatchObject({ status: 200, body: { ready: true, audit: true } });
      expect((await env.call('/api/accounts')).status).toBe(200);
    }
    expect(await env.logged('audit.reopened')).toMatchObject({ level: 'warn', missing: expect.any(Number) });
    const folder = join(env.folder, 'data/audit');
    const starts = readdirSync(folder)
      .sort()
      .map(
        (name) =>
          JSON.parse(readFileSync(join(folder, name), 'utf8').split('\n')[0] ?? '') as {
            missing?: { records: number; file: string };
          },
      );
    const told = starts.flatMap(({ missing }) => (missing === undefined ? [] : [missing]));
    expect(told).toHaveLength(2);
    for (const { records, file } of told)
      expect([records >= 1, readdirSync(folder).includes(file)]).toEqual([true, true]);
    expect((await verifyAudit(folder)).faults).toEqual([]);
  });
});

describe('a start that cannot work', () => {
  it('is refused on the store of a running gateway, in one clear line', async ({ env }) => {
    const { code, err } = await countersign(
      'serve',
      '--config',
      env.variant('same-store', ({ store }) => {
        store.path = './data/store.db';
      }),
    );
    expect(code).toBe(1);
    expect(err).toMatch(/^store_unavailable: Another process has the store .* open/);
    expect(err.trim().split('\n')).toHaveLength(1);
    expect((await env.call('/api/accounts')).status).toBe(200);
  });

  it('is refused on a port that is taken', async ({ env }) => {
    const path = env.variant('same-port', ({ listeners }) => {
      listeners.agents.address = `127.0.0.1:${env.ports.agents}`;
    });
    const { code, err } = await countersign('serve', '--config', path);
    expect(code).toBe(1);
    expect(err).toMatch(new RegExp(`EADDRINUSE.*127\\.0\\.0\\.1:${env.ports.agents}`));
    expect(err).not.toMatch(/\n\s+at /);
  });

  it('names every fault of a configuration with its line, from serve as from check', async ({ env }) => {
    const path = env.variant('faulty', (config) => {
      Object.assign(config.store, { type: 'paper' });
      Object.assign(ruleOf(config, 'reads'), { decide: 'perhaps' });
      ruleOf(config, 'transfers').tier = 'nobody';
    });
    const lines = readFileSync(path, 'utf8').split('\n');
    const places = ['type: paper', 'decide: perhaps', 'tier: nobody'].map(
      (text) => `${path}:${lines.findIndex((line) => line.includes(text)) + 1}:`,
    );
    const [served, checked] = await Promise.all([countersign('serve', '--config', path), countersign('check', path)]);
    expect([served.code, checked.code]).toEqual([1, 1]);
    for (const place of places.slice(0, 2)) for (const text of [served.err, checked.out]) expect(text).toContain(place);
    expect(served.err + checked.out).not.toContain(INJECTED_SECRET);
  });

  it('names a secret that is not there', async ({ env }) => {
    const { code, err } = await countersign(
      'serve',
      '--config',
      env.variant('no-secret', ({ credentials }) => {
        Object.assign(credentials.key ?? {}, { secret: { env: 'E2E_NO_SUCH_SECRET' } });
      }),
    );
    expect(code).toBe(1);
    expect(err).toContain('E2E_NO_SUCH_SECRET');
  });
});

describe('the command line', () => {
  it('says ok of the configuration that runs, and what it would rather see', async ({ env }) => {
    const { code, out, err } = await countersign('check', env.configPath);
    expect([code, err]).toEqual([0, '']);
    expect(out).toMatch(
      /^\S+:\d+:\d+ warning: rules\[1\]\.tier: Use a credential that is made for each call: .+\nok\n$/,
    );
  });

  it('explains itself', async () => {
    const { code, out } = await countersign('--help');
    expect(code).toBe(0);
    for (const name of ['serve', 'check', 'holds', 'audit']) expect(out).toMatch(new RegExp(`^ +${name}\\b`, 'm'));
    expect((await countersign('--version')).out).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  it.each([[['dance']], [['toString']], [['serve']], [['serve', '--colour', 'red']], [['check']]])(
    'exits with 2 on %j, which cannot be meant',
    async (args) => {
      const { code, out, err } = await countersign(...args);
      expect([code, out]).toEqual([2, '']);
      expect(err).toContain('Usage:');
    },
  );
});

describe('a call whose caller cannot be verified', () => {
  const seconds = (offset: number): number => Math.floor(Date.now() / 1000) + offset;
  const signed = (claims: Readonly<Record<string, unknown>>) => (env: Environment) => env.token('agent-1', claims);
  const good = (env: Environment) => env.token('agent-1');

  it.for([
    ['is addressed to somebody else', signed({ aud: 'somebody-else' }), 'token_audience'],
    ['is a reviewer’s', signed({ aud: REVIEW_AUDIENCE }), 'token_audience'],
    ['has expired', signed({ iat: seconds(-600), exp: seconds(-1) }), 'token_expired'],
    ['is not valid yet', signed({ nbf: seconds(600) }), 'token_not_yet_valid'],
    ['lives too long', signed({ exp: seconds(7 * 86_400) }), 'token_lifetime'],
    ['comes from elsewhere', signed({ iss: 'https://evil.example' }), 'token_untrusted'],
    [
      'was signed with a key of nobody’s',
      (env: Environment) => env.issuer.sign({ sub: 'agent-1', aud: 'https://gateway.test' }, { kid: 'unknown' }),
      'token_key_unknown',
    ],
    [
      'was tampered with',
      async (env: Environment) =>
        (await good(env)).replace(/\.(.)([^.]+)$/, (_all, first, rest) => `.${first === 'A' ? 'B' : 'A'}${rest}`),
      'token_signature',
    ],
    [
      'is not signed',
      async (env: Environment) =>
        `${Buffer.from('{"alg":"none"}').toString('base64url')}.${(await good(env)).split('.')[1]}.`,
      undefined,
    ],
    ['is no token', async () => 'opaque', 'token_malformed'],
  ] as const)('is challenged when the token %s', async ([_what, make, code], { env }) => {
    const before = env.upstream.requests.length;
    const token = await make(env);
    const response = await env.call('/api/accounts', { headers: { authorization: `Bearer ${token}` } });
    expect(response.status).toBe(401);
    const problem = await response.text();
    if (code === undefined) expect(problem).toMatch(/"code":"token_(malformed|algorithm)"/);
    else expect(JSON.parse(problem)).toMatchObject({ code, status: 401 });
    expect(response.headers.get('www-authenticate')).toMatch(
      /^Bearer realm="countersign", error="invalid_token", error_description="[^"]+"$/,
    );
    expect(problem).not.toContain(token.split('.')[2] || 'opaque');
    expect(env.upstream.requests.length).toBe(before);
  });

  it('is told the scheme and no error when it carries no token', async ({ env }) => {
    const response = await fetch(`http://127.0.0.1:${env.ports.agents}/api/accounts`);
    expect([response.status, response.headers.get('www-authenticate'), await codeOf(response)]).toEqual([
      401,
      'Bearer realm="countersign"',
      'unauthenticated',
    ]);
  });

  it('is refused with 400 when it carries two', async ({ env }) => {
    const field = `Authorization: Bearer ${await good(env)}`;
    const { status, body } = await sendRaw(
      env.ports.agents,
      `GET /api/accounts HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${field}\r\n${field}\r\n\r\n`,
    );
    expect([status, (JSON.parse(body) as { code: string }).code]).toEqual([400, 'bad_header']);
  });
});
