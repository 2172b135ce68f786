// Names with `*` for any text, as in `match.tool`. Takes time linear in the name, whatever the pattern.

import { foldKey } from '../domain/normal-forms/keys.ts';

/** `caseSensitive` is the key of the upstream; only lenient patterns use it. */
export type NameMatch = (name: string, caseSensitive: boolean) => boolean;

/** `exact` compares the name as it is written. `lenient` ignores case, unless the upstream distinguishes it. */
export function compileName(glob: string, way: 'exact' | 'lenient'): NameMatch {
  const exact = compileGlob(glob);
  if (way === 'exact') return exact;
  const folded = compileGlob(foldKey(glob));
  return (name, caseSensitive) => exact(name) || (!caseSensitive && folded(foldKey(name)));
}

/** Makes the comparison with one glob. A glob without `*` compares for equality. */
function compileGlob(glob: string): (name: string) => boolean {
  const pieces = glob.split('*');
  const first = pieces.shift() ?? '';
  const last = pieces.pop();
  if (last === undefined) return (name) => name === glob;
  return (name) => {
    if (name.length < first.length + last.length || !name.startsWith(first) || !name.endsWith(last)) return false;
    const end = name.length - last.length;
    let at = first.length;
    for (const piece of pieces) {
      const found = name.indexOf(piece, at);
      if (found === -1 || found + piece.length > end) return false;
      at = found + piece.length;
    }
    return at <= end;
  };
}
