// HTTP fields as one flat list [name, value, name, value …], names in lower case, order kept, repeats kept.
// This is the shape that node:http hands in (rawHeaders) and that both writeHead and undici take out again,
// so a call's fields are never copied into a map.

export type HeaderList = readonly string[];

/** The value of the first field with this lower-case name, or undefined. */
export function header(headers: HeaderList, name: string): string | undefined {
  for (let i = 0; i < headers.length; i += 2) if (headers[i] === name) return headers[i + 1];
  return undefined;
}

/** Whether a configured list has this lower-case name: by itself, or by an entry like `x-ms-*`. */
export function isListed(list: readonly string[], name: string): boolean {
  return list.some((entry) => (entry.endsWith('*') ? name.startsWith(entry.slice(0, -1)) : entry === name));
}

/** The fields for which `keeps` is true, as a list of their own. */
export function keepFields(headers: HeaderList, keeps: (name: string, value: string) => boolean): string[] {
  const kept: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    const value = headers[i + 1] as string;
    if (keeps(name, value)) kept.push(name, value);
  }
  return kept;
}

/** The list without the fields of these lower-case names. */
export function withoutField(headers: HeaderList, ...names: readonly string[]): string[] {
  return keepFields(headers, (name) => !names.includes(name));
}

/** Each field as a pair. For the ways that not every call goes: an iterator costs more than a loop over the list. */
export function* fieldPairs(headers: HeaderList): Generator<readonly [name: string, value: string]> {
  for (let i = 0; i < headers.length; i += 2) yield [headers[i] as string, headers[i + 1] as string];
}

/** Every value of the field with this lower-case name, in order. */
export function headerValues(headers: HeaderList, name: string): string[] {
  const values: string[] = [];
  for (let i = 0; i < headers.length; i += 2) if (headers[i] === name) values.push(headers[i + 1] as string);
  return values;
}
