// AWS through the whole gateway: a session per released call, named after its hold, and a request that is signed as it
// arrives.

import { expect } from 'vitest';
import { sha256 } from '../../src/domain/canonical.ts';
import { awsRefusal } from '../support/aws-verifier.ts';
import { credential, rule } from '../support/config.ts';
import { writtenBy } from '../support/environment.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';
import { type RecordedRequest, startRecorder } from '../support/recorder.ts';
import { type StsServer, startSts } from '../support/sts-server.ts';

const it = gatewayTest
  .extend('sts', file, ({ closes }) => closes(startSts(), (sts) => sts.stop()))
  .extend('s3', file, ({ closes }) => closes(startRecorder()))
  .extend('env', file, ({ sts, s3, environment }) =>
    environment(
      {
        upstreams: { s3: { url: s3.origin, credential: 'aws', traceContext: true } },
        credentials: {
          aws: credential.awsRole(sts.origin),
        },
        rules: [
          rule.hold(
            'delete-object',
            { upstream: 's3', methods: ['DELETE'], path: '/ledger/:key' },
            { credential: { actions: ['s3:DeleteObject'], resources: ['arn:aws:s3:::ledger/{key}'] } },
          ),
          rule.hold(
            'delete-table',
            { upstream: 's3', methods: ['POST'], path: '/' },
            {
              when: 'args.TableName == "scratch"',
              credential: { actions: ['dynamodb:DeleteTable'], resources: ['*'] },
            },
          ),
          rule.allow(
            'put-object',
            { upstream: 's3', methods: ['PUT'], path: '/inbox/:key' },
            { credential: { actions: ['s3:PutObject'], resources: ['arn:aws:s3:::inbox/{key}'] } },
          ),
        ],
      },
      { env: { WIT: 'web-identity-token-literal' } },
    ),
  );

function refusal(sts: StsServer, { method, url, rawHeaders, body }: RecordedRequest): string | undefined {
  const [, accessKeyId = ''] = /Credential=([^/]+)\//.exec(rawHeaders.join('\n')) ?? [];
  const expected = { secretAccessKey: sts.secretOf(accessKeyId) ?? '', region: 'eu-central-1', service: 's3' };
  return awsRefusal({ method, target: url, rawHeaders, body }, expected);
}

it('a released call has a session of its own, confined to the object of its path and named after its hold', async ({
  sts,
  s3,
  env,
}) => {
  const alice = await env.reviewer('alice');
  const { hold } = await alice.expect('PENDING');
  const answer = env.call('/s3/ledger/2026.csv', { method: 'DELETE' });
  const id = await hold;
  expect(sts.requests).toEqual([]);
  await alice.approve(id);
  expect((await answer).status).toBe(200);
  expect(sts.sessions).toHaveLength(1);
  expect(sts.sessions[0]?.RoleSessionName).toBe(id);
  expect(JSON.parse(sts.sessions[0]?.Policy ?? '').Statement).toEqual([
    { Effect: 'Allow', Action: ['s3:DeleteObject'], Resource: ['arn:aws:s3:::ledger/2026.csv'] },
  ]);
  const arrived = await s3.arrived(0);
  expect(refusal(sts, arrived)).toBeUndefined();
  expect(arrived.headers.traceparent).toBeDefined();
});

it('an allowed call’s body is read whole, so that its digest can be signed', async ({ sts, s3, env }) => {
  const before = s3.requests.length;
  expect((await env.call('/s3/inbox/a.json', { method: 'PUT', body: { some: 'object' } })).status).toBe(200);
  const arrived = await s3.arrived(before);
  expect(refusal(sts, arrived)).toBeUndefined();
  expect(arrived.headers['x-amz-content-sha256']).toBe(sha256('{"some":"object"}'));
});

// What no rule reads is hashed for the signature, whatever it is; what a rule reads is JSON under AWS's own names too.
it.for([
  ['image/png', '\u0089PNG\r\n'],
  ['application/octet-stream', '\u00ff\u0000'],
  ['application/x-www-form-urlencoded', 'Action=ListQueues&Version=2012-11-05'],
  ['multipart/form-data; boundary=x', '--x--'],
  ['application/x-amz-json-1.0', '{"TableName":"t"}'],
] as const)('an allowed body of %s is hashed and signed', async ([type, body], { s3, env }) => {
  const before = s3.requests.length;
  const bytes = Buffer.from(body, 'latin1');
  const response = await fetch(`http://127.0.0.1:${env.ports.agents}/s3/inbox/a`, {
    method: 'PUT',
    headers: { authorization: `Bearer ${await env.token('agent-1')}`, 'content-type': type },
    body: bytes,
  });
  expect(response.status).toBe(200);
  const { headers } = await s3.arrived(before);
  expect(headers).toMatchObject({ 'content-type': type, 'x-amz-content-sha256': sha256(bytes) });
});

it('a rule reads the arguments of DynamoDB’s JSON, and the operation is bound', async ({ sts, s3, env }) => {
  const alice = await env.reviewer('alice');
  const call = (table: string): Promise<Response> =>
    env.call('/s3/', {
      method: 'POST',
      headers: { 'content-type': 'application/x-amz-json-1.0', 'x-amz-target': 'DynamoDB_20120810.DeleteTable' },
      body: { TableName: table },
    });
  expect((await call('production')).status).toBe(403);
  const { hold } = await alice.expect('PENDING');
  const answer = call('scratch');
  const id = await hold;
  expect(await alice.show(id)).toMatchObject({
    action: { headers: expect.arrayContaining([{ name: 'x-amz-target', value: 'DynamoDB_20120810.DeleteTable' }]) },
  });
  const before = s3.requests.length;
  await alice.approve(id);
  expect((await answer).status).toBe(200);
  const arrived = await s3.arrived(before);
  expect(refusal(sts, arrived)).toBeUndefined();
  expect(arrived.headers['x-amz-target']).toBe('DynamoDB_20120810.DeleteTable');
});

it('nothing is sent and no session is made for a path that is not a plain name, or a call that no rule matches', async ({
  sts,
  s3,
  env,
}) => {
  const [before, sessions] = [s3.requests.length, sts.requests.length];
  expect((await env.call('/s3/inbox/a%2A', { method: 'PUT', body: {} })).status).toBe(403);
  expect((await env.call('/s3/ledger/2026.csv')).status).toBe(403);
  expect([s3.requests.length, sts.requests.length]).toEqual([before, sessions]);
});

it('neither keys nor tokens are found in logs, audit records or the store', async ({ sts, s3, env }) => {
  const written = writtenBy(env);
  expect(written).toContain('aws-sts');
  const secrets = [
    'web-identity-token-literal',
    ...sts.secrets,
    ...s3.requests.map(({ headers }) => String(headers['x-amz-security-token'])),
  ];
  expect(secrets.length).toBeGreaterThan(4);
  for (const secret of secrets)
    for (const form of [secret, btoa(secret), encodeURIComponent(secret)]) expect(written).not.toContain(form);
});
