// The hosts that a text names, wherever they stand in it: URLs, `//host`, `www.` words, e-mail addresses, IP literals, and
// under some members bare dotted words. A URL parser, a mail server and a person read a text in different ways, so each
// reading counts. The work is linear in the text, and the number of hosts is bounded.

import { isIPv6 } from 'node:net';
import { type HostAndPath, readHost } from '../../domain/normal-forms/hosts.ts';

/** What a text names, and the host in it; absent where the parser refuses it. */
export interface Place {
  readonly value: string;
  readonly place?: HostAndPath;
}

/** Different places that are looked at. Parsing one takes a few microseconds. */
const MOST_PLACES = 2_000;
/** Characters that are searched for one call, forms and repetitions included. A million take some 40 ms. */
const MOST_SEARCHED = 4_000_000;
/** Characters of `value`. */
const LONGEST_VALUE = 256;

/** Gathers places, each once. */
export class Places {
  readonly #found = new Map<string, Place>();
  #left = MOST_SEARCHED;
  #tooMany = false;

  get found(): Iterable<Place> {
    return this.#found.values();
  }

  /** Whether there were more than could be looked at. */
  get tooMany(): boolean {
    return this.#tooMany;
  }

  /** Pays for characters that are looked at. */
  charge(characters: number): void {
    this.#left -= characters;
    if (this.#left < 0) this.#tooMany = true;
  }

  /** `text`: an authority and what follows it. */
  add(text: string): void {
    if (text === '' || this.#found.has(text)) return;
    if (this.#found.size >= MOST_PLACES) {
      this.#tooMany = true;
      return;
    }
    const place = readHost(text);
    if (place?.host === '') return;
    this.#found.set(text, { value: text.slice(0, LONGEST_VALUE), ...(place && { place }) });
  }
}

/** Anything that one of the searches below could begin with. */
const SUSPECT = /[\\/:@]|\d\.\d|www[.。]/i;

/** What the member says of a text that stands under it: that it names a host, or somebody; undefined for others. */
export type Naming = 'host' | 'recipient' | undefined;

/** `naming`: where it is given, bare dotted words count. */
export function findHosts(text: string, naming: Naming, places: Places): void {
  for (const form of formsOf(text)) {
    places.charge(form.length);
    if (places.tooMany) return;
    if (naming !== undefined) findWords(form, naming, places);
    if (!SUSPECT.test(form)) continue;
    findWhole(form, places);
    findSlashes(form, places);
    findSchemes(form, places);
    findAddresses(form, places);
    findLiterals(form, places);
  }
}

/**
 * The text as it is, percent-decoded once, with the escapes of JSON resolved, and with the references of HTML resolved.
 * And each of these in compatibility form (NFKC), which has plain characters for wide and small ones.
 */
export function formsOf(text: string): readonly string[] {
  const forms = [text];
  if (/%[0-9a-f]{2}/i.test(text)) forms.push(text.replace(/(?:%[0-9a-f]{2})+/gi, decodeRun));
  if (/\\u[0-9a-f]{4}/i.test(text))
    forms.push(text.replace(/\\u([0-9a-f]{4})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))));
  if (REFERENCE.test(text)) forms.push(text.replace(REFERENCES, resolveReference));
  return [...forms, ...forms.filter((form) => WIDE.test(form)).map((form) => form.normalize('NFKC'))];
}

