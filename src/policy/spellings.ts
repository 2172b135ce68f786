// The spellings of a path that an upstream may read as one. Express, ASP.NET, Spring and PHP on Windows ignore the case of letters; most
// ignore a last slash; Tomcat and Spring drop what follows a semicolon; Windows drops dots and blanks at the end of a name. Hold and deny
// rules mean them all.

/** Letters as the most forgiving reader sees them: in one case, in one width, whole (Unicode NFKC and case mapping). */
export function foldLetters(text: string): string {
  // The case of two letters may meet in the upper one alone, as that of s and U+017F does.
  return /^[\0-\x7f]*$/.test(text) ? text.toLowerCase() : text.normalize('NFKC').toUpperCase().toLowerCase();
}

export class Spelling {
  readonly segments: readonly string[];
  #text: string | undefined;
  #folded: string | undefined;
  #foldedSegments: readonly string[] | undefined;

  constructor(segments: readonly string[]) {
    this.segments = segments;
  }

  get text(): string {
    this.#text ??= `/${this.segments.join('/')}`;
    return this.#text;
  }

  get folded(): string {
    this.#folded ??= foldLetters(this.text);
    return this.#folded;
  }

  /** A wide slash becomes one that separates, so there may be more of them. */
  get foldedSegments(): readonly string[] {
    this.#foldedSegments ??= this.folded.slice(1).split('/');
    return this.#foldedSegments;
  }
}

/** The path as it is comes first. */
export function spellingsOf(segments: readonly string[]): readonly Spelling[] {
  const spellings = [segments, toggleSlash(segments)];
  if (segments.some((segment) => segment.includes(';') || /[. ]$/.test(segment))) {
    const bare = segments
      .map((segment) => segment.replace(/;.*$/s, '').replace(/[. ]+$/, ''))
      .filter((segment, at) => segment !== '' || at === segments.length - 1);
    spellings.push(bare, toggleSlash(bare));
  }
  return spellings.map((spelling) => new Spelling(spelling));
}

const toggleSlash = (segments: readonly string[]): readonly string[] => (segments.at(-1) === '' ? segments.slice(0, -1) : [...segments, '']);
