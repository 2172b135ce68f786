// The names of JSON members as servers take them. A name is compared in a folded form: two names with one form are one
// name to some server, so a message that has both says two things. Follows Unicode's NFKC_Casefold (The Unicode
// Standard, section 3.13), and is wider than any one reader: Go's encoding/json folds letters one by one (ſ is s, the
// Kelvin sign is k), System.Text.Json and Jackson may ignore case (and a Turkish locale takes ı and İ for i), readers
// written in C end a name at NUL, and some databases and comparers ignore width and invisible characters.

const ASCII = /^[\x01-\x7f]*$/;
/**
 * Besides invisible characters: two ligatures of whole sentences, which normalisation makes up to eighteen times as
 * long.
 */
const IGNORABLE = /[\p{Default_Ignorable_Code_Point}\ufdfa\ufdfb]/gu;
/**
 * Characters of the longest name that is normalised: reordering a run of combining marks takes quadratic time. No
 * server has a longer one to take it for.
 */
const LONGEST_NORMALISED = 128;
/** What is left of the dotted capital İ in small letters. */
const DOTTED_I = /i\u0307/g;

/** Whether folding it costs little for each character. */
export const foldsCheaply = (key: string): boolean => ASCII.test(key);

/** One form for all spellings of a name that some server takes for the same. Linear in the name. */
export function foldKey(key: string): string {
  if (ASCII.test(key)) return key.toLowerCase();
  const end = key.indexOf('\0');
  const seen = (end === -1 ? key : key.slice(0, end)).replace(IGNORABLE, '');
  return seen.length > LONGEST_NORMALISED
    ? foldLetters(seen)
    : foldLetters(seen.normalize('NFKC').replace(IGNORABLE, '')).normalize('NFKC');
}

/** Through capitals, because only they bring ſ to s, ß to ss and ı to i. */
const foldLetters = (text: string): string => text.toLowerCase().toUpperCase().toLowerCase().replace(DOTTED_I, 'i');

/**
 * One form also for the spellings between which Google's APIs and grpc-gateway translate: `to_account` and `toAccount`.
 * For a name that is looked for and not there; two of them in one object are no twins, since other servers keep them
 * apart.
 */
export const looseKey = (key: string): string => foldKey(key).replace(/[_-]/g, '');

/** Small letters, digits and signs of ASCII: a name that is its own folded form. */
const PLAIN = /^[\x01-\x40\x5b-\x7f]*$/;

/** Whether some server takes two of the names, which are all different, for one. */
export function hasTwins(keys: readonly string[]): boolean {
  if (keys.length < 2 || keys.every((key) => PLAIN.test(key))) return false;
  return new Set(keys.map(foldKey)).size < keys.length;
}
