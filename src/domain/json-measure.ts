// Whether a text is small enough to be parsed as JSON in one go, found out by one look at each character: JSON.parse
// takes seconds for some megabytes of opening brackets, and about a microsecond for each key or short text that it has
// not met before.

export interface JsonMeasure {
  /** Deepest nesting of arrays and objects. */
  readonly depth: number;
  /** Most brackets, commas and colons outside strings: about two for each value. */
  readonly marks: number;
}

const [QUOTE, BACKSLASH] = [0x22, 0x5c];

/** Exact for valid JSON; for other texts it only has to end, since JSON.parse refuses them. */
export function isWithin(text: string, { depth: deepest, marks: most }: JsonMeasure): boolean {
  let depth = 0;
  let marks = 0;
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case QUOTE:
        at = closingQuote(text, at);
        break;
      case 0x7b: // {
      case 0x5b: // [
        marks++;
        if (++depth > deepest) return false;
        break;
      case 0x7d: // }
      case 0x5d: // ]
        depth--;
        break;
      case 0x2c: // ,
      case 0x3a: // :
        if (++marks > most) return false;
    }
  }
  return marks <= most;
}

function closingQuote(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end !== -1; end = text.indexOf('"', end + 1)) {
    let first = end;
    while (text.charCodeAt(first - 1) === BACKSLASH) first--;
    if ((end - first) % 2 === 0) return end;
  }
  return text.length;
}
