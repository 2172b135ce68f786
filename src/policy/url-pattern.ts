// A URLPattern pathname (WHATWG URL Pattern Standard, sections 2.1 and 2.2) as a regular expression for RE2. URLPattern
// itself checks the syntax. Its matching backtracks, so a path of 12,000 characters could keep it busy for minutes.
// Whatever RE2 cannot match in the same way and in linear time is refused here, with a sentence that says what to
// write.

import { RE2JS } from 're2js';

export interface LinearPattern {
  readonly source: string;
  /** The text that every match begins with. */
  readonly prefix: string;
  /** A name for each group of the expression, in order; undefined for those that have a number only. */
  readonly groups: readonly (string | undefined)[];
}

type Modifier = '' | '?' | '*' | '+';

interface PatternPart {
  /** For fixed text: the text alone. */
  readonly prefix: string;
  readonly suffix: string;
  /** The group's expression; undefined for fixed text. */
  readonly expression?: string;
  readonly name?: string;
  readonly modifier: Modifier;
}

const SEGMENT = '[^/]+?';
const ANYTHING = '.*';

/** `spell` rewrites the fixed text of the pattern. Throws TypeError with a sentence about the pattern. */
export function compileUrlPattern(pathname: string, spell: (text: string) => string = (text) => text): LinearPattern {
  judge(pathname);
  const parts = new Reader(pathname).parts();
  const source = parts.map((part) => write(part, spell)).join('');
  const [first] = parts;
  const groups = parts.filter(({ expression }) => expression !== undefined).map(({ name }) => name);
  return {
    source,
    prefix: first?.expression === undefined && first?.modifier === '' ? spell(first.prefix) : '',
    groups,
  };
}

function judge(pathname: string): void {
  try {
    new URLPattern({ pathname });
  } catch {
    throw new TypeError(
      'Write a URLPattern pathname, like `/accounts/:id`: check its groups, and use each parameter name only once.',
    );
  }
}

/** "Generate a regular expression and name list" of the standard, without its anchors. */
function write({ prefix, suffix, expression, name, modifier }: PatternPart, spell: (text: string) => string): string {
  const [before, after] = [RE2JS.quote(spell(prefix)), RE2JS.quote(spell(suffix))];
  if (expression === undefined) return modifier === '' ? before : `(?:${before})${modifier}`;
  const once = modifier === '' || modifier === '?';
  // Engines differ in whether an empty match counts.
  if (name !== undefined && modifier !== '' && prefix === '' && suffix === '' && matchesNothing(expression))
    throw new TypeError(
      `Drop the ${modifier} after \`:${name}\`, or let it take at least one character: left out and empty cannot be told apart.`,
    );
  if (prefix === '' && suffix === '') return once ? `(${expression})${modifier}` : `((?:${expression})${modifier})`;
  if (once) return `(?:${before}(${expression})${after})${modifier}`;
  return `(?:${before}((?:${expression})(?:${after}${before}(?:${expression}))*)${after})${modifier === '*' ? '?' : ''}`;
}

/** "Parse a pattern string" of the standard, for a text that is one. */
class Reader {
  readonly #text: string;
  #at = 0;
  constructor(text: string) {
    this.#text = text;
  }

