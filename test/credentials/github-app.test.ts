// GitHub App tokens against a server that GitHub's own OpenAPI description drives.

import { generateKeyPairSync } from 'node:crypto';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { UnwantedGrant } from '../../src/credentials/broker-provider.ts';
import type { JsonObject } from '../../src/domain/json.ts';
import { brokerOver } from '../support/broker-over.ts';
import { allowed, callerNamed, released, transferAction } from '../support/clearances.ts';
import { failureOf } from '../support/failures.ts';
import { APP_ID, type GithubServer, INSTALLATION_ID, startGithub } from '../support/github-server.ts';
import { providerOf } from '../support/providers.ts';
import { grantOf, secretOf } from '../support/signing.ts';

const narrow = { repositories: ['acme/ledger'], permissions: { administration: 'write' } };

let github: GithubServer;

beforeEach(async () => {
  github = await startGithub();
});
afterEach(async () => {
  expect(github.violations).toEqual([]);
  await github.stop();
});

const provider = (more: object = {}) =>
  providerOf({
    type: 'github-app',
    appId: APP_ID,
    installationId: INSTALLATION_ID,
    privateKey: secretOf(github.privateKey),
    url: github.origin,
    ...more,
  });

describe('a token', () => {
  it('is asked for with exactly the repositories and permissions of the rule', async () => {
    const minted = await provider().mint(grantOf(narrow));
    expect(github.asked).toEqual([{ repositories: ['ledger'], permissions: { administration: 'write' } }]);
    expect(minted.injection.value.reveal()).toBe(`Bearer ${github.made[0]}`);
    expect(minted).toMatchObject({
      revocability: 'token',
      granted: { repositories: ['acme/ledger'], permissions: { administration: 'write', metadata: 'read' } },
    });
    expect((minted.expiresAt ?? 0) - Date.now()).toBeGreaterThan(3_500_000);
    expect(inspect(minted, { depth: 9 })).not.toContain(github.made[0]);
  });

  it('is deleted with itself as the proof, and deleting it again is no fault', async () => {
    const one = provider();
    const { handle } = await one.mint(grantOf(narrow));
    if (handle === undefined) throw new Error('no handle');
    await one.revoke?.(handle);
    expect(github.isAlive(github.made[0] ?? '')).toBe(false);
    await one.revoke?.(handle);
    expect(github.count('DELETE', '/installation/token')).toBe(2);
  });

  it('takes from the configuration what the rule does not say', async () => {
    await provider({ repositories: ['website'], permissions: { contents: 'read' } }).mint(grantOf({}));
    await provider({ repositories: 'all', permissions: { issues: 'write' } }).mint(
      grantOf({ permissions: { issues: 'read' } }),
    );
    expect(github.asked).toEqual([
      { repositories: ['website'], permissions: { contents: 'read' } },
      { permissions: { issues: 'read' } },
    ]);
  });
});

describe('nothing is asked of GitHub', () => {
  it.each([
    ['a rule that names no repositories', {}, { permissions: { contents: 'read' } }],
    ['a rule that names no permissions', {}, { repositories: ['ledger'] }],
    ['a repository beyond the configured ones', { repositories: ['website'] }, narrow],
    ['another owner than the configured one', { repositories: ['other/ledger'] }, narrow],
    ['all repositories where some are configured', { repositories: ['ledger'] }, { ...narrow, repositories: 'all' }],
    ['a higher permission than the configured one', { permissions: { administration: 'read' } }, narrow],
    ['a permission that is not configured', { permissions: { contents: 'write' } }, narrow],
    ['a path in place of a repository', {}, { ...narrow, repositories: ['acme/ledger/../website'] }],
    ['a level that GitHub does not have', {}, { ...narrow, permissions: { contents: 'all' } }],
    ['no permissions at all', {}, { ...narrow, permissions: {} }],
    ['a member that it does not know', {}, { ...narrow, repositoryIds: [1] }],
  ] satisfies [string, object, JsonObject][])('for %s', async (_, bounds, scope) => {
    expect(await failureOf(provider(bounds).mint(grantOf(scope)))).toMatchObject({ code: 'credential_unavailable' });
    expect(github.requests).toEqual([]);
  });
});

