// Makes untrusted text safe to print and honest to read: nothing in it moves the cursor, reorders the line, hides or imitates a line of ours.
// Follows Unicode's General_Category and Default_Ignorable_Code_Point. It does not tell look-alike letters apart.

/** Characters that a terminal acts on, reorders by, or shows as nothing. U+0020 is the only space that is left as it is. */
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]|(?! )\p{Zs}/gu;
/** More marks on one letter than any script needs can paint over other lines. */
const STACKED_MARKS = /(?<=\p{M}{4})\p{M}/gu;

export interface VisibleText {
  readonly text: string;
  /** How many characters had to be made visible. */
  readonly made: number;
}

/** Control characters become control pictures (␛), others `<U+202E>`; line feeds too, so that the result is one line. */
export function visible(text: string): VisibleText {
  let made = 0;
  const show = (character: string): string => {
    made++;
    return name(character.codePointAt(0) ?? 0);
  };
  return { text: text.replace(INVISIBLE, show).replace(STACKED_MARKS, show), made };
}

/** Like `visible`, one entry per line of the text. A carriage return before a line feed is shown: it is part of what would be sent. */
export function visibleLines(text: string): { readonly lines: readonly string[]; readonly made: number } {
  const lines = text.split('\n').map(visible);
  return { lines: lines.map((line) => line.text), made: lines.reduce((sum, line) => sum + line.made, 0) };
}

function name(code: number): string {
  if (code < 0x20) return String.fromCodePoint(0x2400 + code);
  if (code === 0x7f) return '␡';
  return `<U+${code.toString(16).toUpperCase().padStart(4, '0')}>`;
}
