// One request to an issuer: https (or http on loopback), no redirects, bounded time and size. Trusts the TLS
// certificate for the configured name. What an answer says never becomes part of an error, but for codes of a known
// shape.

import { isJsonObject, type Json, type JsonObject, presentMembers } from '../domain/json.ts';
import type { PemSource } from '../domain/pem.ts';
import { parseStrictJson } from '../domain/strict-json.ts';
import { GatewayError } from '../errors.ts';
import { isSecure } from '../settings/addresses.ts';
import { unavailable } from './broker-provider.ts';
import type { CredentialTools } from './credential-type.ts';

/** How a provider reaches its issuer. */
export interface IssuerAccess {
  /** Bound on each request. */
  readonly timeoutMs: number;
  readonly fetch: typeof globalThis.fetch;
}

export interface IssuerRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface IssuerAnswer {
  readonly status: number;
  readonly text: string;
}

const LARGEST_ANSWER_BYTES = 256 * 1024;

/** With `ca`, the issuer is trusted by these authorities instead of the system's. */
export function issuerAccess(
  { timeoutMs, ca }: { readonly timeoutMs: number; readonly ca?: PemSource },
  { fetchTrusting }: CredentialTools,
): IssuerAccess {
  return { timeoutMs, fetch: ca === undefined ? globalThis.fetch : fetchTrusting(ca) };
}

/**
 * Sends the request once. The caller judges the status, and reads the text strictly (`readObject`). `who` names the
 * issuer in errors. Throws `credential_unavailable`.
 *
 * @example
 * const answer = await callIssuer(issuerAccess(settings, tools), { method: 'GET', url, headers: {} }, 'GitHub');
 * if (answer.status !== 200) throw unavailable(`GitHub refused: status ${answer.status}.`);
 * const { token } = readObject(answer);
 */
export async function callIssuer(
  { timeoutMs, fetch }: IssuerAccess,
  { method, url, headers, body }: IssuerRequest,
  who = 'The issuer',
): Promise<IssuerAnswer> {
  if (!isSecure(new URL(url))) throw unavailable(`${who} is neither https nor on loopback.`);
  try {
    const response = await fetch(url, {
      method,
      headers: { 'user-agent': 'countersign', ...headers },
      redirect: 'manual',
      signal: AbortSignal.timeout(timeoutMs),
      ...(body !== undefined && { body }),
    });
    return { status: response.status, text: await (await bounded(response)).text() };
  } catch (thrown) {
    throw unavailable(faultOf(thrown, who));
  }
}

/** The answer with its whole body read. Throws `credential_unavailable` when it is too large. */
export async function bounded(response: Response): Promise<Response> {
  if (response.body === null) return response;
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body) {
    size += chunk.byteLength;
    if (size > LARGEST_ANSWER_BYTES) throw unavailable('The issuer’s answer is too large.');
    chunks.push(chunk);
  }
  return new Response(Buffer.concat(chunks), { status: response.status, headers: response.headers });
}

/** The answer as an object. A member that is null counts as absent. Throws `credential_unavailable`. */
export function readObject({ text }: IssuerAnswer): JsonObject {
  let value: Json;
  try {
    value = parseStrictJson(Buffer.from(text, 'utf8'));
  } catch {
    throw unavailable('The issuer’s answer is not JSON.');
  }
  if (!isJsonObject(value)) throw unavailable('The issuer’s answer is not a JSON object.');
  return presentMembers(value);
}

/** A secret that can stand in a header line: visible ASCII only (RFC 6749 appendix A.12). */
export function isFieldSafe(value: unknown): value is string {
  return typeof value === 'string' && /^[\x21-\x7e]+$/.test(value);
}

/** The code of a network error in brackets, where there is one. */
export function networkCode(thrown: unknown): string {
  const code =
    thrown instanceof Error && thrown.cause instanceof Error ? (thrown.cause as NodeJS.ErrnoException).code : undefined;
  return code !== undefined && /^\w{1,40}$/.test(code) ? ` (${code})` : '';
}

function faultOf(thrown: unknown, who: string): string {
  if (thrown instanceof GatewayError) return thrown.detail;
  if (thrown instanceof Error && thrown.name === 'TimeoutError') return `${who} did not answer in time.`;
  return `${who} cannot be reached${networkCode(thrown)}.`;
}
