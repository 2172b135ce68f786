// Makes untrusted text safe to show and honest to read: nothing in it moves the cursor, reorders the line, hides or
// imitates a line of ours. Follows Unicode's General_Category and Default_Ignorable_Code_Point; for letters that pass
// for Latin ones, the scripts and a table of the closest look-alikes (after UTS 39). The terminal and the pages share
// it.

/**
 * Characters that a terminal acts on, reorders by, or shows as nothing. U+0020 is the only space that is left as it is.
 */
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]|(?! )\p{Zs}/gu;
/** More marks on one letter than any script needs can paint over other lines. */
const STACKED_MARKS = /(?<=\p{M}{4})\p{M}/gu;
/** What is read as one word: letters, digits, marks and what holds host names and paths together. */
const WORD = /[\p{L}\p{N}\p{M}._@-]+/gu;
const LATIN = /[A-Za-z]/;
const NOT_ASCII = /[^\u0020-\u007e]/;
/** Scripts whose letters pass for Latin ones. */
const NEAR_LATIN =
  /[\p{Script=Cyrillic}\p{Script=Greek}\p{Script=Armenian}\p{Script=Cherokee}\p{Script=Coptic}\p{Script=Lisu}]/u;
/** Letters of those scripts, and of Latin itself, that cannot be told from ASCII in most typefaces. */
const TWINS = new Set('аеорсухіјѕԁԛԝһӏАВЕКМНОРСТУХІЈЅԌԚԜΑΒΕΖΗΙΚΜΝΟΡΤΥΧοινρυօսհոցıɑɡǀᴏᴄᴠᴡᴢ');

export interface VisibleText {
  readonly text: string;
  /** How many characters had to be made visible. */
  readonly made: number;
}

/** A stretch of text: as it was, made visible, or a letter that passes for another one. */
export interface Segment {
  readonly kind: 'plain' | 'invisible' | 'lookalike';
  /** What to show. */
  readonly text: string;
  /** `U+202E`, for everything but plain text. */
  readonly code?: string;
}

/**
 * Control characters become control pictures (␛), others `<U+202E>`; line feeds too, so that the result is one line.
 */
export function visible(text: string): VisibleText {
  let made = 0;
  const show = (character: string): string => {
    made++;
    return picture(character.codePointAt(0) ?? 0);
  };
  return { text: text.replace(INVISIBLE, show).replace(STACKED_MARKS, show), made };
}

/**
 * Like `visible`, one entry per line of the text. A carriage return before a line feed is shown: it is part of what
 * would be sent.
 */
export function visibleLines(text: string): { readonly lines: readonly string[]; readonly made: number } {
  const lines = text.split('\n').map(visible);
  return { lines: lines.map((line) => line.text), made: lines.reduce((sum, line) => sum + line.made, 0) };
}

/**
 * The text in stretches, for a display that can mark them. Line feeds and tabs stay plain where `lines` says that the
 * text is shown over lines. Joining the stretches' text gives what `visible` gives, look-alikes included as they are.
 */
export function segments(text: string, { lines = false }: { readonly lines?: boolean } = {}): readonly Segment[] {
  return segmentsWithin(text, Number.POSITIVE_INFINITY, lines) ?? [];
}

/** The same; undefined for a text with more marks than `most`, and then no further look is taken at it. */
export function segmentsWithin(text: string, most: number, lines: boolean): readonly Segment[] | undefined {
  const marks = new Map<number, Mark>();
  for (const mark of marksIn(text, lines)) {
    // Of two marks on one character the one that is found first stands.
    if (!marks.has(mark.at)) marks.set(mark.at, mark);
    if (marks.size > most) return undefined;
  }
  const found: Segment[] = [];
  let plainFrom = 0;
  const plain = (to: number) => {
    if (to > plainFrom) found.push({ kind: 'plain', text: text.slice(plainFrom, to) });
  };
  for (const { at, kind, character } of [...marks.values()].sort((one, other) => one.at - other.at)) {
    plain(at);
    const code = character.codePointAt(0) ?? 0;
    found.push({ kind, text: kind === 'invisible' ? picture(code) : character, code: codeOf(code) });
    plainFrom = at + character.length;
  }
  plain(text.length);
  return found;
}

interface Mark {
  readonly at: number;
  readonly kind: 'invisible' | 'lookalike';
  readonly character: string;
}

/** In no order, and possibly two for one character. */
function* marksIn(text: string, lines: boolean): Generator<Mark> {
  for (const pattern of [INVISIBLE, STACKED_MARKS]) {
    for (const { 0: character, index: at } of text.matchAll(pattern)) {
      if (!lines || (character !== '\n' && character !== '\t')) yield { at, kind: 'invisible', character };
    }
  }
  if (!NOT_ASCII.test(text)) return;
  for (const { 0: word, index } of text.matchAll(WORD)) if (NOT_ASCII.test(word)) yield* lookalikesIn(word, index);
}

/**
 * Letters that pass for ASCII: compatibility forms of it, and neighbours' letters in a word that is, or could be read
 * as, Latin.
 */
function* lookalikesIn(word: string, from: number): Generator<Mark> {
  let latin = false;
  let twinsOnly = true;
  for (const character of word) {
    const { isLetter, isTwin } = natureOf(character);
    latin ||= LATIN.test(character);
    twinsOnly &&= isTwin || !isLetter;
  }
  const mixed = latin || twinsOnly;
  let at = from;
  for (const character of word) {
    const { isTwin, isNear, isCompatible } = natureOf(character);
    if (isCompatible || (mixed && (isTwin || isNear))) yield { at, kind: 'lookalike', character };
    at += character.length;
  }
}

interface Nature {
  readonly isLetter: boolean;
  readonly isTwin: boolean;
  readonly isNear: boolean;
  readonly isCompatible: boolean;
}

const LETTER = /\p{L}/u;
const VISIBLE_ASCII = /^[\x21-\x7e]+$/;
const REMEMBERED = 20_000;
const natures = new Map<string, Nature>();

/** Remembered, because a text has its few letters many times. */
function natureOf(character: string): Nature {
  let nature = natures.get(character);
  if (nature === undefined) {
    if (natures.size >= REMEMBERED) natures.clear();
    nature = {
      isLetter: LETTER.test(character),
      isTwin: TWINS.has(character),
      isNear: NEAR_LATIN.test(character),
      isCompatible: character > '\u007f' && VISIBLE_ASCII.test(character.normalize('NFKC')),
    };
    natures.set(character, nature);
  }
  return nature;
}

function picture(code: number): string {
  if (code < 0x20) return String.fromCodePoint(0x2400 + code);
  if (code === 0x7f) return '␡';
  return `<${codeOf(code)}>`;
}

function codeOf(code: number): string {
  return `U+${code.toString(16).toUpperCase().padStart(4, '0')}`;
}
