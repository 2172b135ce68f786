// The names of parameters, in a query or an urlencoded form, as servers take them. Wider than any one reader: PHP drops
// leading blanks, ends a name at NUL, and reads `.`, blank and a lone `[` as `_`; PHP, Rack and qs read `a[]` and
// `a[b]` as parts of `a`; ASP.NET ignores case; `;` separates in some.

import { foldKey } from './keys.ts';

/** One form for all spellings of a parameter's name that some server takes for the same. `name` is decoded. */
export function parameterName(name: string): string {
  const folded = foldKey(name.split('\0', 1)[0] ?? '').trimStart();
  const bracket = folded.indexOf('[', 1);
  return (bracket === -1 ? folded : folded.slice(0, bracket)).trimEnd().replace(/[. [+]/g, '_');
}

export interface Parameter {
  readonly name: string;
  readonly value: string;
}

/**
 * The pairs of an urlencoded text (WHATWG URL section 5.1) as the most generous server separates them. What cannot be
 * decoded stays as it is.
 */
export function* parametersOf(text: string): Generator<Parameter> {
  for (const pair of text.split(/[&;]/)) {
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    yield {
      name: decode(equals === -1 ? pair : pair.slice(0, equals)),
      value: equals === -1 ? '' : decode(pair.slice(equals + 1)),
    };
  }
}

function decode(text: string): string {
  if (!/[%+]/.test(text)) return text;
  const spaced = text.replaceAll('+', ' ');
  try {
    return decodeURIComponent(spaced);
  } catch {
    // A server that is less strict decodes what it can.
    return spaced.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  }
}