  parts(): readonly PatternPart[] {
    const parts: PatternPart[] = [];
    let fixed = '';
    const add = (part: PatternPart): void => {
      if (part.expression === undefined && part.modifier === '') {
        fixed += part.prefix;
        return;
      }
      if (fixed !== '') parts.push({ prefix: fixed, suffix: '', modifier: '' });
      fixed = '';
      if (part.expression !== undefined || part.prefix !== '') parts.push(part);
    };
    while (this.#at < this.#text.length) {
      if (this.#take('{')) {
        const prefix = this.#fixedText();
        const group = this.#group();
        const suffix = this.#fixedText();
        this.#take('}');
        add(
          group === undefined
            ? { prefix: prefix + suffix, suffix: '', modifier: this.#modifier() }
            : { prefix, suffix, ...group, modifier: this.#modifier() },
        );
        continue;
      }
      const start = this.#at;
      const slash = this.#take('/') ? '/' : '';
      const group = this.#group();
      if (group !== undefined) add({ prefix: slash, suffix: '', ...group, modifier: this.#modifier() });
      else {
        this.#at = start;
        add({ prefix: this.#character(), suffix: '', modifier: '' });
      }
    }
    add({ prefix: '', suffix: '', expression: '', modifier: '' });
    return parts.slice(0, -1);
  }

  #take(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #character(): string {
    this.#take('\\');
    const character = String.fromCodePoint(this.#text.codePointAt(this.#at) ?? 0);
    this.#at += character.length;
    return character;
  }

  /** Up to a group or the end of the braces. */
  #fixedText(): string {
    let text = '';
    while (
      this.#at < this.#text.length &&
      !/^(?:[}(*]|:[\p{ID_Start}$_])/u.test(this.#text.slice(this.#at, this.#at + 3))
    )
      text += this.#character();
    return text;
  }

  #group(): Pick<PatternPart, 'expression' | 'name'> | undefined {
    const name = /^:([\p{ID_Start}$_][\p{ID_Continue}$\u200c\u200d]*)/u.exec(this.#text.slice(this.#at))?.[1];
    if (name !== undefined) this.#at += name.length + 1;
    if (this.#text[this.#at] === '(')
      return { expression: translate(this.#expression()), ...(name !== undefined && { name }) };
    if (name !== undefined) return { expression: SEGMENT, name };
    return this.#take('*') ? { expression: ANYTHING } : undefined;
  }

  #expression(): string {
    const start = ++this.#at;
    for (let depth = 1; ; this.#at++) {
      const character = this.#text[this.#at];
      if (character === '\\') this.#at++;
      else if (character === '(') depth++;
      else if (character === ')' && --depth === 0) return this.#text.slice(start, this.#at++);
    }
  }

  #modifier(): Modifier {
    const modifier = /^[?*+]/.exec(this.#text.slice(this.#at, this.#at + 1))?.[0] ?? '';
    this.#at += modifier.length;
    return modifier as Modifier;
  }
}

/** What `\s` means in JavaScript; RE2 knows only the ASCII part. */
const SPACE =
  '\\t\\n\\v\\f\\r \\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}\\x{feff}';

/**
 * An expression that stands in round brackets, from JavaScript's spelling (with the flag `v`) to RE2's. Throws
 * TypeError.
 */
function translate(source: string): string {
  const refuse = (what: string): never => {
    throw new TypeError(`The group (${source}) ${what}.`);
  };
  const opened: number[] = [];
  let made = '';
  let inClass = false;
  for (let at = 0; at < source.length; at++) {
    const character = source[at] as string;
    if (character === '\\') {
      const escaped = /^\\(?:u\{[0-9a-f]+\}|u[0-9a-f]{4}|.)/isu.exec(source.slice(at))?.[0] ?? '\\';
      at += escaped.length - 1;
      if (escaped === '\\s') made += inClass ? SPACE : `[${SPACE}]`;
      else if (escaped === '\\S' && !inClass) made += `[^${SPACE}]`;
      else if (/^\\[SqQ]$/.test(escaped))
        refuse(`uses ${escaped}, which cannot stand there: write the characters that you mean`);
      else made += /^\\u/i.test(escaped) ? `\\x{${escaped.replace(/[\\u{}]/g, '')}}` : escaped;
      continue;
    }
    if (inClass && (character === '[' || /^(?:&&|--|~~)/.test(source.slice(at))))
      refuse('has one set inside another: write one set of characters, such as [a-z0-9]');
    if (character === '[') inClass = true;
    else if (character === ']') inClass = false;
    else if (!inClass && character === '(') {
      if (/^\(\?[P<]/.test(source.slice(at))) refuse('has a group of its own, or looks around: use (?:…)');
      opened.push(made.length);
    } else if (!inClass && character === ')') {
      // Engines differ in what an empty round of a repetition takes.
      const body = made.slice(opened.pop());
      if (/^[*+{]/.test(source.slice(at + 1)) && matchesNothing(`${body})`))
        refuse('repeats something that can be empty: let each repetition take at least one character');
    }
    made += character;
  }
  return made;
}

function matchesNothing(source: string): boolean {
  try {
    return RE2JS.compile(source).testExact('');
  } catch {
    // The whole expression is compiled next, and reports what is wrong.
    return false;
  }
}
