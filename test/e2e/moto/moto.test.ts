// The gateway in front of AWS as moto speaks it: sessions, S3 (also copies, tagging and bodies that are no text),
// DynamoDB, KMS and STS, allowed and held, with every signature computed again by AWS's own library.
// docs/providers/aws.md says how to have moto here.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { rule, type Section } from '../../support/config.ts';
import { type Environment, startEnvironment } from '../../support/environment.ts';
import { findMoto, type Moto, startMoto } from './moto.ts';

const programs = findMoto();
const PNG = Buffer.from('89504e470d0a1a0a0000000d49484452ff00', 'hex');

let moto: Moto;
let env: Environment;

async function send(
  path: string,
  {
    method = 'GET',
    type,
    headers = {},
    body,
  }: { method?: string; type?: string; headers?: Record<string, string>; body?: string | Buffer } = {},
) {
  return fetch(`http://127.0.0.1:${env.ports.agents}${path}`, {
    method,
    headers: {
      authorization: `Bearer ${await env.token('agent-1')}`,
      ...(type !== undefined && { 'content-type': type }),
      ...headers,
    },
    ...(body !== undefined && { body: typeof body === 'string' ? body : new Uint8Array(body) }),
  });
}

/** A call that a person approves. */
async function approved(...call: Parameters<typeof send>): Promise<Response> {
  const alice = await env.reviewer('alice');
  const { hold } = await alice.expect('PENDING');
  const answer = send(...call);
  await alice.approve(await hold);
  return answer;
}

