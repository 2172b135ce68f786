// One JSON document from an issuer, fetched (keys, metadata, bundles) or in answer to a question about a token: https
// (or http on loopback), no redirects, bounded time and size, and no content type that names something else (an error
// page). Trusts the TLS certificate for the name in the configured or discovered address, and nothing in the document.

import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Json } from '../../domain/json.ts';
import { parseStrictJson } from '../../domain/strict-json.ts';
import { isLoopback, isSecure } from '../../settings/addresses.ts';
import { KeyFault } from './key-fault.ts';

export type FetchDocument = typeof globalThis.fetch;

/** No honest document is larger. */
const MAX_BYTES = 256 * 1024;
const JSON_TYPE = /^application\/(?:[a-z0-9.-]+\+)?json[ \t]*(?:;|$)/i;
/**
 * What servers say of files that they know nothing about (object stores do, and with them SPIRE's own publisher): the
 * document is read as strictly.
 */
const NO_TYPE = /^(?:|(?:application|binary)\/octet-stream|text\/plain)[ \t]*(?:;|$)/i;

export const isJsonType = (contentType: string): boolean => JSON_TYPE.test(contentType);

/** Whether an answer may be a document of keys: JSON, or nothing that says otherwise. */
export const isDocumentType = (contentType: string): boolean => isJsonType(contentType) || NO_TYPE.test(contentType);

/** Whether an issuer may be asked there: https, or http to this very host; no user info, no fragment. */
function isFetchable(address: string): boolean {
  if (!URL.canParse(address)) return false;
  const url = new URL(address);
  return url.username === '' && url.password === '' && url.hash === '' && isSecure(url);
}

/**
 * Whether the address is this very machine's, in any spelling: by name, as a loopback or unspecified address, or as
 * IPv4 within IPv6.
 */
export function namesThisHost(address: string): boolean {
  if (!URL.canParse(address)) return false;
  const url = new URL(address);
  const host = url.hostname.replace(/\.$/, '');
  const [, high] = /^\[::(?:ffff:(?:0:)?)?([0-9a-f]{1,4}):[0-9a-f]{1,4}\]$/.exec(host) ?? [];
  const first = high === undefined ? undefined : Number.parseInt(high, 16) >> 8;
  return (
    isLoopback(url) ||
    host === 'localhost' ||
    host.endsWith('.localhost') ||
    host.startsWith('0.') ||
    host === '[::]' ||
    first === 0 ||
    first === 127
  );
}

/**
 * Throws KeyFault (`address`, `status_<n>`, `content_type`, `too_large`), GatewayError (`bad_json`), or what fetch
 * throws.
 */
export async function fetchJson(
  fetch: FetchDocument,
  address: string,
  signal: AbortSignal,
  timeoutMs: number,
): Promise<Json> {
  if (!isFetchable(address)) throw new KeyFault('address');
  const response = await fetch(address, {
    redirect: 'manual',
    headers: { accept: 'application/json, application/jwk-set+json' },
    signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
  });
  try {
    if (response.status !== 200) throw new KeyFault(`status_${response.status}`);
    if (!isDocumentType(response.headers.get('content-type') ?? '')) throw new KeyFault('content_type');
    return parseStrictJson(response.body === null ? new Uint8Array() : await readBounded(response.body));
  } finally {
    // Frees the connection where the body was not read to its end; a body that was is closed already.
    await response.body?.cancel().catch(() => {});
  }
}

export interface IssuerQuestion {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** PEM of the authorities to trust instead of the system's. */
  readonly ca?: string;
  readonly timeoutMs: number;
}

/**
 * Throws KeyFault (`address`, `status_<n>`, `content_type`, `too_large`), GatewayError (`bad_json`), or what the socket
 * throws.
 */
export async function postJson(address: string, { headers, body, ca, timeoutMs }: IssuerQuestion): Promise<Json> {
  if (!isFetchable(address)) throw new KeyFault('address');
  const url = new URL(address);
  const fields = { ...headers, accept: 'application/json', 'content-length': String(Buffer.byteLength(body)) };
  const options = { method: 'POST', headers: fields, signal: AbortSignal.timeout(timeoutMs) };
  // Explicit, so that NODE_TLS_REJECT_UNAUTHORIZED in the environment cannot switch verification off.
  const outgoing =
    url.protocol === 'https:'
      ? httpsRequest(url, { ...options, rejectUnauthorized: true, ...(ca !== undefined && { ca }) })
      : httpRequest(url, options);
  // An error after the end of the wait must not end the process.
  outgoing.on('error', () => {});
  outgoing.end(body);
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
  try {
    return await readJson(response);
  } finally {
    response.destroy();
  }
}

/** A POST creates, in Kubernetes: 201. */
const ANSWERED: readonly (number | undefined)[] = [200, 201];

/** The document of an answer, whose type is one of these. Throws as `postJson`. */
export async function readJson(response: IncomingMessage, isExpected = isJsonType): Promise<Json> {
  if (!ANSWERED.includes(response.statusCode)) throw new KeyFault(`status_${response.statusCode}`);
  if (!isExpected(response.headers['content-type'] ?? '')) throw new KeyFault('content_type');
  return parseStrictJson(await readBounded(response as AsyncIterable<Uint8Array>));
}

/** Counts the bytes as they arrive, after decompression: Content-Length is only a promise. */
async function readBounded(body: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.byteLength;
    if (size > MAX_BYTES) throw new KeyFault('too_large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
