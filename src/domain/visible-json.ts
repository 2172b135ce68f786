// JSON whose every character can be seen. JSON itself has escaped the control characters below U+0020; what is left is
// DEL and C1, line separators, and the format and ignorable characters (bidirectional overrides, zero-width, fillers,
// tags) that a terminal would obey or hide.

const UNSEEN = /[\p{Cc}\p{Cf}\p{Co}\u2028\u2029\u2800\p{Default_Ignorable_Code_Point}]/gu;
const PLAIN = /^[\x20-\x7e]*$/;

/** Rewrites a line of JSON so that it parses to the same value and what `cat` shows is what it says. */
export function visibleJson(json: string): string {
  return PLAIN.test(json) ? json : json.replace(UNSEEN, escapeUnits);
}

function escapeUnits(character: string): string {
  return Array.from(
    { length: character.length },
    (_, i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`,
  ).join('');
}
