// What is wrong with a configuration, so that a person can find and correct it: the key, the line, the column, a
// sentence. Sentences name keys and units, never values: a value may be a secret that somebody wrote down by mistake.

import { Alias, type Document, isMap, isScalar, isSeq, type LineCounter } from 'yaml';

/** Something that cannot work, and where: `['rules', 3, 'tier']`. */
export interface Fault {
  readonly path: readonly (string | number)[];
  readonly message: string;
  /** Absent: the configuration cannot be used. */
  readonly severity?: 'warning';
}

/** A fault with its place in the file; both count from 1. */
export interface LocatedFault extends Fault {
  readonly line: number;
  readonly column: number;
}

/** Every fault of one file, in the order of the file. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly file: string;
  readonly faults: readonly LocatedFault[];

  constructor(file: string, faults: readonly LocatedFault[]) {
    super(`${file} has ${faults.length === 1 ? 'a fault' : `${faults.length} faults`}`);
    this.file = file;
    this.faults = faults;
  }
}

/** One line per fault: `file:line:column path: message`. */
export function formatFaults({ file, faults }: Pick<ConfigError, 'file' | 'faults'>): string {
  return faults
    .map(({ line, column, path, message, severity }) => {
      const place = path.length === 0 ? '' : `${formatPath(path)}: `;
      return `${file}:${line}:${column} ${severity === undefined ? '' : `${severity}: `}${place}${message}`;
    })
    .join('\n');
}

/** `rules[3].tier`. */
export function formatPath(path: readonly (string | number)[]): string {
  return path.map((step, index) => (typeof step === 'number' ? `[${step}]` : index === 0 ? step : `.${step}`)).join('');
}

/** Gives each fault the place of its key, or of the nearest key around it that exists, and sorts them by place. */
export function locateFaults(
  faults: readonly Fault[],
  document: Document,
  lines: LineCounter,
): readonly LocatedFault[] {
  return faults
    .map((fault) => {
      const { line, col } = lines.linePos(offsetOf(document, fault.path));
      return { ...fault, line, column: col };
    })
    .sort((a, b) => a.line - b.line || a.column - b.column);
}

function offsetOf(document: Document, path: readonly (string | number)[]): number {
  let node: unknown = document.contents;
  let offset = startOf(node) ?? 0;
  for (const step of path) {
    if (node instanceof Alias) node = node.resolve(document);
    const place = isMap(node)
      ? node.items.find(({ key }) => isScalar(key) && String(key.value) === String(step))
      : undefined;
    const item = isSeq(node) && typeof step === 'number' ? node.items[step] : undefined;
    const found = startOf(place?.key ?? item);
    if (found === undefined) break;
    offset = found;
    node = place === undefined ? item : place.value;
  }
  return offset;
}

function startOf(node: unknown): number | undefined {
  const range: unknown = typeof node === 'object' && node !== null && 'range' in node ? node.range : undefined;
  return Array.isArray(range) && typeof range[0] === 'number' ? range[0] : undefined;
}
