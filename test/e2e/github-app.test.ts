// A GitHub token through the whole gateway, which is killed in the middle: none is made for what was not released, one
// for what was, and each is deleted at GitHub however the call ends.

import { describe, expect } from 'vitest';
import { rule } from '../support/config.ts';
import { countFrom } from '../support/count.ts';
import { type Environment, writtenBy } from '../support/environment.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';
import { APP_ID, type GithubServer, INSTALLATION_ID, startGithub } from '../support/github-server.ts';
import { type Recorder, startRecorder } from '../support/recorder.ts';

const it = gatewayTest
  .extend('github', file, async ({ closes }) => {
    const github = await closes(startGithub(), (github) => github.stop());
    await closes({ close: () => expect(github.violations).toEqual([]) });
    return github;
  })
  .extend('api', file, ({ closes }) => closes(startRecorder()))
  .extend('env', file, ({ github, api, environment }) =>
    environment(
      {
        upstreams: { github: { url: api.origin, credential: 'github-app' } },
        credentials: {
          'github-app': {
            type: 'github-app',
            appId: APP_ID,
            installationId: INSTALLATION_ID,
            url: github.origin,
            privateKey: { env: 'APP_KEY' },
            timeout: '2s',
          },
        },
        tiers: {
          destructive: { reviewers: ['group:owners'], count: 1, decideWithin: '5m', useWithin: '2m' },
          brief: { reviewers: ['group:owners'], decideWithin: '1s' },
        },
        rules: [
          rule.hold(
            'delete-repository',
            { upstream: 'github', methods: ['DELETE'], path: '/repos/:owner/:repo' },
            {
              tier: 'destructive',
              credential: { repositories: ['{owner}/{repo}'], permissions: { administration: 'write' } },
            },
          ),
          rule.hold(
            'brief',
            { upstream: 'github', methods: ['PATCH'] },
            { tier: 'brief', credential: { repositories: ['ledger'], permissions: { contents: 'write' } } },
          ),
          rule.deny('never', { upstream: 'github', methods: ['PUT'] }),
        ],
      },
      { env: { APP_KEY: github.privateKey } },
    ),
  );

it.afterEach(({ api }) => api.respond((_request, response) => void response.writeHead(204).end()));

const PATH = '/github/repos/acme/ledger';
const PENDING = { headers: { prefer: 'wait=0' } };

const serial = countFrom(0);

/** A DELETE of its own that an owner approves while it waits. */
async function approved(
  github: GithubServer,
  api: Recorder,
  env: Environment,
  path = PATH,
  signal?: AbortSignal,
): Promise<{ answer: Promise<Response>; before: number; arrived: number }> {
  const [before, arrived] = [github.made.length, api.requests.length];
  const owner = await env.reviewer('olga', ['owners']);
  const { hold } = await owner.expect('PENDING');
  const answer = env.call(`${path}?call=${serial()}`, { method: 'DELETE', ...(signal && { signal }) });
  answer.catch(() => undefined);
  const id = await hold;
  expect(github.made.length).toBe(before);
  await owner.approve(id);
  return { answer, before, arrived };
}

const deleted = (github: GithubServer, token: string | undefined) =>
  expect.poll(() => github.isAlive(token ?? ''), { timeout: 20_000 }).toBe(false);

describe('GitHub is asked for nothing', () => {
  it('for calls that are denied, pending, cancelled, expired or refused by people', async ({ github, api, env }) => {
    const owner = await env.reviewer('olga', ['owners']);
    const before = github.requests.length;
    expect((await env.call(PATH, { method: 'PUT' })).status).toBe(403);
    const pending = await env.call('/github/repos/acme/archive', { method: 'DELETE', ...PENDING });
    expect(pending.status).toBe(409);
    await env.call(`/countersign/v1/holds/${pending.headers.get('countersign-hold')}`, { method: 'DELETE' });
    const refused = await env.call('/github/repos/acme/website', { method: 'DELETE', ...PENDING });
    await owner.deny(refused.headers.get('countersign-hold') ?? '');
    expect((await env.call('/github/repos/acme/website', { method: 'DELETE', ...PENDING })).status).toBe(403);
    expect(await (await env.call(PATH, { method: 'PATCH' })).json()).toMatchObject({ code: 'approval_expired' });
    expect(github.requests.length).toBe(before);
    expect(api.requests).toEqual([]);
  });
});

