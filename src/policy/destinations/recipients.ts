// Whether every part of a text that says where something is sent names a place: a URL, a host, or addresses as mail has
// them (RFC 5322 section 3.4). What stands beside an address could be one more recipient, which only the upstream knows:
// an alias, an address in another writing, a line of a header. In doubt a part names nobody who is known.

const ONE_URL = /^[a-z][a-z0-9+.-]*:[\\/]{2}\S*$/i;
const ONE_HOST = /^(?:[\\/]{2})?[^\s,;<>"'()|@]+$/;
/** Without the spellings in which a mail server finds a second host: `a%b@c`, `b!a@c`, `@b:a@c`. */
const ONE_ADDRESS = /^(?:"[^"\\%!@]*"|[^\s@<>()[\]",;:\\%!]+)@(?:\[[^\]\s]+\]|[^\s@<>()[\]",;:\\/?#%&!*=|]+)$/;
const PARTS = /(?:"[^"]*"|<[^<>]*>|[^,;"<])+|["<]/gs;
/** A backslash can end a quoted text in one reading and not in another. */
const DOUBTFUL = /[\p{Cc}\\]/u;
/** Fields of a `mailto:` that name recipients (RFC 6068 section 2). */
const RECIPIENT_FIELDS = /^(?:to|b?cc)$/i;

/** `isPlace`: whether a part without `@` names a host that was found. */
export function namesOnlyPlaces(text: string, isPlace: (part: string) => boolean): boolean {
  const whole = text.trim();
  const [, mailto] = /^mailto:(.*)$/is.exec(whole) ?? [];
  if (mailto !== undefined) return listsIn(mailto).every((list) => list !== undefined && isList(list, isPlace));
  return isList(whole, isPlace);
}

function isList(text: string, isPlace: (part: string) => boolean): boolean {
  const whole = text.trim();
  if (ONE_URL.test(whole) || (ONE_HOST.test(whole) && isPlace(whole))) return true;
  if (DOUBTFUL.test(whole)) return false;
  const parts = (whole.match(PARTS) ?? []).map((part) => part.trim()).filter((part) => part !== '');
  return parts.every((part) => isAddress(part) || ((ONE_URL.test(part) || ONE_HOST.test(part)) && isPlace(part)));
}

/** `a@b`, `Name <a@b>`, and the first of a group, `name: a@b`. */
function isAddress(part: string): boolean {
  const [, within] = /^[^<>]*<([^<>]*)>$/s.exec(part) ?? [];
  const address = within ?? part.replace(/^[^@<>":]*:/, '');
  return ONE_ADDRESS.test(address.trim());
}

/** What a `mailto:` says about recipients, decoded; undefined for what cannot be decoded. */
function listsIn(mailto: string): readonly (string | undefined)[] {
  const [to = '', ...fields] = mailto.split(/[?&]/);
  const others = fields.flatMap((field) => {
    const [name = '', ...value] = field.split('=');
    return RECIPIENT_FIELDS.test(decoded(name) ?? 'to') ? [value.join('=')] : [];
  });
  return [to, ...others].map(decoded);
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
