// Requests to issuers: https (or http on loopback), no redirects, answers of bounded size within bounded time.
// Trusts the runtime's TLS. No answer's text ever becomes part of an error.

import { isJsonObject, type Json, type JsonObject, presentMembers } from '../domain/json.ts';
import { GatewayError } from '../errors.ts';
import { unavailable } from './broker-provider.ts';

type Fetch = typeof globalThis.fetch;

export interface BoundedFetchOptions {
  /** Bound on each request, ms; default 5,000. */
  readonly timeoutMs?: number;
  /** Default: the runtime's fetch. */
  readonly fetch?: Fetch;
}

const LARGEST_ANSWER_BYTES = 256 * 1024;
const DEFAULT_TIMEOUT_MS = 5_000;

/** Throws TypeError for a URL that is neither https nor http on loopback. */
export function requireProtected(...urls: readonly (string | undefined)[]): void {
  for (const url of urls)
    if (url !== undefined && !isProtected(new URL(url)))
      throw new TypeError('an issuer’s endpoint must be https, or http on loopback');
}

export function isProtected({ protocol, hostname }: URL): boolean {
  return (
    protocol === 'https:' ||
    (protocol === 'http:' && (hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d+){3}$/.test(hostname)))
  );
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

/**
 * An answer that was read whole, for a reader to whom null is not absence: without the members of its JSON object that
 * are null.
 */
export async function withoutNulls(response: Response): Promise<Response> {
  const answer = await jsonOf(response.clone());
  return answer === undefined
    ? response
    : new Response(JSON.stringify(answer), { status: response.status, headers: response.headers });
}

/**
 * POSTs a form or a JSON text and reads the JSON object that answers. `who` names the peer in errors. Throws
 * `credential_unavailable`, with the peer's status, or with an OAuth error code where the answer has one.
 */
export async function postForJson(
  who: string,
  url: string,
  body: URLSearchParams | JsonObject,
  headers: Readonly<Record<string, string>>,
  options: BoundedFetchOptions,
): Promise<JsonObject> {
  if (!isProtected(new URL(url))) throw unavailable(`${who} is neither https nor on loopback.`);
  const isForm = body instanceof URLSearchParams;
  let response: Response;
  try {
    response = await bounded(
      await (options.fetch ?? fetch)(url, {
        method: 'POST',
        redirect: 'error',
        signal: AbortSignal.timeout(options.timeoutMs ?? DEFAULT_TIMEOUT_MS),
        headers: {
          accept: 'application/json',
          'content-type': isForm ? 'application/x-www-form-urlencoded' : 'application/json',
          ...headers,
        },
        body: isForm ? body.toString() : JSON.stringify(body),
      }),
    );
  } catch (thrown) {
    if (thrown instanceof GatewayError) throw thrown;
    if (thrown instanceof Error && thrown.name === 'TimeoutError') throw unavailable(`${who} did not answer in time.`);
    throw unavailable(`${who} cannot be reached.`);
  }
  const answer = await jsonOf(response);
  if (!response.ok) throw unavailable(`${who} refused: ${errorCode(answer) ?? `status ${response.status}`}.`);
  if (answer === undefined) throw unavailable(`${who} answered with something other than a JSON object.`);
  return answer;
}

async function jsonOf(response: Response): Promise<JsonObject | undefined> {
  try {
    const value = (await response.json()) as Json;
    return isJsonObject(value) ? presentMembers(value) : undefined;
  } catch {
    return undefined;
  }
}

/** `error` of OAuth, or `error.status` of Google's APIs, when it is spelled like a code. */
function errorCode(answer: JsonObject | undefined): string | undefined {
  const error = answer?.error as { status?: unknown } | string | undefined;
  const code = typeof error === 'object' && error !== null ? error.status : error;
  return typeof code === 'string' && /^[A-Za-z_]{1,40}$/.test(code) ? code : undefined;
}