/** Characters whose compatibility form stands in a URL: wide ones, small ones, and dots. */
const WIDE = /\u2024|[\ufe50-\uffef]/;
/** What HTML has for the characters that a URL is known by (html.spec.whatwg.org, section 13.5). */
const NAMED = new Map([
  ['colon', ':'],
  ['sol', '/'],
  ['bsol', '\\'],
  ['period', '.'],
  ['commat', '@'],
]);
const REFERENCE = /&(?:#x?[0-9a-f]{1,8}|colon;|b?sol;|period;|commat;)/i;
const REFERENCES = /&(?:#x([0-9a-f]{1,8})|#(\d{1,8})|(colon|b?sol|period|commat)(?=;));?/gi;

function resolveReference(whole: string, hex?: string, decimal?: string, name?: string): string {
  if (name !== undefined) return NAMED.get(name) ?? whole;
  const point = hex === undefined ? Number(decimal) : Number.parseInt(hex, 16);
  return point > 0 && point <= 0x10_ff_ff ? String.fromCodePoint(point) : whole;
}

const decodeRun = (run: string): string => Buffer.from(run.replaceAll('%', ''), 'hex').toString('utf8');

/** The whole text, given to a URL parser: it ignores tabs and line ends, and takes quotes for parts of a host. */
function findWhole(text: string, places: Places): void {
  const whole = withoutEnd(text, isControlOrBlank).replace(/^[\0- ]+|[\t\n\r]/g, '');
  if (/\s/.test(whole)) return;
  const [, scheme, slashes = '', rest = ''] = /^(?:([a-z][a-z0-9+.-]{0,30}):)?([\\/]*)(\S*)$/is.exec(whole) ?? [];
  if (namesAuthority(scheme, slashes)) places.add(urlAt(rest, 0, places, /\s/));
}

/** Schemes whose host the URL parser finds behind any number of slashes, and behind none. */
const SPECIAL = /^(?:https?|wss?|ftp)$/i;

function namesAuthority(scheme: string | undefined, slashes: string): boolean {
  if (scheme !== undefined && SPECIAL.test(scheme)) return true;
  // `file:///etc/hosts` has no host. With four slashes, Windows reads one.
  return slashes.length >= 2 && (scheme === undefined || slashes.length !== 3);
}

/** Where a URL ends in a text. */
const URL_END = /[\s"'<>`{}|^]/;
/** Characters of a scheme. */
const MOST_LOOKED_BACK = 32;
/** What one place in a text costs, in characters, besides those that follow it. */
const PLACE_COST = 40;

function findSlashes(text: string, places: Places): void {
  for (const { 0: slashes, index } of text.matchAll(/[\\/]{2,}/g)) {
    places.charge(PLACE_COST);
    const before = text.slice(Math.max(0, index - MOST_LOOKED_BACK), index);
    const [, scheme] = /([a-z][a-z0-9+.-]*):$/i.exec(before) ?? [];
    // In `a//b` there is an empty segment of a path.
    if (scheme === undefined && /[\w.~%-]$/.test(before)) continue;
    if (namesAuthority(scheme, slashes)) places.add(urlAt(text, index + slashes.length, places));
    if (places.tooMany) return;
  }
}

/** `https:host` and `https:/host`, which the URL parser reads as `https://host`. */
function findSchemes(text: string, places: Places): void {
  for (const { 0: found, index } of text.matchAll(/\b(?:https?|wss?|ftp):[\\/]?(?![\s\\/])|(?<![\w@.-])www[.。]/gi)) {
    places.add(urlAt(text, found.includes(':') ? index + found.length : index, places));
    if (places.tooMany) return;
  }
}

/** Characters that are looked at behind the start of a URL. */
const LONGEST_URL = 2_048;

function urlAt(text: string, start: number, places: Places, ending = URL_END): string {
  const rest = text.slice(start, start + LONGEST_URL);
  const end = rest.search(ending);
  places.charge(PLACE_COST + 2 * (end === -1 ? rest.length : end));
  // A path whose end is not seen may lead anywhere: only the authority counts.
  if (end === -1 && rest.length === LONGEST_URL) return rest.split(/[\\/?#]/, 1)[0] ?? '';
  return withoutPunctuation(withoutNext(end === -1 ? rest : rest.slice(0, end)));
}

/** Ends a URL where a comma and another URL follow. No host ends in `,https`. */
const withoutNext = (url: string): string => url.replace(/[,;][a-z][a-z0-9+.-]{0,30}:[\\/]{2}.*$/is, '');

/** Takes off the punctuation of the sentence around it: no host ends so. */
const withoutPunctuation = (url: string): string =>
  withoutEnd(url, url.includes('[') ? isSentence : isBracketOrSentence);
const isSentence = (character: string): boolean => '.,;:!?)*'.includes(character);
const isBracketOrSentence = (character: string): boolean => character === ']' || isSentence(character);
const isControlOrBlank = (character: string): boolean => character <= ' ';

/** In time linear in the text, which `/[…]+$/` would not be. */
function withoutEnd(text: string, drops: (character: string) => boolean): string {
  let end = text.length;
  while (end > 0 && drops(text.charAt(end - 1))) end -= 1;
  return text.slice(0, end);
}

/** The domain of every address, so of every recipient of a `mailto:`. */
function findAddresses(text: string, places: Places): void {
  for (let at = text.indexOf('@'); at !== -1; at = text.indexOf('@', at + 1)) {
    places.charge(PLACE_COST);
    if (places.tooMany) return;
    const before = text[at - 1];
    if (before === undefined || /\s/.test(before)) continue;
    const [found = ''] = DOMAIN.exec(text.slice(at + 1, at + 1 + LONGEST_DOMAIN)) ?? [];
    const domain = withoutPunctuation(found);
    // `"@scope/name"` and `https://host/@scope` are names of packages and people. `"a b"@host` is an address.
    if ((before === '"' || before === '/' || before === '\\') && !DOTTED_OR_LITERAL.test(domain)) continue;
    places.add(domain.replace(/^\[(?:ipv6:)?(.*)\]$/i, bracketed));
  }
}

/** Not for names without a dot, such as `localhost`: after these characters they are no domain. */
const DOTTED_OR_LITERAL = /[.。．｡[]|^\d+$/;
const LONGEST_DOMAIN = 1_024;
const DOMAIN = /^(?:\[[^\]\s]*\]|[^\s"'<>`{}|^,;()[\]\\/?#:&!*=%@]+)/;

const bracketed = (_: string, address: string): string => (isIPv6(address) ? `[${address}]` : address);

function findLiterals(text: string, places: Places): void {
  for (const [found] of text.matchAll(/(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?!\.?\w)/g)) places.add(found);
  for (const { 0: found, index } of text.matchAll(/[0-9a-f]{0,4}:[0-9a-f:.]{1,45}/gi)) {
    places.charge(PLACE_COST);
    if (places.tooMany) return;
    const address = withoutEnd(found, isSentence);
    const around = `${text[index - 1] ?? ' '}${text[index + found.length] ?? ' '}`;
    if (!/[\w:]/.test(around) && /[0-9a-f]/i.test(address) && isIPv6(address)) places.add(`[${address}]`);
  }
}

/** Dots that the URL parser takes for one. */
const DOTTED = /[^.。．｡][.。．｡][^.。．｡]/;
/** What every bare host has: a dot, a colon or a number at its start. */
const BARE = /[.。．｡:]|^\d/;
const NUMBER = /^(?:0x[0-9a-f]+|\d+)$/i;

function findWords(text: string, naming: 'host' | 'recipient', places: Places): void {
  for (const word of text.split(/[\s,;<>"'`()|{}]+/)) {
    if (!BARE.test(word)) continue;
    places.charge(PLACE_COST);
    const [host = ''] = word.split(/[\\/?#:@]/, 1);
    if (word.charAt(host.length) === '@') continue;
    if (isIPv6(word)) places.add(`[${word}]`);
    else if (DOTTED.test(host) || (naming === 'host' && NUMBER.test(host))) places.add(withoutPunctuation(word));
    if (places.tooMany) return;
  }
}
