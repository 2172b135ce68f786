// Sessions of a role: asked for with a policy of the rule's, under the hold's name, for no longer than needed; refused
// when they are more.

import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sha256 } from '../../src/domain/canonical.ts';
import type { Minted } from '../../src/domain/credential.ts';
import type { JsonObject } from '../../src/domain/json.ts';
import { awsRefusal } from '../support/aws-verifier.ts';
import { brokerOver } from '../support/broker-over.ts';
import { allowed, callerNamed, released, transferAction } from '../support/clearances.ts';
import { failureOf } from '../support/failures.ts';
import { providerOf } from '../support/providers.ts';
import { grantOf, secretOf } from '../support/signing.ts';
import { type StsServer, startSts } from '../support/sts-server.ts';

const narrow = { actions: ['s3:DeleteObject'], resources: ['arn:aws:s3:::ledger/2026.csv'] };
const HOLD = 'hold_1t2ySUxHqXY2C2rdZ5Nzqg';

let sts: StsServer;
beforeEach(async () => {
  sts = await startSts();
});
afterEach(() => sts.stop());

const provider = (more: object = {}) =>
  providerOf({
    type: 'aws-sts',
    roleArn: 'arn:aws:iam::123456789012:role/agents/ledger',
    webIdentityToken: secretOf('web-identity-token-literal'),
    region: 'eu-central-1',
    service: 's3',
    endpoint: sts.origin,
    ...more,
  });

async function sign({ injection }: Minted): Promise<readonly string[]> {
  if (injection.in !== 'signature') throw new Error('not a signature');
  const request = {
    method: 'DELETE',
    authority: 'ledger.s3.eu-central-1.amazonaws.com',
    target: '/2026.csv',
    headers: [],
    received: [],
  };
  return injection.sign({ ...request, bodyDigest: sha256('') });
}

describe('a session', () => {
  it('has the policy of the rule, the name of the hold and the least life', async () => {
    const minted = await provider().mint(grantOf(narrow, { holdId: HOLD }));
    expect(sts.sessions).toHaveLength(1);
    expect(sts.sessions[0]).toMatchObject({
      RoleSessionName: HOLD,
      DurationSeconds: '900',
      RoleArn: 'arn:aws:iam::123456789012:role/agents/ledger',
    });
    expect(JSON.parse(sts.sessions[0]?.Policy ?? '')).toEqual({
      Version: '2012-10-17',
      Statement: [{ Effect: 'Allow', Action: narrow.actions, Resource: narrow.resources }],
    });
    expect(minted).toMatchObject({
      revocability: 'none',
      granted: { session: HOLD, policy: { Statement: [{ Resource: narrow.resources }] } },
    });
    expect(minted.handle).toBeUndefined();
    expect((minted.expiresAt ?? 0) - Date.now()).toBeLessThanOrEqual(900_000);
  });

  it('signs what the verifier accepts under its own key, and shows none of its secrets', async () => {
    const minted = await provider().mint(grantOf(narrow));
    const added = await sign(minted);
    const [, accessKeyId = ''] = /Credential=([^/]+)\//.exec(added.at(-1) ?? '') ?? [];
    const secretAccessKey = sts.secretOf(accessKeyId) ?? '';
    const wire = {
      method: 'DELETE',
      target: '/2026.csv',
      rawHeaders: ['host', 'ledger.s3.eu-central-1.amazonaws.com', ...added],
      body: '',
    };
    expect(awsRefusal(wire, { secretAccessKey, region: 'eu-central-1', service: 's3' })).toBeUndefined();
    expect(added).toContain('x-amz-security-token');
    expect(minted.secrets.map((one) => one.reveal())).toContain(secretAccessKey);
    expect(inspect(minted, { depth: 9 }) + JSON.stringify(minted)).not.toContain(secretAccessKey);
  });

  it('without a hold is named after its principal, always the same', async () => {
    await provider().mint(grantOf(narrow));
    await provider().mint(grantOf(narrow));
    const names = sts.sessions.map(({ RoleSessionName }) => RoleSessionName);
    expect(names[0]).toMatch(/^countersign-[0-9a-f]{32}$/);
    expect(new Set(names).size).toBe(1);
  });

  it('takes from the configuration what the rule does not say', async () => {
    await provider({ actions: ['s3:GetObject'], resources: ['arn:aws:s3:::ledger/*'] }).mint(
      grantOf({ resources: narrow.resources }),
    );
    expect(JSON.parse(sts.sessions[0]?.Policy ?? '').Statement).toEqual([
      { Effect: 'Allow', Action: ['s3:GetObject'], Resource: narrow.resources },
    ]);
  });
});

