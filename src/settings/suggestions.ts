// "Did you mean …?" for an unknown name. The sentences repeat known names only, never what was written, which may be a
// secret in the wrong place. The work is bounded for names of any length.

/** A longer text is not a misspelt name. */
const LONGEST_NAME = 64;
/** More names than these are not compared, or listed. */
const MOST_COMPARED = 1_000;
const MOST_LISTED = 24;
/** Names that are listed although one of them is near. */
const MOST_BESIDE = 12;

/**
 * What to write in place of a name that is not known: `Did you mean X? Tiers: X, Y.` `label` says what the names are.
 * A long list is left out when one name is near.
 */
export function suggest(written: unknown, label: string, known: readonly string[]): string {
  const nearest = typeof written === 'string' ? nearestName(written, known) : undefined;
  const sentences = [
    nearest === undefined ? [] : [`Did you mean \`${nearest}\`?`],
    known.length === 0 || (nearest !== undefined && known.length > MOST_BESIDE) ? [] : [`${label}: ${list(known)}.`],
  ];
  return sentences.flat().join(' ');
}

/** `a`, `b` and 7 more. */
function list(names: readonly string[]): string {
  const shown = names.slice(0, MOST_LISTED).map((name) => `\`${name}\``);
  const more = names.length - shown.length;
  return more > 0 ? `${shown.join(', ')} and ${more} more` : shown.join(', ');
}

/** The known name that was probably meant: the nearest one, if few letters differ. */
export function nearestName(written: string, known: readonly string[]): string | undefined {
  if (written.length > LONGEST_NAME) return undefined;
  const form = plain(written);
  let nearest: string | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const name of known.slice(0, MOST_COMPARED)) {
    if (name.length > LONGEST_NAME) continue;
    const other = plain(name);
    const bound = Math.min(least - 1, Math.floor(Math.max(form.length, other.length) / 3));
    const distance = editDistance(form, other, bound);
    if (distance > bound) continue;
    least = distance;
    nearest = name;
  }
  return nearest;
}

/** Case, hyphens, underscores and blanks do not count: `decide_within` is `decideWithin`. */
const plain = (name: string): string => name.toLowerCase().replace(/[-_ ]/g, '');

/**
 * How many letters have to be inserted, deleted, replaced or exchanged with their neighbour (optimal string alignment).
 * Any number above `bound` stands for all of them.
 */
export function editDistance(a: string, b: string, bound: number): number {
  if (Math.abs(a.length - b.length) > bound) return bound + 1;
  let beforeLast: readonly number[] = [];
  let last: readonly number[] = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (last[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const exchanged =
        i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? (beforeLast[j - 2] as number) + 1 : replaced;
      row.push(Math.min((last[j] as number) + 1, (row[j - 1] as number) + 1, replaced, exchanged));
    }
    if (Math.min(...row) > bound) return bound + 1;
    [beforeLast, last] = [last, row];
  }
  return last[b.length] as number;
}
