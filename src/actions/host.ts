// The Host field: exactly one, naming this gateway and nothing but a host and a port.
// Trusts only the configured set. Refuses userinfo, paths, lists, trailing dots and ports with leading zeros.

import { GatewayError } from '../errors.ts';

/**
 * Throws `bad_host` unless `host` is one of `allowed`, or, for `any`, a well-formed authority (RFC 3986 section 3.2
 * without userinfo).
 */
export function checkHost(host: string | undefined, allowed: ReadonlySet<string> | 'any'): void {
  if (host === undefined) throw new GatewayError('bad_host', 'The request has no Host field.');
  if (allowed === 'any') {
    if (!isAuthority(host)) throw new GatewayError('bad_host', 'The Host field is not a host with an optional port.');
  } else if (!allowed.has(host) && !allowed.has(host.toLowerCase()))
    throw new GatewayError('bad_host', 'The Host field does not name this gateway.');
}

const LABELS = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*$/i;
const IPV6 = /^\[[0-9a-f:.]{2,45}\]$/i;
const PORT = /^[1-9][0-9]{0,4}$/;

let lastGood: string | undefined;

/** host or host:port, as a listener without configured names accepts it. */
function isAuthority(text: string): boolean {
  // Callers mostly repeat one name, so the last result is remembered.
  if (text === lastGood) return true;
  const colon = text.lastIndexOf(':');
  const hasPort = colon > text.lastIndexOf(']') && colon >= 0;
  const name = hasPort ? text.slice(0, colon) : text;
  if (hasPort && (!PORT.test(text.slice(colon + 1)) || Number(text.slice(colon + 1)) > 65_535)) return false;
  if (name.length > 253 || !(LABELS.test(name) || IPV6.test(name))) return false;
  lastGood = text;
  return true;
}