describe('nothing is asked of AWS', () => {
  it.each([
    ['a rule without a policy', {}],
    ['a rule without resources', { actions: narrow.actions }],
    ['something that is no action', { ...narrow, actions: ['DeleteObject'] }],
    ['something that is no resource', { ...narrow, resources: ['ledger"},{"Effect":"Allow'] }],
    ['a list of nothing', { ...narrow, actions: [] }],
    ['a member that it does not know', { ...narrow, conditions: {} }],
    [
      'a policy that is too long',
      { ...narrow, resources: Array.from({ length: 100 }, (_, i) => `arn:aws:s3:::ledger/${i}-${'x'.repeat(20)}`) },
    ],
  ] satisfies [string, JsonObject][])('for %s', async (_, scope) => {
    expect(await failureOf(provider().mint(grantOf(scope)))).toMatchObject({ code: 'credential_unavailable' });
    expect(sts.requests).toEqual([]);
  });
});

describe('an answer', () => {
  it.each([
    [
      'of another role',
      (xml: string) => xml.replace('assumed-role/ledger', 'assumed-role/admin'),
      'credential_too_broad',
    ],
    ['of another session', (xml: string) => xml.replaceAll(HOLD, 'somebody'), 'credential_too_broad'],
    [
      'that lives longer than asked',
      (xml: string) => xml.replace(/<Expiration>[^<]*/, '<Expiration>2099-01-01T00:00:00Z'),
      'credential_too_broad',
    ],
    [
      'without a session token',
      (xml: string) => xml.replace(/<SessionToken>[^<]*<\/SessionToken>/, ''),
      'credential_unavailable',
    ],
    [
      'with two secrets',
      (xml: string) => xml.replace('<Credentials>', '<Credentials><SecretAccessKey>x</SecretAccessKey>'),
      'credential_unavailable',
    ],
    [
      'that has expired',
      (xml: string) => xml.replace(/<Expiration>[^<]*/, '<Expiration>never'),
      'credential_unavailable',
    ],
    ['that is no XML', () => '{}', 'credential_unavailable'],
  ])('%s is refused', async (_, alter, code) => {
    sts.alter(alter);
    expect(await failureOf(provider().mint(grantOf(narrow, { holdId: HOLD })))).toMatchObject({ code });
  });

  it('that refuses is told by its code alone', async () => {
    const thrown = await failureOf(provider({ webIdentityToken: secretOf('another') }).mint(grantOf(narrow)));
    expect(thrown).toMatchObject({ code: 'credential_unavailable', detail: 'AWS STS refused: InvalidIdentityToken.' });
    expect(inspect(thrown)).not.toContain('web-identity-token-literal');
  });
});

it('is made once for each released call, and once for allowed calls that share', async () => {
  const { broker } = brokerOver(provider());
  const plan = { name: 'aws', scope: narrow };
  await Promise.all(
    Array.from({ length: 500 }, () => broker.issue(allowed(plan), callerNamed('agent'), transferAction)),
  );
  expect(sts.sessions).toHaveLength(1);
  const clearances = Array.from({ length: 20 }, () => released(plan));
  await Promise.all(clearances.map((clearance) => broker.issue(clearance, callerNamed('agent'), transferAction)));
  expect(sts.sessions).toHaveLength(21);
  expect(new Set(sts.sessions.map(({ RoleSessionName }) => RoleSessionName)).size).toBe(21);
  await broker.close();
});
