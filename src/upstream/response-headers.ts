// Filters the head of the upstream's answer for the agent. Trusts nothing in it: names and values are checked again, so
// that nothing can split the gateway's answer, and fields that could pass for the gateway's own are dropped. Set-Cookie
// is dropped because Cookie is never sent: nobody decided on a session of the agent's own at the upstream.

import type { IncomingHttpHeaders } from 'node:http';
import type { HeaderList } from '../domain/headers.ts';
import { codingsIn } from '../domain/normal-forms/fields.ts';
import { GatewayError } from '../errors.ts';
import { ADDRESS_FIELDS, type AnswerSource, forAgent } from './answer-addresses.ts';
import { HOP_BY_HOP, isFieldName, isFieldValue, nominated, rememberByName } from './fields.ts';
import type { Scrubber } from './scrub/scrubber.ts';

export interface AnswerHead {
  /** Without content-length: whoever writes the body knows whether it still holds. */
  readonly headers: string[];
  /** Declared length of the body, bytes. */
  readonly length?: number;
  /** Whether the answer is a stream of events. */
  readonly streamsEvents: boolean;
  /**
   * The body's content codings in the order in which they were applied, lower case; words that encode nothing left out.
   */
  readonly codings: readonly string[];
}

const DROPPED: ReadonlySet<string> = new Set([
  ...HOP_BY_HOP,
  // would send the agent around the gateway
  'alt-svc',
  'alternates',
  // speak of everything at this host, which is the gateway's
  'accept-ch',
  'clear-site-data',
  'expect-ct',
  'nel',
  'public-key-pins',
  'report-to',
  'reporting-endpoints',
  'service-worker-allowed',
  'set-login',
  'strict-transport-security',
  // proofs of possession are made for the gateway (RFC 9449 section 8)
  'dpop-nonce',
  // credentials
  'authorization',
  'set-cookie',
  'set-cookie2',
  'x-api-key',
]);
/**
 * Challenges are for the sender of the credential. Where the gateway sent it, an agent would answer them with a
 * credential of its own.
 */
const OF_THE_CREDENTIAL: ReadonlySet<string> = new Set([
  'www-authenticate',
  'authentication-info',
  'optional-www-authenticate',
]);
const verdictOf = rememberByName((name): 'drop' | 'keep' | 'malformed' | 'address' | 'credential' => {
  if (DROPPED.has(name) || name.startsWith('countersign-')) return 'drop';
  if (ADDRESS_FIELDS.has(name)) return 'address';
  if (OF_THE_CREDENTIAL.has(name)) return 'credential';
  return isFieldName(name) ? 'keep' : 'malformed';
});
const LENGTH = /^\d{1,15}$/;

/**
 * Throws `upstream_protocol` for a field that could not be written as it is, or a length that is not one number. `own`
 * is appended.
 */
export function answerHead(
  fields: IncomingHttpHeaders,
  own: HeaderList,
  scrubber: Scrubber | undefined,
  source?: AnswerSource,
): AnswerHead {
  const headers: string[] = [];
  const connectionOptions = fields.connection === undefined ? undefined : nominated(['connection', fields.connection]);
  let length: number | undefined;
  let streamsEvents = false;
  const codings: string[] = [];
  for (const name in fields) {
    const value = fields[name];
    const verdict = verdictOf(name);
    if (verdict === 'malformed') throw malformed();
    if (
      value === undefined ||
      verdict === 'drop' ||
      (verdict === 'credential' && scrubber !== undefined) ||
      connectionOptions?.has(name) ||
      scrubber?.isInName(name)
    )
      continue;
    if (name === 'content-length') {
      if (typeof value !== 'string' || !LENGTH.test(value)) throw malformed();
      length = Number(value);
      continue;
    }
    for (const said of typeof value === 'string' ? [value] : value) {
      if (!isFieldValue(said)) throw malformed();
      const text =
        verdict === 'address' && source !== undefined ? forAgent(name, said, source, scrubber !== undefined) : said;
      if (text === undefined) continue;
      if (name === 'content-type')
        streamsEvents ||= (text.split(';', 1)[0] ?? '').trim().toLowerCase() === 'text/event-stream';
      else if (name === 'content-encoding') codings.push(...codingsIn(text));
      else if (name === 'proxy-status' && claimsToBeUs(text)) continue;
      headers.push(name, scrubber === undefined ? text : scrubber.field(text));
    }
  }
  for (let i = 0; i < own.length; i++) headers.push(own[i] as string);
  return { headers, streamsEvents, codings, ...(length !== undefined && { length }) };
}

/** RFC 9209: an upstream's own Proxy-Status is kept, but not one in this gateway's name. */
function claimsToBeUs(proxyStatus: string): boolean {
  return proxyStatus.toLowerCase().includes('countersign');
}

function malformed(): GatewayError {
  return new GatewayError(
    'upstream_protocol',
    'The head of the upstream’s answer has a field that is not well-formed.',
  );
}
