// Matching raw paths against URLPattern pathnames (WHATWG URL Pattern). URLPattern judges and explains patterns when they are
// compiled; at run time plain patterns (literal segments, `:name`, a last `*`) are matched by segments, because URLPattern.exec
// costs about 17 µs a call. A path is compared in decoded form, so `/%61dmin` meets a rule for `/admin`. A path that cannot be
// decoded without ambiguity matches no pattern at all.

/** A path in the form that patterns are compared with. */
export interface ReadPath {
  /** Percent-decoded, without the leading empty segment. */
  readonly segments: readonly string[];
}

/** Values of a pattern's named groups, percent-decoded. */
export type PathParams = ReadonlyMap<string, string>;

export const NO_PARAMS: PathParams = new Map();

/**
 * Which trailing slashes count: `exact` takes a path as it is; `lenient` also tries it with and without its trailing slash,
 * so that a hold or deny rule is not passed by a slash that the upstream ignores.
 */
type SlashRule = 'exact' | 'lenient';

export interface PathPattern {
  readonly names: readonly string[];
  match(path: ReadPath, slash: SlashRule): PathParams | undefined;
}

/** A path that decodes to itself and holds no dot segment: the common case. */
const PLAIN_PATH = /^(?:\/[\w~-][\w.~!$&'()*+,;=:@-]*)+\/?$/;

/** Undefined for a path that different readers would read differently: bad escapes, encoded separators, dot or empty segments. */
export function readPath(path: string): ReadPath | undefined {
  if (PLAIN_PATH.test(path)) return { segments: path.slice(1).split('/') };
  if (!path.startsWith('/')) return undefined;
  const segments = path.slice(1).split('/');
  for (const [index, raw] of segments.entries()) {
    const segment = raw.includes('%') ? decodeSegment(raw) : raw;
    if (segment === undefined || /^\.{1,2}$|[/\\\u0000-\u001f\u007f]/.test(segment)) return undefined;
    if (segment === '' && index !== segments.length - 1) return undefined;
    segments[index] = segment;
  }
  return { segments };
}

function decodeSegment(raw: string): string | undefined {
  try {
    return decodeURIComponent(raw);
  } catch {
    return undefined;
  }
}

/** Throws TypeError with a sentence about the pattern. */
export function compilePath(pattern: string): PathPattern {
  if (!pattern.startsWith('/')) throw new TypeError('a path pattern starts with /');
  if (/[%#]/.test(pattern)) throw new TypeError('a path pattern is written in decoded characters: leave out % and #');
  if (/\/(?:\.{0,2})(?=\/)|\/\.{1,2}$/.test(pattern)) throw new TypeError('a path pattern has no empty or dot segments');
  const compiled = constructPattern(pattern);
  const segments = pattern.slice(1).split('/');
  return segments.every(isPlain) && !segments.slice(0, -1).includes('*') ? plainPattern(segments) : generalPattern(compiled, pattern);
}

function constructPattern(pathname: string): URLPattern {
  try {
    return new URLPattern({ pathname });
  } catch {
    throw new TypeError('this is not a URLPattern pathname: check its groups, and that no name stands twice');
  }
}

const isPlain = (segment: string): boolean => segment === '' || segment === '*' || /^:[A-Za-z_]\w*$|^[\w.~!$&',;=@-]+$/.test(segment);

function plainPattern(pattern: readonly string[]): PathPattern {
  const open = pattern.at(-1) === '*';
  const fixed = open ? pattern.slice(0, -1) : pattern;
  const named = fixed.flatMap((segment, at) => (segment.startsWith(':') ? [{ name: segment.slice(1), at }] : []));
  const literals = fixed.flatMap((text, at) => (text.startsWith(':') ? [] : [{ text, at }]));
  const matchExactly = (segments: readonly string[]): PathParams | undefined => {
    if (open ? segments.length <= fixed.length : segments.length !== fixed.length) return undefined;
    for (const { text, at } of literals) if (segments[at] !== text) return undefined;
    if (named.length === 0) return NO_PARAMS;
    const params = new Map<string, string>();
    for (const { name, at } of named) {
      const value = segments[at];
      if (value === undefined || value === '') return undefined;
      params.set(name, value);
    }
    return params;
  };
  return {
    names: named.map(({ name }) => name),
    match: (path, slash) => matchExactly(path.segments) ?? (slash === 'lenient' ? matchExactly(toggleSlash(path.segments)) : undefined),
  };
}

function generalPattern(compiled: URLPattern, pattern: string): PathPattern {
  // The slash before an optional group belongs to the group, so it is no part of the prefix.
  const prefix = (/^[^:*({\\]*/.exec(pattern)?.[0] ?? '').replace(/\/$/, '');
  const names = [...pattern.matchAll(/:([A-Za-z_]\w*)/g)].map((found) => found[1] as string);
  const matchExactly = (segments: readonly string[]): PathParams | undefined => {
    const pathname = `/${segments.map((segment) => segment.replaceAll(/[%?#]/g, encodeURIComponent)).join('/')}`;
    if (!pathname.startsWith(prefix) || !compiled.test({ pathname })) return undefined;
    if (names.length === 0) return NO_PARAMS;
    const groups = compiled.exec({ pathname })?.pathname.groups ?? {};
    return new Map(
      Object.entries(groups).flatMap(([name, value]) => (names.includes(name) && value !== undefined ? [[name, decodeURIComponent(value)] as const] : [])),
    );
  };
  return {
    names,
    match: (path, slash) => matchExactly(path.segments) ?? (slash === 'lenient' ? matchExactly(toggleSlash(path.segments)) : undefined),
  };
}

const toggleSlash = (segments: readonly string[]): readonly string[] => (segments.at(-1) === '' ? segments.slice(0, -1) : [...segments, '']);
