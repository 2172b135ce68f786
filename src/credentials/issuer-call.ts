// One request to an issuer that does not speak OAuth: bounded time and size, no redirects, https (or http on loopback).
// Trusts the TLS certificate for the configured name. What an answer says never becomes part of an error, but for codes
// of a known shape.

import { type Json, type JsonObject, presentMembers } from '../domain/json.ts';
import { parseStrictJson } from '../domain/strict-json.ts';
import { GatewayError } from '../errors.ts';
import { bounded } from './bounded-fetch.ts';
import { unavailable } from './broker-provider.ts';

/** How a provider reaches its issuer. */
export interface IssuerAccess {
  /** Bound on each request, ms; default 5,000. */
  readonly timeoutMs?: number;
  /** Default: the runtime's fetch. Another one may trust another authority. */
  readonly fetch?: typeof globalThis.fetch;
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

/** Asks once; the status is the caller's to judge. Throws `credential_unavailable`. */
export async function callIssuer(
  { timeoutMs = 5_000, fetch = globalThis.fetch }: IssuerAccess,
  request: IssuerRequest,
): Promise<IssuerAnswer> {
  const { method, url, headers, body } = request;
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
    throw unavailable(faultOf(thrown));
  }
}

/** The answer as an object; a member that is null is absent. Throws `credential_unavailable`. */
export function readObject({ text }: IssuerAnswer): JsonObject {
  let value: Json;
  try {
    value = parseStrictJson(Buffer.from(text, 'utf8'));
  } catch {
    throw unavailable('The issuer’s answer is not JSON.');
  }
  if (!isObject(value)) throw unavailable('The issuer’s answer is not a JSON object.');
  return presentMembers(value);
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A secret that can stand in a header line: visible ASCII only. */
export function isFieldSafe(value: unknown): value is string {
  return typeof value === 'string' && /^[\x21-\x7e]+$/.test(value);
}

function faultOf(thrown: unknown): string {
  if (thrown instanceof GatewayError) return thrown.detail;
  if (thrown instanceof Error && thrown.name === 'TimeoutError') return 'The issuer did not answer in time.';
  const code =
    thrown instanceof Error && thrown.cause instanceof Error ? (thrown.cause as NodeJS.ErrnoException).code : undefined;
  return `The issuer cannot be reached${code !== undefined && /^\w{1,40}$/.test(code) ? ` (${code})` : ''}.`;
}