describe('an answer that is broader than what was asked for is refused and taken back', () => {
  it.each([
    ['another permission', (answer) => ({ ...answer, permissions: { administration: 'write', contents: 'read' } })],
    ['a higher level', (answer) => ({ ...answer, permissions: { administration: 'admin' } })],
    [
      'metadata that can be written',
      (answer) => ({ ...answer, permissions: { administration: 'write', metadata: 'write' } }),
    ],
    ['no word on permissions', ({ permissions: _, ...answer }) => answer],
    ['every repository', (answer) => ({ ...answer, repository_selection: 'all' })],
    ['no list of repositories', ({ repositories: _, ...answer }) => answer],
    [
      'another repository',
      (answer) => ({
        ...answer,
        repositories: [...(answer.repositories as object[]), { name: 'website', full_name: 'acme/website' }],
      }),
    ],
    [
      'another owner’s repository',
      (answer) => ({ ...answer, repositories: [{ name: 'ledger', full_name: 'other/ledger' }] }),
    ],
    [
      'a longer life than an hour',
      (answer) => ({ ...answer, expires_at: new Date(Date.now() + 7_200_000).toISOString() }),
    ],
  ] satisfies [string, (answer: Record<string, unknown>) => Record<string, unknown>][])('%s', async (_, alter) => {
    github.alter(alter);
    const thrown = await failureOf(provider().mint(grantOf(narrow)));
    expect(thrown).toBeInstanceOf(UnwantedGrant);
    expect(thrown).toMatchObject({ code: 'credential_too_broad' });
    expect(JSON.stringify(thrown) + inspect(thrown, { depth: 9 }) + thrown.message).not.toContain(github.made[0]);
    const { broker } = brokerOver(provider());
    expect(
      await failureOf(
        Promise.resolve(
          broker.issue(released({ name: 'github', scope: narrow }), callerNamed('agent'), transferAction),
        ),
      ),
    ).toMatchObject({
      code: 'credential_too_broad',
    });
    expect(github.isAlive(github.made[1] ?? '')).toBe(false);
    await broker.close();
  });
});

describe('a refusal of GitHub', () => {
  it('for what the installation does not have says so without echoing anything', async () => {
    const thrown = await failureOf(provider().mint(grantOf({ ...narrow, repositories: ['unknown'] })));
    expect(thrown).toMatchObject({ code: 'credential_unavailable', detail: expect.stringContaining('status 422') });
  });

  it('for another key, another installation, an outage and a key that is no key', async () => {
    const other = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({
      type: 'pkcs8',
      format: 'pem',
    }) as string;
    expect(await failureOf(provider({ privateKey: secretOf(other) }).mint(grantOf(narrow)))).toMatchObject({
      detail: expect.stringContaining('status 401'),
    });
    expect(await failureOf(provider({ installationId: 7 }).mint(grantOf(narrow)))).toMatchObject({
      detail: expect.stringContaining('status 404'),
    });
    expect(await failureOf(provider({ privateKey: secretOf('no key') }).mint(grantOf(narrow)))).toMatchObject({
      detail: expect.stringContaining('PEM'),
    });
    await github.stop();
    expect(await failureOf(provider().mint(grantOf(narrow)))).toMatchObject({
      detail: expect.stringContaining('ECONNREFUSED'),
    });
  });

  it('for a URL that is neither https nor on loopback comes when the provider is made', () => {
    expect(() => provider({ url: 'http://api.github.example' })).toThrow('Plain http is accepted on loopback only');
  });
});

describe('through the broker', () => {
  it('every released call and every allowed call has a token of its own, and each is deleted', async () => {
    const { broker, ledger } = brokerOver(provider());
    const plan = { name: 'github', scope: narrow };
    const clearances = [...Array.from({ length: 10 }, () => released(plan)), allowed(plan), allowed(plan)];
    const issued = await Promise.all(
      clearances.map((clearance) => broker.issue(clearance, callerNamed('agent'), transferAction)),
    );
    expect(new Set(github.made).size).toBe(12);
    expect(github.requests).toHaveLength(12);
    expect(issued.every((credential) => credential?.exclusive)).toBe(true);
    await Promise.all(issued.map((credential) => credential && broker.release(credential)));
    expect(github.made.some(github.isAlive)).toBe(false);
    expect(github.count('DELETE', '/installation/token')).toBe(12);
    expect(await ledger.outstanding()).toEqual([]);
    await broker.close();
  });

  it('calls that need no approval share one where the configuration says so', async () => {
    const { broker } = brokerOver(provider({ share: true }));
    const plan = { name: 'github', scope: narrow };
    await Promise.all(
      Array.from({ length: 50 }, () => broker.issue(allowed(plan), callerNamed('agent'), transferAction)),
    );
    await broker.issue(released(plan), callerNamed('agent'), transferAction);
    expect(github.made).toHaveLength(2);
    await broker.close();
    expect(github.made.some(github.isAlive)).toBe(false);
  });
});
