// Checks an AWS Signature Version 4 as AWS does, written from its documentation ("Create a signed AWS API request") on
// node:crypto alone: it shares no line with the signer. Its own correctness is checked against AWS's published test
// suite.

import { createHash, createHmac } from 'node:crypto';

export interface WireRequest {
  readonly method: string;
  /** Path and query as they stood on the wire. */
  readonly target: string;
  /** Name, value, name, value …, in the order of the wire. */
  readonly rawHeaders: readonly string[];
  readonly body: string | Uint8Array;
}

export interface Expected {
  readonly secretAccessKey: string;
  readonly service: string;
  readonly region: string;
}

const AUTHORIZATION =
  /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/([^/]+)\/aws4_request, ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/;

/** Why AWS would refuse the request; undefined when the signature holds. */
export function awsRefusal(request: WireRequest, { secretAccessKey, service, region }: Expected): string | undefined {
  const found = AUTHORIZATION.exec(valuesOf(request, 'authorization').join().trim());
  if (found === null) return 'no single Authorization field of this algorithm';
  const [, , day = '', inRegion = '', inService = '', list = '', signature = ''] = found;
  const date = valuesOf(request, 'x-amz-date').join().trim();
  if (inRegion !== region || inService !== service || !date.startsWith(day) || !/^\d{8}T\d{6}Z$/.test(date))
    return 'another credential scope';
  const signed = list.split(';');
  if (!signed.includes('host') || signed.join() !== [...signed].sort().join())
    return 'host is not signed, or the list is not in order';

  const digest = sha256(request.body);
  const claimed = valuesOf(request, 'x-amz-content-sha256');
  if (claimed.length > 1) return 'two content digests';
  const payload = claimed[0] ?? digest;
  if (payload !== digest && !(payload === 'UNSIGNED-PAYLOAD' && service === 's3'))
    return 'the content digest is not that of the body';

  const at = request.target.indexOf('?');
  const path = at === -1 ? request.target : request.target.slice(0, at);
  const canonical = [
    request.method,
    service === 's3' ? path.split('/').map(once).join('/') : normalised(path).split('/').map(encode).join('/'),
    at === -1 ? '' : canonicalQuery(request.target.slice(at + 1)),
    ...signed.map((name) => `${name}:${valuesOf(request, name).map(squeezed).join(',')}`),
    '',
    list,
    payload,
  ].join('\n');
  const scope = `${day}/${region}/${service}/aws4_request`;
  const toSign = ['AWS4-HMAC-SHA256', date, scope, sha256(canonical)].join('\n');
  const key = [day, region, service, 'aws4_request'].reduce<string | Buffer>(
    (secret, part) => hmac(secret, part),
    `AWS4${secretAccessKey}`,
  );
  return hmac(key, toSign).toString('hex') === signature ? undefined : 'the signature is another one';
}

function valuesOf({ rawHeaders }: WireRequest, name: string): string[] {
  return rawHeaders.filter((_, i) => i % 2 === 1 && rawHeaders[i - 1]?.toLowerCase() === name);
}

function squeezed(value: string): string {
  return value.trim().replace(/\s+/g, ' ');
}

function canonicalQuery(query: string): string {
  const pairs = query
    .split('&')
    .filter((pair) => pair !== '')
    .map((pair) => {
      const [name = '', ...rest] = pair.split('=');
      return [once(name), once(rest.join('='))] as const;
    });
  return pairs
    .sort(([a, x], [b, y]) => (a === b ? order(x, y) : order(a, b)))
    .map(([name, value]) => `${name}=${value}`)
    .join('&');
}

function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** RFC 3986 section 5.2.4, and no empty segments. */
function normalised(path: string): string {
  const segments: string[] = [];
  for (const segment of path.split('/')) {
    if (segment === '..') segments.pop();
    else if (segment !== '' && segment !== '.') segments.push(segment);
  }
  return `/${segments.join('/')}${segments.length > 0 && path.endsWith('/') ? '/' : ''}`;
}

function once(text: string): string {
  return encode(decodeURIComponent(text));
}

function encode(text: string): string {
  return [...Buffer.from(text, 'utf8')]
    .map((byte) =>
      /[A-Za-z0-9\-._~]/.test(String.fromCharCode(byte))
        ? String.fromCharCode(byte)
        : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`,
    )
    .join('');
}

function sha256(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}

function hmac(key: string | Buffer, data: string): Buffer {
  return createHmac('sha256', key).update(data).digest();
}
