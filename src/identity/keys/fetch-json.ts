// Fetches one JSON document from an issuer: https (or http on loopback), no redirects, bounded time and size, no type
// that says that it is something else (an error page).
// Trusts the TLS server certificate for the name in the configured or discovered address, and nothing in the document.

import type { Json } from '../../domain/json.ts';
import { parseStrictJson } from '../../domain/strict-json.ts';
import { KeyFault } from './key-fault.ts';

export type FetchDocument = typeof globalThis.fetch;

/** No honest document is larger. */
export const MAX_BYTES = 256 * 1024;
/**
 * What servers say of files that they know nothing about (object stores do, and with them SPIRE's own publisher): the
 * document is read as strictly.
 */
const NO_TYPE = /^(?:|(?:application|binary)\/octet-stream|text\/plain)[ \t]*(?:;|$)/i;
const JSON_TYPE = /^application\/(?:[a-z0-9.-]+\+)?json[ \t]*(?:;|$)/i;
const LOOPBACK = /^(?:localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])$/;

export function isJsonType(contentType: string): boolean {
  return JSON_TYPE.test(contentType);
}

/** Whether an answer may be a document of keys: JSON, or nothing that says otherwise. */
export function isDocumentType(contentType: string): boolean {
  return isJsonType(contentType) || NO_TYPE.test(contentType);
}

/** Whether keys may be fetched from there: https, or http to this very host; no user info, no fragment. */
export function isFetchable(address: string): boolean {
  if (!URL.canParse(address)) return false;
  const url = new URL(address);
  if (url.username !== '' || url.password !== '' || url.hash !== '') return false;
  return url.protocol === 'https:' || (url.protocol === 'http:' && LOOPBACK.test(url.hostname));
}

/**
 * Whether the address is this very machine's, in any spelling: by name, as a loopback or unspecified address, or as
 * IPv4 within IPv6.
 */
export function namesThisHost(address: string): boolean {
  if (!URL.canParse(address)) return false;
  const host = new URL(address).hostname.replace(/\.$/, '');
  const [, high] = /^\[::(?:ffff:(?:0:)?)?([0-9a-f]{1,4}):[0-9a-f]{1,4}\]$/.exec(host) ?? [];
  const first = high === undefined ? undefined : Number.parseInt(high, 16) >> 8;
  return (
    LOOPBACK.test(host) ||
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
    return parseStrictJson(await readBounded(response));
  } finally {
    // Frees the connection where the body was not read to its end; a body that was is closed already.
    await response.body?.cancel().catch(() => {});
  }
}

async function readBounded(response: Response): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  // Counted as it arrives (and after decompression): Content-Length is only a promise.
  const reader = response.body?.getReader();
  for (let part = await reader?.read(); part?.value !== undefined; part = await reader?.read()) {
    size += part.value.byteLength;
    if (size > MAX_BYTES) {
      await reader?.cancel();
      throw new KeyFault('too_large');
    }
    chunks.push(part.value);
  }
  reader?.releaseLock();
  return Buffer.concat(chunks);
}
