// Folds text to the width of a terminal, so that the terminal itself never folds: a line that the terminal wraps begins
// without the mark that says whose words it has. Trusts that control and invisible characters were made visible before.
// Widths are taken too large rather than too small.

/** Columns of the terminal; 80 where there is no terminal (a pipe, a pager). */
export function columnsOf({
  stdout,
  env,
}: {
  readonly stdout: { readonly columns?: number };
  readonly env: Readonly<Record<string, string | undefined>>;
}): number {
  const named = /^[1-9]\d{0,3}$/.test(env.COLUMNS ?? '') ? Number(env.COLUMNS) : undefined;
  return stdout.columns || named || 80;
}

/**
 * Splits one line into several: the first after `head`, the others after `hang`, each narrower than `columns`. Breaks
 * anywhere, because a break at a blank could hide how many blanks there were. Joining the pieces gives the text.
 */
export function foldLine(
  text: string,
  { head, hang, columns }: { readonly head: string; readonly hang: string; readonly columns: number },
): string[] {
  const lines: string[] = [];
  let [line, width, empty] = [head, widthOf(head), true];
  for (const cluster of clusters(text, columns)) {
    const more = widthOf(cluster);
    // Less than `columns`: some terminals wrap when the last column is written, not when it is passed.
    if (!empty && width + more >= columns) {
      lines.push(line);
      [line, width] = [hang, widthOf(hang)];
    }
    line += cluster;
    width += more;
    empty = false;
  }
  return [...lines, line];
}

const SEGMENTER = new Intl.Segmenter('en', { granularity: 'grapheme' });

/** Letters with their marks; a letter with more marks than fit into a line is cut into characters. */
function* clusters(text: string, columns: number): Generator<string> {
  if (/^[\x20-\x7e]*$/.test(text)) return yield* text;
  for (const { segment } of SEGMENTER.segment(text)) {
    if (widthOf(segment) < columns / 2) yield segment;
    else yield* segment;
  }
}

/**
 * The largest number of cells: a character outside ASCII may take two (East Asian Width, UAX 11: wide, and ambiguous
 * where the terminal is East Asian).
 */
function widthOf(text: string): number {
  let cells = 0;
  for (const character of text) cells += character <= '\u007e' ? 1 : 2;
  return cells;
}
