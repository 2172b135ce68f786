// Joins the lists of all servers of a shared mount into one. Entries arrive under the agent's names already
// (shared-mount/answer.ts). An entry whose name is too long, or does not belong to one server alone, is left out.

import { isJsonObject, type Json, type JsonObject } from '../../domain/json.ts';

/** The lists of MCP, and the member of their results that holds the entries. */
export const LISTS: Readonly<Record<string, string>> = {
  'tools/list': 'tools',
  'prompts/list': 'prompts',
  'resources/list': 'resources',
  'resources/templates/list': 'resourceTemplates',
};

/** MCP 2025-11-25, tool names: 1 to 128 of these characters. */
const TOOL_NAME = /^[A-Za-z0-9_.-]{1,128}$/;
const LONGEST_NAME = 256;
const LONGEST_URI = 8 * 1024;

/**
 * The entries with unique names, in the order of their servers. `leftOut` hears how many entries of a server are
 * missing.
 */
export function joinEntries(
  method: string,
  results: ReadonlyMap<string, JsonObject>,
  leftOut: (server: string, count: number) => void,
): readonly Json[] {
  const seen = new Set<string>();
  return [...results].flatMap(([server, result]) => {
    const entries = result[LISTS[method] ?? ''];
    if (!Array.isArray(entries)) return [];
    const kept = entries.filter((entry) => {
      const key = keyOf(method, entry);
      return key !== undefined && !seen.has(key) && seen.add(key);
    });
    if (kept.length < entries.length) leftOut(server, entries.length - kept.length);
    return kept;
  });
}

/** The name under which the agent will use the entry. */
function keyOf(method: string, entry: Json): string | undefined {
  if (!isJsonObject(entry)) return undefined;
  if (method === 'tools/list')
    return typeof entry.name === 'string' && TOOL_NAME.test(entry.name) ? entry.name : undefined;
  if (method === 'prompts/list') return plain(entry.name, LONGEST_NAME);
  return plain(method === 'resources/list' ? entry.uri : entry.uriTemplate, LONGEST_URI);
}

const INVISIBLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;

function plain(value: Json | undefined, longest: number): string | undefined {
  return typeof value === 'string' && value.length <= longest && !INVISIBLE.test(value) ? value : undefined;
}

/**
 * MCP 2026-07-28, caching: the shortest of the lifetimes, and none while a server is missing. Never shared, because the
 * list of one agent is not the list of another.
 */
export function joinCaching(
  replies: ReadonlyMap<string, { readonly result?: JsonObject }>,
  stateless: boolean,
): JsonObject {
  if (!stateless) return {};
  const lifetimes = [...replies.values()].map(({ result }) =>
    Number.isSafeInteger(result?.ttlMs) ? Math.max(0, result?.ttlMs as number) : 0,
  );
  return { resultType: 'complete', ttlMs: lifetimes.length === 0 ? 0 : Math.min(...lifetimes), cacheScope: 'private' };
}

/** The capabilities that at least one server has, as far as the gateway can tell the servers apart. */
export function joinCapabilities(results: readonly JsonObject[], stateless: boolean): JsonObject {
  const all = results.map(({ capabilities }) => (isJsonObject(capabilities) ? capabilities : {}));
  const flag = (capability: string, member: string): object =>
    !stateless && all.some((one) => isJsonObject(one[capability]) && one[capability][member] === true)
      ? { [member]: true }
      : {};
  const offered = (capability: string, ...members: readonly string[]): JsonObject =>
    all.some((one) => isJsonObject(one[capability]))
      ? { [capability]: Object.assign({}, ...members.map((member) => flag(capability, member))) }
      : {};
  return {
    ...offered('tools', 'listChanged'),
    ...offered('prompts', 'listChanged'),
    ...offered('resources', 'listChanged', 'subscribe'),
    ...offered('logging'),
    ...offered('completions'),
  };
}

const LONGEST_INSTRUCTIONS = 4_000;

/** Each server's instructions under its name, quoted: nothing in them can look like another server's. */
export function joinInstructions(results: ReadonlyMap<string, JsonObject>): JsonObject {
  const parts = [...results].flatMap(([server, { instructions }]) =>
    typeof instructions === 'string' && instructions !== ''
      ? [`## ${server}\n\n${quote(instructions.slice(0, LONGEST_INSTRUCTIONS))}`]
      : [],
  );
  return parts.length === 0 ? {} : { instructions: parts.join('\n\n') };
}

const quote = (text: string): string =>
  text
    .split(/\r\n|[\n\r\u2028\u2029]/)
    .map((line) => `> ${line}`)
    .join('\n');
