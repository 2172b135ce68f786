// Hosts, ports and URLs of the configuration. Plain http is for this machine only, unless a key says otherwise.

import { BlockList, isIP } from 'node:net';
import { z } from 'zod';

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

const special = new BlockList();
special.addSubnet('0.0.0.0', 8, 'ipv4');
special.addSubnet('169.254.0.0', 16, 'ipv4');
special.addSubnet('fe80::', 10, 'ipv6');
special.addAddress('::', 'ipv6');

const bareHost = (url: URL): string => url.hostname.replace(/^\[|\]$/g, '');
const inList = (list: BlockList, host: string): boolean =>
  isIP(host) !== 0 && list.check(host, isIP(host) === 6 ? 'ipv6' : 'ipv4');

/** A loopback literal, or `localhost` (RFC 6761 section 6.3). */
export const isLoopback = (url: URL): boolean => bareHost(url) === 'localhost' || inList(loopback, bareHost(url));

/**
 * An address literal that nobody writes on purpose: unspecified, or link-local, where clouds keep their metadata. Names
 * are checked when they are resolved.
 */
export const isSpecialLiteral = (url: URL): boolean => inList(special, bareHost(url));

/** `host:port`; an IPv6 host stands in brackets. Port 0 takes any free one. */
export const listenAddress = () =>
  z
    .string()
    .regex(/^(\[[0-9A-Fa-f:.]+\]|[^:\s[\]]+):\d{1,5}$/, {
      error: 'Write host:port, like 127.0.0.1:8080 or [::1]:8080.',
      abort: true,
    })
    .refine((text) => Number(text.slice(text.lastIndexOf(':') + 1)) <= 65535, 'Write a port up to 65535.')
    .transform((text) => {
      const at = text.lastIndexOf(':');
      return { host: text.slice(0, at).replace(/^\[|\]$/g, ''), port: Number(text.slice(at + 1)) };
    });

/** Whether secrets may be sent there: https, or plain http to this machine. */
export const isSecure = (url: URL): boolean =>
  url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url));

const readUrl = (text: string): URL | undefined => (URL.canParse(text) ? new URL(text) : undefined);

/** An absolute http or https URL without user information, query or fragment; comes out exactly as written. */
export const httpUrl = () =>
  z.string().refine(
    (text) => {
      const url = readUrl(text);
      return (
        url !== undefined &&
        /^https?:$/.test(url.protocol) &&
        !/[?#\s\\]/.test(text) &&
        url.username === '' &&
        url.password === ''
      );
    },
    { error: 'Write an absolute http(s) URL without user name, query or fragment.', abort: true },
  );

/** As httpUrl, and nothing after host and port. */
export const originUrl = () =>
  httpUrl().refine(
    (text) => readUrl(text)?.pathname === '/',
    'Write only scheme, host and port, like https://gateway.example.org.',
  );

/** As httpUrl, and https unless the host is this machine. */
export const secureUrl = () =>
  httpUrl().refine((text) => {
    const url = readUrl(text);
    return url === undefined || isSecure(url);
  }, 'Plain http is accepted on loopback only: write https.');

/** The address of a SPIFFE Workload API: `unix:///path` or `tcp://ip:port` (SPIFFE_Workload_Endpoint section 4). */
export const workloadApiAddress = () =>
  z.string().regex(/^(unix:\/\/\/[^?#]+|tcp:\/\/(\d{1,3}(\.\d{1,3}){3}|\[[0-9a-fA-F:]+\]):\d{1,5})$/, {
    error: 'Write unix:///path or tcp://ip:port.',
  });
