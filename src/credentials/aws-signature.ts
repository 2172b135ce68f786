// Signs a request as it will be sent with AWS Signature Version 4, over method, host, path, query, every field and the
// body's digest. Refuses requests that AWS would read differently from what is signed: bodies that nobody has read
// (unless configured), aws-chunked framing, requests that bring a signature of their own, and queries that two servers
// could read differently.

import { createHash, createHmac } from 'node:crypto';
import { SignatureV4 } from '@smithy/signature-v4';
import type { SignableRequest, SignatureInjection } from '../domain/credential.ts';
import { type HeaderList, header } from '../domain/headers.ts';
import type { Secret } from '../domain/secret.ts';
import { GatewayError } from '../errors.ts';

export interface AwsKeys {
  readonly accessKeyId: string;
  readonly secretAccessKey: Secret;
  readonly sessionToken?: Secret;
}

export interface AwsSigning {
  readonly region: string;
  /** The service's signing name, for example `s3`, `dynamodb`, `execute-api`. */
  readonly service: string;
  /**
   * Lets bodies pass unsigned that nobody has read (UNSIGNED-PAYLOAD), which only S3 accepts.
   */
  readonly unsignedPayload?: boolean;
  /** Default Date.now. */
  readonly now?: () => number;
}

/** The signature's own fields, and `date`, which AWS would have to weigh against x-amz-date. */
const REPLACED: ReadonlySet<string> = new Set([
  'authorization',
  'date',
  'x-amz-content-sha256',
  'x-amz-date',
  'x-amz-security-token',
]);
const ADDED = ['x-amz-content-sha256', 'x-amz-date', 'x-amz-security-token', 'authorization'];
/** What a proxy between here and AWS may change. */
const UNSIGNED_FIELDS: Set<string> = new Set(['accept-encoding', 'baggage', 'traceparent', 'tracestate']);
/** Query parameters by which a request is signed itself (Signature Version 4 and 2). */
const OWN_SIGNATURE =
  /^(?:x-amz-(?:algorithm|credential|signature|signedheaders|security-token|date|expires)|awsaccesskeyid|signature|signaturemethod)$/i;

export function awsInjection(
  keys: AwsKeys,
  { region, service, unsignedPayload = false, now = Date.now }: AwsSigning,
): SignatureInjection {
  const signer = new SignatureV4({
    credentials: {
      accessKeyId: keys.accessKeyId,
      secretAccessKey: keys.secretAccessKey.reveal(),
      ...(keys.sessionToken && { sessionToken: keys.sessionToken.reveal() }),
    },
    region,
    service,
    sha256: NodeSha256,
    // Only S3 takes the path as it is, without normalising or encoding it again.
    uriEscapePath: service !== 's3',
    applyChecksum: true,
  });
  return {
    in: 'signature',
    value: keys.secretAccessKey,
    replaces: REPLACED,
    async sign(request) {
      refuseForeignFraming(request);
      const payload = request.bodyDigest ?? (unsignedPayload ? 'UNSIGNED-PAYLOAD' : undefined);
      if (payload === undefined)
        throw new GatewayError('credential_unavailable', 'The body is streamed and cannot be signed.');
      const { path, query } = splitTarget(request.target, service);
      const signed = await signer.sign(
        {
          method: request.method,
          protocol: 'https:',
          hostname: request.authority,
          path,
          query,
          headers: { ...joined(request.headers), host: request.authority, 'x-amz-content-sha256': payload },
        },
        { signingDate: new Date(now()), unsignableHeaders: UNSIGNED_FIELDS },
      );
      return ADDED.flatMap((name) => {
        const value = signed.headers[name];
        return value === undefined ? [] : [name, value];
      });
    },
  };
}

/** A body in aws-chunked framing carries signatures made with the agent's key, chunk by chunk. */
function refuseForeignFraming({ received }: SignableRequest): void {
  const chunked = /(?:^|,)\s*aws-chunked\s*(?:,|$)/i.test(header(received, 'content-encoding') ?? '');
  const streaming = /^STREAMING-/i.test(header(received, 'x-amz-content-sha256') ?? '');
  if (chunked || streaming || header(received, 'x-amz-trailer') !== undefined) {
    throw new GatewayError(
      'bad_request',
      'The body is in aws-chunked framing, which cannot be signed again. Let the client send it whole, ' +
        'without trailing checksum.',
    );
  }
}

function splitTarget(target: string, service: string): { path: string; query: Record<string, string | string[]> } {
  const at = target.indexOf('?');
  const path = at === -1 ? target : target.slice(0, at);
  return {
    path: service === 's3' ? path.split('/').map(reencode).join('/') : path,
    query: readQuery(at === -1 ? '' : target.slice(at + 1)),
  };
}

function readQuery(text: string): Record<string, string | string[]> {
  const query: Record<string, string | string[]> = Object.create(null);
  for (const pair of text.split('&')) {
    if (pair === '') continue;
    if (/[+;]/.test(pair))
      throw new GatewayError(
        'bad_request',
        'A query that is signed has neither + nor ; as they are: write %20, %2B or %3B.',
      );
    const at = pair.indexOf('=');
    const name = decode(at === -1 ? pair : pair.slice(0, at));
    const value = at === -1 ? '' : decode(pair.slice(at + 1));
    if (OWN_SIGNATURE.test(name)) throw new GatewayError('bad_request', 'The query holds a signature of its own.');
    const known = query[name];
    query[name] = known === undefined ? value : [known, value].flat();
  }
  return query;
}

/** RFC 3986 section 2.3: everything but unreserved characters encoded, as S3 does before it compares. */
function reencode(segment: string): string {
  return encodeURIComponent(decode(segment)).replace(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new GatewayError(
      'bad_request',
      'The target holds a percent sign that encodes no UTF-8 text; it cannot be signed.',
    );
  }
}

/** Repeated fields as one, values in the order in which they are sent. */
function joined(headers: HeaderList): Record<string, string> {
  const bag: Record<string, string> = Object.create(null);
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    // Outer blanks of each value do not count; the library sees only those of the whole.
    const value = (headers[i + 1] as string).trim();
    bag[name] = bag[name] === undefined ? value : `${bag[name]},${value}`;
  }
  return bag;
}

/** SHA-256 and HMAC-SHA-256 of node:crypto in the shape that the library asks for. */
class NodeSha256 {
  readonly #hash: { update(data: string | Uint8Array): unknown; digest(): Buffer };

  constructor(key?: string | ArrayBuffer | ArrayBufferView) {
    this.#hash = key === undefined ? createHash('sha256') : createHmac('sha256', bytesOf(key));
  }

  update(data: string | ArrayBuffer | ArrayBufferView): void {
    this.#hash.update(bytesOf(data));
  }

  async digest(): Promise<Uint8Array> {
    return this.#hash.digest();
  }

  reset(): void {
    throw new TypeError('a hash is used once');
  }
}

function bytesOf(data: string | ArrayBuffer | ArrayBufferView): Uint8Array {
  if (typeof data === 'string') return Buffer.from(data, 'utf8');
  return ArrayBuffer.isView(data)
    ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    : new Uint8Array(data);
}
