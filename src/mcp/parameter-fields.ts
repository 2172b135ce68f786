// Mcp-Param-* fields (MCP 2026-07-28, Streamable HTTP, custom headers from tool parameters): they repeat arguments that
// the tool's schema marks with `x-mcp-header`, and a load balancer may route by them. So a field must agree with the
// body, or the call is refused before it is decided. Trusts the schema only for which argument a field repeats. Refuses
// a field that no known schema explains.

import type { HeaderList } from '../domain/headers.ts';
import { isJsonObject, type Json, type JsonObject } from '../domain/json.ts';
import { decodeField } from '../domain/mcp-field.ts';
import { GatewayError } from '../errors.ts';

const PREFIX = 'mcp-param-';
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const TYPES: ReadonlySet<unknown> = new Set(['string', 'integer', 'number', 'boolean']);
const DEEPEST = 32;

/**
 * `definition` is the tool's, as its server gave it last; undefined when nobody has listed it here. `complete` says
 * that every marked argument has to come with its field, as the protocol has it since 2026-07-28. Throws
 * `header_mismatch`.
 */
export function checkParameterFields(
  headers: HeaderList,
  args: Json | undefined,
  definition: JsonObject | undefined,
  complete: boolean,
): void {
  const fields = new Map<string, string>();
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    if (name.startsWith(PREFIX)) fields.set(name.slice(PREFIX.length), headers[i + 1] as string);
  }
  if (fields.size === 0 && !complete) return;
  const marked = markedArguments(definition?.inputSchema);
  for (const [name, value] of fields) {
    const path = marked.get(name);
    if (path === undefined)
      throw mismatch(
        'An Mcp-Param field repeats no argument of the tool as it was listed last. List the tools and try again.',
      );
    if (!repeats(value, argumentAt(args, path))) throw mismatch('An Mcp-Param field and the arguments disagree.');
  }
  if (!complete) return;
  for (const [name, path] of marked) {
    if (!fields.has(name) && isPrimitive(argumentAt(args, path)))
      throw mismatch('An argument that the tool marks with x-mcp-header comes without its field.');
  }
}

/** Field names in lower case, with where their arguments are. A name that is given twice is ignored. */
function markedArguments(schema: Json | undefined): ReadonlyMap<string, readonly string[]> {
  const marked = new Map<string, readonly string[]>();
  const twice = new Set<string>();
  const visit = (node: Json | undefined, path: readonly string[]): void => {
    if (!isJsonObject(node) || path.length > DEEPEST) return;
    const name = node['x-mcp-header'];
    if (path.length > 0 && typeof name === 'string' && TOKEN.test(name) && TYPES.has(node.type)) {
      const key = name.toLowerCase();
      if (marked.has(key)) twice.add(key);
      marked.set(key, path);
    }
    if (isJsonObject(node.properties))
      for (const [key, child] of Object.entries(node.properties)) visit(child, [...path, key]);
  };
  visit(schema, []);
  for (const key of twice) marked.delete(key);
  return marked;
}

function argumentAt(args: Json | undefined, path: readonly string[]): Json | undefined {
  let value = args;
  for (const key of path) value = isJsonObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
  return value;
}

const isPrimitive = (value: Json | undefined): boolean =>
  typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';

function repeats(field: string, value: Json | undefined): boolean {
  const said = decodeField(field);
  if (said === undefined) return false;
  if (typeof value === 'string') return said === value;
  if (typeof value === 'boolean') return said === String(value);
  return typeof value === 'number' && /^-?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(said) && Number(said) === value;
}

function mismatch(detail: string): GatewayError {
  return new GatewayError('header_mismatch', detail);
}
