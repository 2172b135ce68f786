// Names with `*` for any text, as in `match.tool`. Case-sensitive; takes time linear in the name, whatever the pattern.

/** A predicate for one glob. Without `*` it is equality. */
export function compileGlob(glob: string): (name: string) => boolean {
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