const json = async (service: string, target: string, body: object, how = send): Promise<Record<string, unknown>> => {
  const type = `application/x-amz-json-${service === 'kms' ? '1.1' : '1.0'}`;
  const response = await how(`/${service}/`, {
    method: 'POST',
    type,
    headers: { 'x-amz-target': target },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  expect(response.status, text).toBe(200);
  return JSON.parse(text);
};

describe.skipIf(programs === undefined)('in front of moto (skipped where moto_server is not on PATH)', () => {
  beforeAll(async () => {
    moto = await startMoto(programs as string);
    const services = ['s3', 'dynamodb', 'kms', 'sts'];
    const credentialOf = (service: string): Section<'credentials'>[string] => ({
      type: 'aws-sts',
      roleArn: 'arn:aws:iam::123456789012:role/agents',
      webIdentityToken: { env: 'WIT' },
      region: 'eu-central-1',
      service,
      endpoint: moto.origin,
      actions: [`${service}:*`],
      resources: ['*'],
    });
    env = await startEnvironment(
      {
        upstreams: Object.fromEntries(services.map((name) => [name, { url: moto.origin, credential: name }])),
        credentials: Object.fromEntries(services.map((name) => [name, credentialOf(name)])),
        rules: [
          rule.allow('buckets', { upstream: 's3', path: '/:bucket' }),
          rule.allow('uploads', { upstream: 's3', path: '/inbox/*' }),
          rule.allow('ledger-reads', { upstream: 's3', methods: ['GET', 'HEAD'], path: '/ledger/:key' }),
          rule.hold('ledger-writes', { upstream: 's3', methods: ['PUT', 'DELETE'], path: '/ledger/:key' }),
          rule.allow('tables', { upstream: 'dynamodb' }, { when: "!('Item' in args)" }),
          rule.hold('items', { upstream: 'dynamodb' }, { when: "'Item' in args" }),
          rule.allow('keys', { upstream: 'kms' }),
          rule.allow('who', { upstream: 'sts' }),
        ],
      },
      { env: { WIT: 'web-identity-token-literal' } },
    );
  }, 120_000);

  afterAll(async () => {
    if (programs === undefined) return;
    console.log(
      `moto: ${moto.passed.length} requests, ${moto.passed.filter(({ session }) => session).length} sessions, botocore agreed with every signature`,
    );
    await env.close();
    await moto.close();
  });

  it('S3: makes buckets, and takes an object that is no text', async () => {
    const place =
      '<CreateBucketConfiguration><LocationConstraint>eu-central-1</LocationConstraint></CreateBucketConfiguration>';
    for (const bucket of ['inbox', 'ledger'])
      expect((await send(`/s3/${bucket}`, { method: 'PUT', type: 'application/xml', body: place })).status).toBe(200);
    expect((await send('/s3/inbox/a%20picture.png', { method: 'PUT', type: 'image/png', body: PNG })).status).toBe(200);
    expect(Buffer.from(await (await send('/s3/inbox/a%20picture.png')).arrayBuffer())).toEqual(PNG);
    expect(await (await send('/s3/inbox?list-type=2&prefix=a%20')).text()).toContain('<Key>a picture.png</Key>');
  });

  it('S3: an approved copy copies, and does not empty its target', async () => {
    const headers = {
      'x-amz-copy-source': '/inbox/a%20picture.png',
      'x-amz-metadata-directive': 'REPLACE',
      'x-amz-meta-owner': 'finance',
      'x-amz-tagging': 'class=1',
    };
    expect((await approved('/s3/ledger/copy.png', { method: 'PUT', headers })).status).toBe(200);
    const copy = await send('/s3/ledger/copy.png');
    expect(Buffer.from(await copy.arrayBuffer())).toEqual(PNG);
    expect(copy.headers.get('x-amz-meta-owner')).toBe('finance');
  });

  it('S3: tags an object by a body of its own, and by a field of an approved upload', async () => {
    const tags = '<Tagging><TagSet><Tag><Key>class</Key><Value>secret</Value></Tag></TagSet></Tagging>';
    expect(
      (await send('/s3/inbox/a%20picture.png?tagging', { method: 'PUT', type: 'application/xml', body: tags })).status,
    ).toBe(200);
    expect(await (await send('/s3/inbox/a%20picture.png?tagging')).text()).toContain('<Value>secret</Value>');
    const upload = {
      method: 'PUT',
      type: 'text/csv',
      body: 'a,b\n1,2\n',
      headers: { 'x-amz-tagging': 'class=report', 'x-amz-storage-class': 'STANDARD_IA' },
    };
    expect((await approved('/s3/ledger/report.csv', upload)).status).toBe(200);
    expect(await (await send('/s3/ledger/report.csv?tagging')).text()).toContain('<Value>report</Value>');
    expect(await (await send('/s3/ledger/report.csv')).text()).toBe('a,b\n1,2\n');
  });

  it('S3: deletes what was approved for deletion', async () => {
    expect((await approved('/s3/ledger/report.csv', { method: 'DELETE' })).status).toBe(204);
    expect((await send('/s3/ledger/report.csv')).status).toBe(404);
  });

  it('DynamoDB: rules read its JSON, and an approved item is there', async () => {
    const key = {
      AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
      KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
    };
    await json('dynamodb', 'DynamoDB_20120810.CreateTable', {
      TableName: 'accounts',
      BillingMode: 'PAY_PER_REQUEST',
      ...key,
    });
    const item = { id: { S: '7' }, owner: { S: 'acme' } };
    await json('dynamodb', 'DynamoDB_20120810.PutItem', { TableName: 'accounts', Item: item }, approved);
    expect(
      await json('dynamodb', 'DynamoDB_20120810.GetItem', { TableName: 'accounts', Key: { id: { S: '7' } } }),
    ).toEqual({ Item: item });
  });

  it('KMS: encrypts and decrypts', async () => {
    const { KeyMetadata } = (await json('kms', 'TrentService.CreateKey', {})) as { KeyMetadata: { KeyId: string } };
    const sealed = await json('kms', 'TrentService.Encrypt', {
      KeyId: KeyMetadata.KeyId,
      Plaintext: Buffer.from('plain').toString('base64'),
    });
    const opened = await json('kms', 'TrentService.Decrypt', { CiphertextBlob: sealed.CiphertextBlob });
    expect(Buffer.from(String(opened.Plaintext), 'base64').toString()).toBe('plain');
  });

  it('STS: the session is one of the role', async () => {
    const body = 'Action=GetCallerIdentity&Version=2011-06-15';
    const response = await send('/sts/', { method: 'POST', type: 'application/x-www-form-urlencoded', body });
    expect(response.status).toBe(200);
    expect(await response.text()).toMatch(
      /<Arn>arn:aws:sts::123456789012:assumed-role\/agents\/countersign-[0-9a-f]{32}<\/Arn>/,
    );
  });

  it('botocore would have signed every request as the gateway did', () => {
    expect(moto.passed.filter(({ fault }) => fault !== null)).toEqual([]);
    expect(moto.passed.filter(({ session }) => session).length).toBeGreaterThan(3);
    expect(moto.passed.length).toBeGreaterThan(20);
  });
});
