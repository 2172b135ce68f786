// Keeps calls out of internal networks: an upstream's name may not resolve to a private, link-local or metadata
// address, and plain http stays on this machine, unless the operator opted in. Trusts the configured URL, not DNS.
// Every connection is checked anew, so an answer that changes later is refused too. net.connect does no look-up for IP
// literals; they are judged here, once.

import { type LookupAddress, type LookupOptions, lookup as systemLookup } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { GatewayError } from '../errors.ts';
import { embeddedAddresses } from './embedded-addresses.ts';

/** What the guard reads of an upstream's options. */
export interface AddressRules {
  readonly url: string;
  readonly allowPlaintext: boolean;
  readonly allowPrivateAddresses?: boolean;
  /** Whether link-local and metadata addresses are refused even with allowPrivateAddresses; default false. */
  readonly neverSpecial?: boolean;
}

/** `dns.lookup` or a stand-in of its shape. */
export type Resolve = (
  hostname: string,
  options: LookupOptions & { all: true },
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

// Addresses that no operator would configure on purpose: metadata services, this host, no host, many hosts.
const NEVER: readonly (readonly [string, number])[] = [
  ['0.0.0.0', 8],
  ['169.254.0.0', 16],
  ['100.100.100.200', 32],
  ['192.0.0.192', 32],
  ['168.63.129.16', 32],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
];
const NEVER_V6: readonly (readonly [string, number])[] = [
  ['::', 128],
  ['fe80::', 10],
  // AWS: instance metadata (::254), the credentials of pods (::23), and what else it serves to its own machines.
  ['fd00:ec2::', 32],
  ['fd20:ce::254', 128],
  ['ff00::', 8],
];
// IANA special-purpose registries: not globally reachable, or (6to4, Teredo) a way to reach such an address.
const PRIVATE: readonly (readonly [string, number])[] = [
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
];
const PRIVATE_V6: readonly (readonly [string, number])[] = [
  ['::1', 128],
  ['::', 96],
  ['::ffff:0:0:0', 96],
  ['64:ff9b:1::', 48],
  ['100::', 64],
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
  ['5f00::', 16],
  ['fc00::', 7],
  ['fec0::', 10],
];

const never = blockList(NEVER, NEVER_V6);
const inside = blockList([...NEVER, ...PRIVATE], [...NEVER_V6, ...PRIVATE_V6]);

function blockList(v4: readonly (readonly [string, number])[], v6: readonly (readonly [string, number])[]): BlockList {
  const list = new BlockList();
  for (const [net, bits] of v4) list.addSubnet(net, bits, 'ipv4');
  for (const [net, bits] of v6) list.addSubnet(net, bits, 'ipv6');
  return list;
}

/** A zone index (fe80::1%eth0) is no part of the address. */
const withoutZone = (address: string): string => address.split('%', 1)[0] ?? address;

function within(list: BlockList, address: string): boolean {
  const bare = withoutZone(address);
  const family = isIP(bare);
  return family === 0 || list.check(bare, family === 6 ? 'ipv6' : 'ipv4');
}

/** Whether the address, or an IPv4 address embedded in it, is on the list. For lists of forbidden addresses. */
function reaches(list: BlockList, address: string): boolean {
  return within(list, address) || embeddedAddresses(withoutZone(address)).some((inner) => list.check(inner, 'ipv4'));
}

/**
 * The host of a URL without the brackets of an IPv6 literal. The URL parser has already turned 0x7f.1 and 2130706433
 * into 127.0.0.1.
 */
function hostOf(url: URL): string {
  return url.hostname.startsWith('[') ? url.hostname.slice(1, -1) : url.hostname;
}

function isLoopbackName(host: string): boolean {
  return host === 'localhost' || host.endsWith('.localhost');
}

function isLoopback(host: string): boolean {
  return isLoopbackName(host) || (isIP(host) !== 0 && within(loopback, host));
}

/** Whether the host is an address, and none that the whole internet reaches. */
export function isInsideLiteral(url: URL): boolean {
  return isIP(hostOf(url)) !== 0 && reaches(inside, hostOf(url));
}

/**
 * Why this URL may not be an upstream, in one sentence; undefined when it may. Used by the configuration check and at
 * construction.
 */
export function refuseUpstreamUrl({
  url: text,
  allowPlaintext,
  allowPrivateAddresses,
}: AddressRules): string | undefined {
  if (!URL.canParse(text)) return 'It is not a URL.';
  const url = new URL(text);
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return 'Its scheme is neither https nor http.';
  if (url.username !== '' || url.password !== '') return 'It carries user information; put secrets under credentials.';
  if (url.search !== '' || url.hash !== '') return 'It carries a query or a fragment.';
  const host = hostOf(url);
  if (url.protocol === 'http:' && !allowPlaintext && !isLoopback(host))
    return 'Plain http to another host needs allowPlaintext: true.';
  if (isIP(host) !== 0 && allowPrivateAddresses !== true && reaches(never, host)) {
    return 'It names a link-local, metadata, unspecified or multicast address, which needs allowPrivateAddresses: true.';
  }
  return undefined;
}

/**
 * For targets other than upstreams. Their IP literals are judged like names: a private address needs
 * allowPrivateAddresses, this machine does not, and link-local and metadata addresses are always refused.
 */
export function refuseTargetLiteral({ url, allowPrivateAddresses }: AddressRules): string | undefined {
  const host = hostOf(new URL(url));
  if (isIP(host) === 0 || isLoopback(host)) return undefined;
  if (reaches(never, host)) return 'It names a link-local, metadata, unspecified or multicast address.';
  return allowPrivateAddresses !== true && reaches(inside, host)
    ? 'It names an address of a private network, which needs allowPrivateAddresses: true.'
    : undefined;
}

/**
 * A look-up for net.connect and tls.connect. It fails with `upstream_address_refused` when any answer is an internal
 * address. A loopback name must stay on the loopback. An IP literal from the configuration never comes here.
 */
export function guardedLookup(rules: AddressRules, resolve: Resolve = systemLookup): LookupFunction {
  const mustBeLoopback = isLoopbackName(hostOf(new URL(rules.url)));
  const allowAll = rules.allowPrivateAddresses === true;
  return (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, addresses) => {
      if (error !== null) return callback(error, '');
      const refused = mustBeLoopback
        ? addresses.some(({ address }) => !within(loopback, address))
        : addresses.some(({ address }) => reaches(inside, address));
      const special = rules.neverSpecial === true && addresses.some(({ address }) => reaches(never, address));
      if ((refused && !allowAll) || special) {
        return callback(
          new GatewayError(
            'upstream_address_refused',
            'The name of the upstream resolves to an address that it may not have.',
          ),
          '',
        );
      }
      if (options.all === true) return callback(null, addresses);
      const [first] = addresses;
      if (first === undefined)
        return callback(
          new GatewayError('upstream_unreachable', 'The name of the upstream resolves to no address.'),
          '',
        );
      callback(null, first.address, first.family);
    });
  };
}
