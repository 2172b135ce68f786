// Makes untrusted text safe to show and honest to read: nothing in it moves the cursor, reorders the line, hides or imitates a line of ours.
// Follows Unicode's General_Category and Default_Ignorable_Code_Point; for letters that pass for Latin ones, the scripts and a table of
// the closest look-alikes (after UTS 39). The terminal and the pages share it.

/** Characters that a terminal acts on, reorders by, or shows as nothing. U+0020 is the only space that is left as it is. */
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]|(?! )\p{Zs}/gu;
/** More marks on one letter than any script needs can paint over other lines. */
const STACKED_MARKS = /(?<=\p{M}{4})\p{M}/gu;
/** What is read as one word: letters, digits, marks and what holds host names and paths together. */
const WORD = /[\p{L}\p{N}\p{M}._@-]+/gu;
const LATIN = /[A-Za-z]/;
const NOT_ASCII = /[^\u0020-\u007e]/;
/** Scripts whose letters pass for Latin ones. */
const NEAR_LATIN = /[\p{Script=Cyrillic}\p{Script=Greek}\p{Script=Armenian}\p{Script=Cherokee}\p{Script=Coptic}\p{Script=Lisu}]/u;
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

/** Control characters become control pictures (␛), others `<U+202E>`; line feeds too, so that the result is one line. */
export function visible(text: string): VisibleText {
  let made = 0;
  const show = (character: string): string => {
    made++;
    return picture(character.codePointAt(0) ?? 0);
  };
  return { text: text.replace(INVISIBLE, show).replace(STACKED_MARKS, show), made };
}

/** Like `visible`, one entry per line of the text. A carriage return before a line feed is shown: it is part of what would be sent. */
export function visibleLines(text: string): { readonly lines: readonly string[]; readonly made: number } {
  const lines = text.split('\n').map(visible);
  return { lines: lines.map((line) => line.text), made: lines.reduce((sum, line) => sum + line.made, 0) };
}

/**
 * The text in stretches, for a display that can mark them. Line feeds and tabs stay plain where `lines` says that the text is shown over lines.
 * Joining the stretches' text gives what `visible` gives, look-alikes included as they are.
 */
export function segments(text: string, { lines = false }: { readonly lines?: boolean } = {}): readonly Segment[] {
  const marks = new Map<number, Segment & { readonly length: number }>();
  const mark = (kind: 'invisible' | 'lookalike') => (character: string, at: number) => {
    const code = character.codePointAt(0) ?? 0;
    if (lines && (character === '\n' || character === '\t')) return;
    marks.set(at, { kind, text: kind === 'invisible' ? picture(code) : character, code: codeOf(code), length: character.length });
  };
  eachMatch(text, INVISIBLE, mark('invisible'));
  eachMatch(text, STACKED_MARKS, mark('invisible'));
  if (NOT_ASCII.test(text)) eachMatch(text, WORD, (word, at) => eachLookalike(word, (character, offset) => mark('lookalike')(character, at + offset)));
  const found: Segment[] = [];
  let plainFrom = 0;
  const plain = (to: number) => {
    if (to > plainFrom) found.push({ kind: 'plain', text: text.slice(plainFrom, to) });
  };
  for (const [at, { length, ...segment }] of [...marks].sort(([a], [b]) => a - b)) {
    plain(at);
    found.push(segment);
    plainFrom = at + length;
  }
  plain(text.length);
  return found;
}

function eachMatch(text: string, pattern: RegExp, look: (match: string, at: number) => void): void {
  for (const match of text.matchAll(pattern)) look(match[0], match.index);
}

/** Letters that pass for ASCII: compatibility forms of it, and neighbours' letters in a word that is, or could be read as, Latin. */
function eachLookalike(word: string, look: (character: string, at: number) => void): void {
  if (!NOT_ASCII.test(word)) return;
  const letters = word.replace(/[^\p{L}]/gu, '');
  const mixed = LATIN.test(word) || [...letters].every((letter) => TWINS.has(letter));
  let at = 0;
  for (const character of word) {
    const compatible = character > '\u007f' && /^[\x21-\x7e]+$/.test(character.normalize('NFKC'));
    if (compatible || TWINS.has(character) ? compatible || mixed : mixed && NEAR_LATIN.test(character)) look(character, at);
    at += character.length;
  }
}

function picture(code: number): string {
  if (code < 0x20) return String.fromCodePoint(0x2400 + code);
  if (code === 0x7f) return '␡';
  return `<${codeOf(code)}>`;
}

function codeOf(code: number): string {
  return `U+${code.toString(16).toUpperCase().padStart(4, '0')}`;
}
