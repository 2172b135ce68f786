// The spellings of a path that an upstream may read as one. Express, ASP.NET, Spring and PHP on Windows ignore the case
// of letters; most ignore a last slash; Tomcat and Spring drop what follows a semicolon; Windows drops dots and blanks
// at the end of a name. Hold and deny rules match all of them.

import { foldKey } from '../domain/normal-forms/keys.ts';

export class Spelling {
  readonly segments: readonly string[];
  #text: string | undefined;
  #folded: string | undefined;
  #foldedSegments: readonly string[] | undefined;

  constructor(segments: readonly string[], text?: string) {
    this.segments = segments;
    this.#text = text;
  }

  get text(): string {
    this.#text ??= `/${this.segments.join('/')}`;
    return this.#text;
  }

  get folded(): string {
    this.#folded ??= foldKey(this.text);
    return this.#folded;
  }

  /** A wide slash becomes a separator, so the path may get more segments. */
  get foldedSegments(): readonly string[] {
    this.#foldedSegments ??= this.folded === this.text ? this.segments : this.folded.slice(1).split('/');
    return this.#foldedSegments;
  }
}

/** The other spellings of a path. */
export function otherSpellings(itself: Spelling): readonly Spelling[] {
  const toggled = toggleSlash(itself);
  if (!/;|[. ](?:\/|$)/.test(itself.text)) return [toggled];
  const names = itself.segments.map((segment) => segment.replace(/;.*$/s, '').replace(/[. ]+$/, ''));
  const bare = new Spelling(names.filter((name, at) => name !== '' || at === names.length - 1));
  return [toggled, bare, toggleSlash(bare)];
}

function toggleSlash({ segments, text }: Spelling): Spelling {
  return segments.at(-1) === ''
    ? new Spelling(segments.slice(0, -1), text.slice(0, -1))
    : new Spelling([...segments, ''], `${text}/`);
}
