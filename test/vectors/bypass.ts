// Judges what an upstream received: whether it is a plainly framed request, whether its path stays below what the rule
// allows under any reading that servers are known to have, and whether anything came along that must not.

export interface Received {
  readonly line: string;
  /** Field lines as they came. */
  readonly fields: readonly string[];
  /** Everything, as latin1 text. */
  readonly text: string;
}

export interface Expected {
  readonly host: string;
  readonly authorization: string;
  readonly agentToken: string;
  /** Path below which everything has to stay, with a slash at its end. */
  readonly below: string;
}

const LINE = /^[A-Z]+ (\/[\x21-\x7e]*) HTTP\/1\.1$/;
const FIELD = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)$/;
const SPOOFED = /^(?:x-forwarded-|x-http-method|x-original-|x-rewrite-url|x-smuggled$)/;

/** What is wrong with it; empty when nothing is. */
export function faultsOf(
  { line, fields, text }: Received,
  { host, authorization, agentToken, below }: Expected,
): readonly string[] {
  const faults: string[] = [];
  const target = LINE.exec(line)?.[1];
  if (target === undefined) faults.push(`request line ${JSON.stringify(line)}`);
  else if (leaves(target.split('?', 1)[0] as string, below)) faults.push(`path ${target} leaves ${below}`);
  const values = new Map<string, string[]>();
  for (const field of fields) {
    const [, name, value] = FIELD.exec(field) ?? [];
    if (name === undefined || value === undefined) faults.push(`field ${JSON.stringify(field)}`);
    else values.set(name.toLowerCase(), [...(values.get(name.toLowerCase()) ?? []), value.trim()]);
  }
  const framing = [...(values.get('content-length') ?? []), ...(values.get('transfer-encoding') ?? [])];
  if (framing.length > 1 || framing.some((value) => !/^(?:\d+|chunked)$/.test(value)))
    faults.push(`framing ${framing.join(' and ')}`);
  if (String(values.get('host')) !== host) faults.push(`host ${values.get('host')}`);
  if (String(values.get('authorization')) !== authorization) faults.push('authorization is not the injected one');
  if (text.includes(agentToken)) faults.push('the agent’s token came along');
  if (!values.has('x-corpus')) faults.push('no X-Corpus: it was smuggled');
  for (const name of values.keys()) if (SPOOFED.test(name)) faults.push(`field ${name}`);
  return faults;
}

/**
 * Whether the path leaves the folder after up to three rounds of decoding, under any combination of what servers do
 * besides.
 */
export function leaves(path: string, below: string): boolean {
  let decoded = path;
  for (let round = 0; round <= 3; round++) {
    for (const read of READINGS) if (!resolve(read(decoded)).startsWith(below)) return true;
    const next = decode(decoded);
    if (next === decoded) return false;
    decoded = next;
  }
  return false;
}

const backslashes = (path: string): string => path.replaceAll('\\', '/');
const compatible = (path: string): string => Buffer.from(path, 'latin1').toString('utf8').normalize('NFKC');
const perSegment =
  (change: (segment: string) => string) =>
  (path: string): string =>
    path.split('/').map(change).join('/');
const withoutParameters = perSegment((segment) => segment.split(';', 1)[0] as string);
const trimmed = perSegment((segment) => segment.replace(/[\x00 ]+$/, ''));

const STEPS = [backslashes, compatible, withoutParameters, trimmed] as const;
/** Every subset of the steps, in the order above. */
const READINGS = Array.from(
  { length: 2 ** STEPS.length },
  (_, subset) =>
    (path: string): string =>
      STEPS.reduce((text, step, i) => ((subset >> i) & 1 ? step(text) : text), path),
);

function decode(path: string): string {
  return path.replace(/%([0-9a-f]{2})/gi, (_all, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

/** Empty segments vanish, dot segments are resolved. */
function resolve(path: string): string {
  const kept: string[] = [];
  for (const segment of path.split('/')) {
    if (segment === '..') kept.pop();
    else if (segment !== '.' && segment !== '') kept.push(segment);
  }
  return `/${kept.join('/')}/`;
}
