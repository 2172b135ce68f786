// `destinations`, compiled: how far a host is trusted. The most specific pattern that matches decides, so that one host of
// a trusted domain can be trusted less, and one path of a shared host more. What no pattern matches is `external`.

import { BlockList, isIP } from 'node:net';
import { type HostAndPath, readHost } from '../../domain/normal-forms/hosts.ts';
import { foldKey } from '../../domain/normal-forms/keys.ts';
import { compileName, type NameMatch } from '../globs.ts';

/** The trust of everything that no pattern matches: reserved, and the last. */
export const EXTERNAL = 'external';

/** Names of trust with their patterns, most trusted first. */
export type DestinationOptions = Readonly<Record<string, readonly string[]>>;

interface Pattern {
  readonly trust: string;
  /** Of two patterns that match, the higher one decides. */
  readonly weight: number;
  matches(place: HostAndPath): boolean;
}

interface IdPattern {
  readonly trust: string;
  readonly weight: number;
  /** Whether it has a `*`. */
  readonly open: boolean;
  readonly matches: NameMatch;
}

const WITH_PATH = 2_000;

export class TrustTable {
  /** Most trusted first; `external` is the last. */
  readonly names: readonly string[];
  readonly #hosts = new Map<string, string>();
  readonly #patterns: readonly Pattern[];
  readonly #ids: readonly IdPattern[];

  /** Throws TypeError for a pattern that cannot work; checkPolicy has reported it before. */
  constructor(destinations: DestinationOptions) {
    this.names = [...Object.keys(destinations), EXTERNAL];
    const written = Object.entries(destinations).flatMap(([trust, texts]) => texts.map((text) => ({ trust, text })));
    const ids = written.filter(({ text }) => text.startsWith('id:'));
    const others = written.filter(({ text }) => !text.startsWith('id:') && !this.#takeHost(text));
    this.#ids = ids
      .map(({ trust, text }) => ({ trust, weight: text.length, open: text.includes('*'), matches: compileId(text) }))
      .sort((a, b) => b.weight - a.weight);
    this.#patterns = others
      .map(({ trust, text }) => ({ trust, ...compilePattern(text) }))
      .sort((a, b) => b.weight - a.weight);
    for (const { trust, text } of written) if (this.#takeHost(text)) this.#hosts.set(hostIn(text), trust);
  }

  #takeHost(text: string): boolean {
    return !/[*/]|^id:/.test(text);
  }

  /** The trust of a host that was read; `external` for one that could not be. */
  of(place: HostAndPath | undefined): string {
    if (place === undefined) return EXTERNAL;
    const found = this.#patterns.find((pattern) => pattern.matches(place));
    if (found !== undefined && found.weight >= WITH_PATH) return found.trust;
    return this.#hosts.get(place.host) ?? found?.trust ?? EXTERNAL;
  }

  /** The trust of a text that names no host, such as an account number. Compared whole, without case and blanks. */
  ofId(text: string): string {
    const plain = text.replace(/\s/g, '');
    // A text with other characters could be another one for its reader.
    if (!/^[\x21-\x7e]+$/.test(plain)) return EXTERNAL;
    const folded = foldKey(plain);
    // `*` stands for the rest of one id, and not for another id behind it.
    const isList = /[,;|\r\n]/.test(text.trim());
    return this.#ids.find(({ open, matches }) => !(isList && open) && matches(folded, true))?.trust ?? EXTERNAL;
  }

  /** The least trusted of the names; `external` for none at all. */
  least(trusts: Iterable<string>): string {
    let lowest = -1;
    for (const trust of trusts) lowest = Math.max(lowest, this.names.indexOf(trust));
    return this.names[lowest] ?? EXTERNAL;
  }
}

/** Why a pattern cannot work, as a sentence that says what to write; undefined when it can. */
export function refusePattern(text: string): string | undefined {
  try {
    if (text.startsWith('id:')) compileId(text);
    else if (/[*/]/.test(text)) compilePattern(text);
    else hostIn(text);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

const FORMS =
  'Write a host, `*.` before a domain, an address range such as 10.0.0.0/8, `host/path/*`, or `id:` and a text.';

/** The host of a pattern, as hosts of calls are read. */
function hostIn(text: string): string {
  const host =
    /[\s:@?#\\]/.test(text) && isIP(text) !== 6 ? undefined : readHost(isIP(text) === 6 ? `[${text}]` : text)?.host;
  if (host === undefined || host === '') throw new TypeError(FORMS);
  return host;
}

function compilePattern(text: string): Omit<Pattern, 'trust'> {
  if (text.startsWith('*.')) return compileDomain(text.slice(2));
  const [head = '', ...rest] = text.split('/');
  if (isIP(head) !== 0 && rest.length === 1 && /^\d{1,3}$/.test(rest[0] ?? ''))
    return compileRange(head, Number(rest[0]));
  return compilePathOf(head, `/${rest.join('/')}`);
}

function compileDomain(domain: string): Omit<Pattern, 'trust'> {
  if (/[*/]/.test(domain)) throw new TypeError(FORMS);
  const ending = `.${hostIn(domain)}`;
  return {
    weight: ending.length,
    // Any depth below the domain, and not the domain itself. Addresses are below no domain.
    matches: ({ host }) => host.length > ending.length && host.endsWith(ending) && isIP(host) === 0,
  };
}

function compileRange(address: string, bits: number): Omit<Pattern, 'trust'> {
  const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
  if (bits > (family === 'ipv6' ? 128 : 32)) throw new TypeError(FORMS);
  const range = new BlockList();
  range.addSubnet(address, bits, family);
  return {
    weight: bits,
    matches: ({ host }) => isIP(host) === (family === 'ipv6' ? 6 : 4) && range.check(host, family),
  };
}

function compilePathOf(head: string, path: string): Omit<Pattern, 'trust'> {
  if (head.includes('*') || path.slice(0, -1).includes('*') || /[?#%\\;]|\/\/|\/\.{1,2}(?:\/|$)/.test(path))
    throw new TypeError(FORMS);
  const host = hostIn(head);
  const open = path.endsWith('/*');
  if (path.endsWith('*') && !open) throw new TypeError(FORMS);
  const wanted = open ? path.slice(0, -1) : path;
  return {
    weight: WITH_PATH + path.length,
    matches: (place) =>
      place.host === host &&
      place.path !== undefined &&
      (open ? place.path.length > wanted.length && place.path.startsWith(wanted) : place.path === wanted),
  };
}

function compileId(text: string): NameMatch {
  const plain = text.slice('id:'.length).replace(/\s/g, '');
  if (!/^[\x21-\x7e]+$/.test(plain)) throw new TypeError(FORMS);
  return compileName(foldKey(plain), 'exact');
}
