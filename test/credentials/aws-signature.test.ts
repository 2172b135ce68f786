// The signature over the request as it is sent: against AWS's published examples, against a verifier that shares no
// code with the signer (and that AWS's own test suite vouches for), and on the wire through the real forwarder.

import { existsSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { type AwsSigning, awsInjection } from '../../src/credentials/aws-signature.ts';
import { sha256 } from '../../src/domain/canonical.ts';
import type { SignableRequest } from '../../src/domain/credential.ts';
import { Secret } from '../../src/domain/secret.ts';
import { awsRefusal, type WireRequest } from '../support/aws-verifier.ts';
import { failureOf } from '../support/failures.ts';
import { type Recorder, startRecorder } from '../support/recorder.ts';
import { createRig, outgoing, recordingSink } from '../upstream/harness.ts';

const EMPTY = sha256('');
const KEY = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY';
const signing: AwsSigning = { region: 'us-east-1', service: 'service', now: () => Date.parse('2015-08-30T12:36:00Z') };
const keys = {
  accessKeyId: 'AKIDEXAMPLE',
  secretAccessKey: new Secret(KEY),
  sessionToken: new Secret('session-token-literal'),
};

function signable(more: Partial<SignableRequest> = {}): SignableRequest {
  return {
    method: 'GET',
    authority: 'example.amazonaws.com',
    target: '/',
    headers: [],
    received: [],
    bodyDigest: EMPTY,
    ...more,
  };
}

async function signed(
  more: Partial<SignableRequest> & { readonly body?: string },
  how: AwsSigning = signing,
): Promise<WireRequest> {
  const { body = '', ...rest } = more;
  const request = signable({ bodyDigest: sha256(body), ...rest });
  const added = await awsInjection(keys, how).sign(request);
  return {
    method: request.method,
    target: request.target,
    rawHeaders: ['host', request.authority, ...request.headers, ...added],
    body,
  };
}

// Credentials, requests and signatures as printed in "Signature Calculations for the Authorization Header: Transferring
// Payload in a Single Chunk".
describe('the examples of the Amazon S3 API reference', () => {
  const s3 = { region: 'us-east-1', service: 's3', now: () => Date.parse('2013-05-24T00:00:00Z') };
  const example = {
    accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
    secretAccessKey: new Secret('wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY'),
  };
  it.each([
    [
      'get object',
      '/test.txt',
      ['range', 'bytes=0-9'],
      'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
    ],
    ['get bucket lifecycle', '/?lifecycle', [], 'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543'],
    ['list objects', '/?max-keys=2&prefix=J', [], '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7'],
  ])('%s', async (_, target, headers, signature) => {
    const added = await awsInjection(example, s3).sign(
      signable({ authority: 'examplebucket.s3.amazonaws.com', target, headers }),
    );
    expect(added.at(-1)).toContain(`Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request`);
    expect(added.at(-1)).toMatch(new RegExp(`Signature=${signature}$`));
  });
});

interface Vector {
  readonly name: string;
  readonly req: string;
  readonly sreq: string;
}

const FILE = new URL('../../../shared/vectors/aws-sigv4.json', import.meta.url);

describe.skipIf(!existsSync(FILE))(
  'AWS’s published test suite (skipped where ../shared/vectors/aws-sigv4.json is absent)',
  () => {
    const cases: Vector[] = existsSync(FILE) ? JSON.parse(readFileSync(FILE, 'utf8')).cases : [];

    // The suite contradicts itself in one case: the signature is neither that of its canonical form nor that of its
    // signed request.
    const sound = cases.filter(({ name }) => name !== 'post-x-www-form-urlencoded-parameters');

    it.each(sound)('the verifier matchesRequest with $name, and not when a byte is another', ({ sreq }) => {
      const request = readRequest(sreq);
      expect(awsRefusal(request, { ...signing, secretAccessKey: KEY })).toBeUndefined();
      expect(awsRefusal({ ...request, method: 'PUT' }, { ...signing, secretAccessKey: KEY })).toBeDefined();
    });

    it.each(cases)('the signer’s $name convinces the verifier', async ({ req }) => {
      const { method, target, rawHeaders, body } = readRequest(req);
      const headers = rawHeaders
        .map((text, i) => (i % 2 === 0 ? text.toLowerCase() : text))
        .filter((_, i, all) => !/^(host|x-amz-date|x-amz-security-token|content-length)$/.test(all[i - (i % 2)] ?? ''));
      expect(
        awsRefusal(await signed({ method, target: encodeURI(target), headers, body: String(body) }), {
          ...signing,
          secretAccessKey: KEY,
        }),
      ).toBeUndefined();
    });
  },
);

/** One request of the suite; a folded line is a further value, as the suite's canonical forms have it. */
function readRequest(text: string): WireRequest {
  const [head = '', body = ''] = text.split('\n\n');
  const [line = '', ...fields] = head.split('\n');
  const [, method = '', target = ''] = /^(\S+) (.*) HTTP\/1\.1$/.exec(line) ?? [];
  const rawHeaders: string[] = [];
  for (const field of fields) {
    const at = field.indexOf(':');
    if (/^\s/.test(field)) rawHeaders.push(rawHeaders.at(-2) ?? '', field.trim());
    else rawHeaders.push(field.slice(0, at), field.slice(at + 1));
  }
  return { method, target, rawHeaders, body };
}

describe('whatever is sent', () => {
  const segment = fc
    .string({
      unit: fc.constantFrom('a', 'Z', '0', '-', '~', '.', '_', '%20', '%2F', '%E1%88%B4', '%2B', '!', '@', ':'),
      minLength: 1,
      maxLength: 6,
    })
    .filter((text) => !/^\.{1,2}$/.test(text));
  const target = fc
    .tuple(fc.array(segment, { maxLength: 3 }), fc.array(fc.tuple(segment, fc.option(segment)), { maxLength: 4 }))
    .map(
      ([path, query]) =>
        `/${path.join('/')}${query.length > 0 ? `?${query.map(([name, value]) => (value === null ? name : `${name}=${value}`)).join('&')}` : ''}`,
    );
  const headers = fc
    .array(
      fc.tuple(
        fc.constantFrom('x-amz-target', 'content-type', 'x-custom', 'cache-control', 'accept'),
        fc.string({ unit: fc.constantFrom('a', ' ', ',', '"', '/'), maxLength: 8 }),
      ),
      { maxLength: 5 },
    )
    .map((pairs) => pairs.flat());
  const request = fc.record({ method: fc.constantFrom('GET', 'POST', 'DELETE'), target, headers, body: fc.string() });

  it.each(['s3', 'dynamodb'])(
    'the verifier accepts the signature for %s, and no other body, method or path under it',
    async (service) => {
      const how = { ...signing, service };
      await fc.assert(
        fc.asyncProperty(request, async (parts) => {
          const wire = await signed(parts, how);
          const expected = { ...how, secretAccessKey: KEY };
          expect(awsRefusal(wire, expected)).toBeUndefined();
          expect(awsRefusal({ ...wire, body: `${parts.body}x` }, expected)).toBeDefined();
          expect(awsRefusal({ ...wire, method: 'PATCH' }, expected)).toBeDefined();
          expect(awsRefusal({ ...wire, target: `/other${wire.target}` }, expected)).toBeDefined();
          expect(awsRefusal(wire, { ...expected, secretAccessKey: 'another key' })).toBeDefined();
        }),
        { numRuns: 150 },
      );
    },
  );

  it.each([
    ['a query with a signature of its own', { target: '/?X-Amz-Signature=abc' }, 'bad_request'],
    ['a query with a key of version 2, spelled in codes', { target: '/?%41WSAccessKeyId=abc' }, 'bad_request'],
    ['a plus sign that could be a space', { target: '/?q=a+b' }, 'bad_request'],
    ['a percent sign that encodes nothing', { target: '/?q=%E1%8' }, 'bad_request'],
    ['a body in aws-chunked framing', { received: ['content-encoding', 'gzip, aws-chunked'] }, 'bad_request'],
    [
      'a body with chunk signatures',
      { received: ['x-amz-content-sha256', 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD'] },
      'bad_request',
    ],
    ['trailing checksums', { received: ['x-amz-trailer', 'x-amz-checksum-crc32'] }, 'bad_request'],
  ])('refuses %s', async (_, more, code) => {
    expect(await failureOf(awsInjection(keys, signing).sign(signable(more)))).toMatchObject({ code });
  });

  it('refuses a streamed body, unless the configuration lets it pass unsigned', async () => {
    const { bodyDigest: _, ...streamed } = signable({ method: 'PUT' });
    expect(await failureOf(awsInjection(keys, signing).sign(streamed))).toMatchObject({
      code: 'credential_unavailable',
    });
    const s3 = { ...signing, service: 's3', unsignedPayload: true };
    const added = await awsInjection(keys, s3).sign(streamed);
    const wire = {
      method: 'PUT',
      target: '/',
      rawHeaders: ['host', streamed.authority, ...added],
      body: 'whatever came',
    };
    expect(awsRefusal(wire, { ...s3, secretAccessKey: KEY })).toBeUndefined();
  });
});

describe('on the wire', () => {
  let upstream: Recorder | undefined;
  afterEach(async () => {
    await upstream?.close();
    upstream = undefined;
  });

  it('arrives what was signed: the approved digest, none of the agent’s own signature, no trace fields in it', async () => {
    upstream = await startRecorder();
    await using rig = createRig(upstream.origin);
    const body = '{"TableName":"ledger"}';
    const call = outgoing({
      url: upstream.origin,
      method: 'POST',
      target: '/?b=2&a=1',
      body,
      headers: [
        'authorization',
        'AWS4-HMAC-SHA256 agents-own',
        'x-amz-date',
        '19990101T000000Z',
        'x-amz-content-sha256',
        'f'.repeat(64),
        'date',
        'never',
        'x-amz-security-token',
        'mine',
        'x-amz-target',
        'DynamoDB.GetItem',
      ],
      action: { body: { bytes: Buffer.from(body), digest: sha256(body) } },
      outgoing: { requestHeaders: ['traceparent', '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'] },
    });
    const injection = awsInjection(keys, { region: 'eu-central-1', service: 'dynamodb' });
    const credential = {
      id: 'cred_1',
      name: 'aws',
      provider: 'aws-sts',
      injection,
      secrets: [keys.secretAccessKey],
      revocability: 'none' as const,
      granted: {},
      exclusive: true,
    };
    await rig.forwarder.send({ ...call, credential }, recordingSink());
    const [received] = upstream.requests;
    if (received === undefined) throw new Error('nothing arrived');
    const wire = {
      method: received.method,
      target: received.url,
      rawHeaders: received.rawHeaders,
      body: received.body,
    };
    expect(awsRefusal(wire, { secretAccessKey: KEY, region: 'eu-central-1', service: 'dynamodb' })).toBeUndefined();
    expect(received.headers).toMatchObject({
      'x-amz-content-sha256': sha256(body),
      'x-amz-security-token': 'session-token-literal',
      'x-amz-target': 'DynamoDB.GetItem',
    });
    expect(received.headers.authorization).toContain('x-amz-target');
    expect(received.headers.authorization).not.toContain('traceparent');
    expect(received.headers.date).toBeUndefined();
    expect(received.headers.traceparent).toBeDefined();
  });

  it('nothing is sent, nor is the body read, when it cannot be signed', async () => {
    upstream = await startRecorder();
    await using rig = createRig(upstream.origin);
    let read = false;
    const stream = {
      empty: false,
      length: 3,
      buffer: async () => {
        read = true;
        return Buffer.from('abc');
      },
      stream: async function* () {},
    };
    const call = outgoing({ url: upstream.origin, method: 'PUT', stream });
    const injection = awsInjection(keys, signing);
    const credential = {
      id: 'cred_1',
      name: 'aws',
      provider: 'aws-sts',
      injection,
      secrets: [],
      revocability: 'none' as const,
      granted: {},
      exclusive: true,
    };
    expect(await failureOf(rig.forwarder.send({ ...call, credential }, recordingSink()))).toMatchObject({
      code: 'credential_unavailable',
    });
    expect([upstream.requests.length, read]).toEqual([0, false]);
  });
});
