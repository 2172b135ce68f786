// Addresses in the fields of an upstream's answer (Location, Content-Location, Refresh, Link). An address below the
// mounted URL is rewritten to the way the agent reaches it. An address elsewhere at the upstream or on an internal host
// is left out. Addresses of other sites stay. So no agent is sent around the gateway or learns a name of the network
// behind it.

import { readUpstreamName } from '../domain/server-names.ts';
import { isInsideLiteral } from './address-guard.ts';

/** Where an answer comes from. */
export interface AnswerSource {
  /** The mounted URL. */
  readonly url: URL;
  /** The upstream's name; of a server of a shared mount, `mount/server`. */
  readonly upstream: string;
  /** The request's target, as it was sent. */
  readonly path: string;
}

export const ADDRESS_FIELDS: ReadonlySet<string> = new Set(['location', 'content-location', 'refresh', 'link']);

/**
 * The field's value for the agent; undefined to leave the field out. `withoutLogin` leaves out links that lead to a
 * sign-in.
 */
export function forAgent(name: string, value: string, source: AnswerSource, withoutLogin: boolean): string | undefined {
  if (name === 'link') return links(value, source, withoutLogin);
  if (name !== 'refresh') return addressForAgent(value, source);
  const refresh = /^(\s*[\d.]+\s*[;,]\s*(?:url\s*=\s*)?)(["']?)(.*?)\2\s*$/i.exec(value);
  if (refresh === null) return /^\s*[\d.]+\s*$/.test(value) ? value : undefined;
  const address = addressForAgent(refresh[3] ?? '', source);
  return address && `${refresh[1]}${address}`;
}

/** Undefined where the agent may not have the address in any form. */
function addressForAgent(text: string, { url, upstream, path }: AnswerSource): string | undefined {
  const address = URL.parse(text.trim(), new URL(path, url).href);
  if (address === null) return undefined;
  if (!isSameHost(address, url)) return isInside(address, url) ? undefined : text;
  const base = url.pathname.replace(/\/$/, '');
  const below = address.pathname.startsWith(base) ? address.pathname.slice(base.length) : undefined;
  if (below === undefined || !(below === '' || below.startsWith('/'))) return undefined;
  return `/${readUpstreamName(upstream).mount}${below}${address.search}${address.hash}`;
}

/** Behind a proxy that ends TLS, servers write their addresses with the other scheme. */
function isSameHost(address: URL, url: URL): boolean {
  return address.hostname === url.hostname && portOf(address) === portOf(url) && /^https?:$/.test(address.protocol);
}

function portOf({ port, protocol, hostname }: URL): string {
  return port !== '' ? port : protocol === 'http:' || protocol === 'https:' ? `default of ${hostname}` : protocol;
}

const INSIDE = /(^|\.)(localhost|local|localdomain|internal|intranet|private|corp|home|lan|svc|arpa|consul)$|\.svc\./;

const LINK_LOCAL = /^169\.254(\.\d+){2}$/;
const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])$/;

/** A host of the network behind the gateway, or the upstream under another address. */
function isInside(address: URL, url: URL): boolean {
  const { hostname, protocol } = address;
  if (!/^(https?|wss?):$/.test(protocol)) return false;
  const host = hostname.toLowerCase().replace(/\.$/, '');
  // An upstream on this machine: a loopback address is no other network.
  if (LOOPBACK.test(host) && LOOPBACK.test(url.hostname)) return false;
  // Link-local: whoever reads it has such addresses of its own, and it tells nothing of the network behind the gateway.
  if (LINK_LOCAL.test(host)) return false;
  if (host === url.hostname || isInsideLiteral(address)) return true;
  return !host.startsWith('[') && (!host.includes('.') || INSIDE.test(host));
}

const SIGN_IN = /\brel\s*=\s*("[^"]*|[^;,\s]*)(oauth|openid|authori[sz]|login|token)/i;

/** RFC 8288 section 3: each link by itself. */
function links(value: string, source: AnswerSource, withoutLogin: boolean): string | undefined {
  const kept = (value.match(/<[^>]*>(?:[^",<]|"(?:[^"\\]|\\.)*")*/g) ?? []).flatMap((link) => {
    if (withoutLogin && SIGN_IN.test(link)) return [];
    const end = link.indexOf('>');
    const address = addressForAgent(link.slice(1, end), source);
    return address === undefined ? [] : [`<${address}>${link.slice(end + 1).trimEnd()}`];
  });
  return kept.length === 0 ? undefined : kept.join(', ');
}
