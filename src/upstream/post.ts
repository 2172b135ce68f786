// One POST to an address that the operator configured and that is not an upstream: webhooks, Slack. Guarded like
// upstreams: https except on this machine, names that resolve to internal addresses are refused at every connection,
// redirects are not followed, and the answer is bounded.

import { isIP } from 'node:net';
import { Agent, request } from 'undici';
import { GatewayError } from '../errors.ts';
import { guardedLookup, refuseTargetLiteral, refuseUpstreamUrl } from './address-guard.ts';

export interface PostRequest {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly allowPrivateAddresses: boolean;
}

export interface PostAnswer {
  readonly status: number;
  readonly retryAfterMs?: number;
  /** At most 64 KiB, as text. */
  readonly body: string;
}

const TIMEOUT_MS = 10_000;
const LARGEST_ANSWER = 64 * 1024;
const LONGEST_RETRY_AFTER_S = 24 * 60 * 60;

/** Throws `upstream_address_refused`, and what the connection throws. */
export async function post(url: string, { headers, body, allowPrivateAddresses }: PostRequest): Promise<PostAnswer> {
  const rules = { url, allowPlaintext: false, allowPrivateAddresses, neverSpecial: true };
  const refused = refuseTarget(url, allowPrivateAddresses);
  if (refused !== undefined) throw new GatewayError('upstream_address_refused', refused);
  const { hostname } = new URL(url);
  // net.connect asks no look-up for literals; those were judged above.
  const lookup = isIP(hostname.replace(/^\[|\]$/g, '')) === 0 ? { lookup: guardedLookup(rules) } : {};
  const agent = new Agent({ connect: { ...lookup, timeout: TIMEOUT_MS }, maxHeaderSize: 16 * 1024 });
  try {
    const answer = await request(url, {
      method: 'POST',
      headers,
      body,
      dispatcher: agent,
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const retryAfter = String(answer.headers['retry-after'] ?? '');
    return {
      status: answer.statusCode,
      ...(/^\d{1,6}$/.test(retryAfter) && {
        retryAfterMs: Math.min(Number(retryAfter), LONGEST_RETRY_AFTER_S) * 1_000,
      }),
      body: await readSome(answer.body),
    };
  } finally {
    await agent.destroy();
  }
}

/**
 * Why nothing is sent to this URL, in one sentence, or undefined; what its name resolves to is judged at each
 * connection.
 */
export function refuseTarget(url: string, allowPrivateAddresses: boolean): string | undefined {
  const rules = { url, allowPlaintext: false, allowPrivateAddresses };
  return refuseUpstreamUrl(rules) ?? refuseTargetLiteral(rules);
}

async function readSome(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body) {
    chunks.push(chunk);
    length += chunk.byteLength;
    if (length >= LARGEST_ANSWER) break;
  }
  return Buffer.concat(chunks).subarray(0, LARGEST_ANSWER).toString('utf8');
}