describe('a released call has one token, for the repository of its path, and it is deleted', () => {
  it('after success', async ({ github, api, env }) => {
    const { answer, before, arrived } = await approved(github, api, env);
    expect((await answer).status).toBe(204);
    expect(github.made.length).toBe(before + 1);
    expect(github.asked.at(-1)).toEqual({ repositories: ['ledger'], permissions: { administration: 'write' } });
    expect(api.requests[arrived]?.headers.authorization).toBe(`Bearer ${github.made.at(-1)}`);
    await deleted(github, github.made.at(-1));
    expect(github.count('DELETE', '/installation/token')).toBe(1);
  });

  it('after the upstream failed, and after it hung up', async ({ github, api, env }) => {
    api.respond((_request, response) => void response.writeHead(500).end());
    const failed = await approved(github, api, env);
    expect((await failed.answer).status).toBe(500);
    await deleted(github, github.made.at(-1));
    api.respond((_request, response) => void response.destroy());
    const cut = await approved(github, api, env);
    expect((await cut.answer).status).toBe(502);
    expect(github.made.length).toBe(cut.before + 1);
    await deleted(github, github.made.at(-1));
  });

  it('after its agent went away', async ({ github, api, env }) => {
    api.respond(() => {});
    const agent = new AbortController();
    const { arrived, before } = await approved(github, api, env, PATH, agent.signal);
    await api.arrived(arrived);
    expect(github.isAlive(github.made.at(-1) ?? '')).toBe(true);
    agent.abort();
    await deleted(github, github.made.at(-1));
    expect(github.made.length).toBe(before + 1);
  });

  it('after GitHub could not be told at first', async ({ github, api, env }) => {
    api.respond(async (_request, response) => {
      await github.stop();
      response.writeHead(204).end();
    });
    const { answer } = await approved(github, api, env);
    expect((await answer).status).toBe(204);
    await env.logged('countersign.credential.revoke_failed');
    expect(github.isAlive(github.made.at(-1) ?? '')).toBe(true);
    await github.resume();
    await deleted(github, github.made.at(-1));
  });

  it('after the gateway was killed while the upstream was at work', async ({ github, api, env }) => {
    api.respond(() => {});
    const { arrived, before } = await approved(github, api, env);
    await api.arrived(arrived);
    await env.kill();
    const token = github.made.at(-1) ?? '';
    expect(github.isAlive(token)).toBe(true);
    await env.start();
    expect(github.isAlive(token)).toBe(false);
    expect(github.made.length).toBe(before + 1);
    expect(api.requests.length).toBe(arrived + 1);
  });
});

it('a path of another owner ends before anything is sent, and the token is deleted', async ({ github, api, env }) => {
  const { answer, arrived } = await approved(github, api, env, '/github/repos/other/ledger');
  expect(await (await answer).json()).toMatchObject({ code: 'credential_too_broad' });
  expect(api.requests.length).toBe(arrived);
  await deleted(github, github.made.at(-1));
});

it('no token and no line of the App’s key is found in logs, audit records or the store', ({ github, env }) => {
  const written = writtenBy(env);
  expect(github.made.length).toBeGreaterThan(5);
  expect(written).toContain('github-app');
  for (const secret of [...github.made, github.privateKey.split('\n')[1] ?? '']) {
    for (const form of [secret, btoa(secret), encodeURIComponent(secret)]) expect(written).not.toContain(form);
  }
});
