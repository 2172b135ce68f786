// Asks an issuer about a token: one POST, one JSON document back. https (or http on loopback), no redirects, bounded
// time and size. Trusts the TLS server certificate, by the system's authorities or the given ones, and nothing in the
// document.

import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Json } from '../../domain/json.ts';
import { parseStrictJson } from '../../domain/strict-json.ts';
import { isFetchable, isJsonType, MAX_BYTES } from './fetch-json.ts';
import { KeyFault } from './key-fault.ts';

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
  // An error that nobody waits for any more must not end the process.
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
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Uint8Array>) {
    size += chunk.byteLength;
    if (size > MAX_BYTES) throw new KeyFault('too_large');
    chunks.push(chunk);
  }
  return parseStrictJson(Buffer.concat(chunks));
}
