// `match`, compiled: what calls an entry of the configuration is about. Rules, resources and meters are matched by the same
// code. `exact` takes a call as it is written, for rules that allow. `lenient` takes every spelling that an upstream may
// read as the same, for everything that makes a decision stricter.

import type { Action } from '../domain/action.ts';
import { isJsonObject } from '../domain/json.ts';
import { isLifecycle } from '../domain/mcp-lifecycle.ts';
import { agentName, agentUriOf, readUpstreamName } from '../domain/server-names.ts';
import { compileName } from './globs.ts';
import { compilePath, NO_PARAMS, type PathParams, type PathPattern, type ReadPath } from './paths.ts';
import { compileResource } from './resource-uris.ts';
import type { CallMatch } from './rules.ts';

export interface Matcher {
  /** Whether the message must be parsed to tell if it matches. */
  readonly readsBody: boolean;
  /**
   * Compares the path: gives its parameters, or undefined when it does not match. `caseSensitive` says whether the
   * upstream tells letters apart by case.
   */
  matchPath(path: ReadPath, caseSensitive: boolean): PathParams | undefined;
  /** Compares the rest of `match`: whether the action opens a WebSocket, and its MCP part. `caseSensitive` as above. */
  matchRpc(action: Action, caseSensitive: boolean): boolean;
}

/** Whether `match` is about no particular MCP message. */
export const namesNoMessage = ({ tool, mcp, resource, prompt }: CallMatch): boolean =>
  tool === undefined && mcp === undefined && resource === undefined && prompt === undefined;

/**
 * `sparesSessions`: the messages that open and keep an MCP session do not match. Throws TypeError for a path that does
 * not compile; checkPolicy has reported it before.
 */
export function compileMatcher(match: CallMatch, way: 'exact' | 'lenient', sparesSessions: boolean): Matcher {
  const pattern: PathPattern | undefined = match.path === undefined ? undefined : compilePath(match.path);
  return {
    readsBody: !namesNoMessage(match),
    matchPath: (path, caseSensitive) =>
      pattern === undefined
        ? NO_PARAMS
        : pattern.match(path, way === 'exact' ? 'exact' : caseSensitive ? 'caseSensitive' : 'lenient'),
    matchRpc: compileRpcMatch(match, way, sparesSessions),
  };
}

function compileRpcMatch(match: CallMatch, way: 'exact' | 'lenient', sparesSessions: boolean): Matcher['matchRpc'] {
  const tool = match.tool === undefined ? undefined : compileAgentName(match.tool, way);
  const methods = match.mcp?.map((method) => compileName(method, way));
  const resource = match.resource === undefined ? undefined : compileResource(match.resource, way);
  const prompt = match.prompt === undefined ? undefined : compileAgentName(match.prompt, way);
  // An allow rule without `mcp` does not allow what servers ask of agents: its author thought of the agent's own calls.
  const namesMethods = way === 'lenient' || methods !== undefined;
  // An allow rule without `upgrade` allows no WebSocket: anything may be said over one.
  const upgrade = match.upgrade ?? (way === 'exact' ? false : undefined);
  return (action, caseSensitive) =>
    (upgrade === undefined || upgrade === (action.upgrade !== undefined)) &&
    (namesMethods || action.mcp?.fromServer !== true) &&
    !(sparesSessions && isLifecycle(action)) &&
    (tool === undefined || (action.tool !== undefined && tool(action.upstream, action.tool, caseSensitive))) &&
    (resource === undefined ||
      matchesNamed(
        action,
        'resources/',
        'uri',
        (uri) => resource(uri, caseSensitive) || resource(agentUriOf(action.upstream, uri), caseSensitive),
      )) &&
    (prompt === undefined ||
      matchesNamed(action, 'prompts/get', 'name', (name) => prompt(action.upstream, name, caseSensitive))) &&
    (match.toolChanged === undefined || action.mcp?.toolChange !== undefined) &&
    (methods === undefined ||
      (action.protocol === 'mcp' && methods.some((method) => method(action.mcp?.method ?? '', caseSensitive))));
}

/**
 * A tool or prompt is named as agents call it: `server__name` where several servers share a mount. A hold or deny rule
 * that names it without the server means the tool at every server. So a rule for one server still holds when that
 * server moves under a shared mount.
 */
function compileAgentName(
  glob: string,
  way: 'exact' | 'lenient',
): (upstream: string, name: string, caseSensitive: boolean) => boolean {
  const matches = compileName(glob, way);
  return (upstream, name, caseSensitive) =>
    matches(agentName(upstream, name), caseSensitive) || (way === 'lenient' && matches(name, caseSensitive));
}

/** What a message of these methods names: the URI of a resource, the name of a prompt. */
function matchesNamed(
  { mcp, args }: Action,
  methods: string,
  member: string,
  matches: (name: string) => boolean,
): boolean {
  if (!mcp?.method?.startsWith(methods) || !isJsonObject(args)) return false;
  const name = args[member];
  return typeof name === 'string' && matches(name);
}

/** A rule for a shared mount applies to each of its servers; a rule that names a server applies to that server only. */
function concerns({ upstream, server }: CallMatch, name: string): boolean {
  const member = readUpstreamName(name);
  return (
    (upstream === undefined || upstream === name || upstream === member.mount) &&
    (server === undefined || server === member.server)
  );
}

/** Entries with a `match`, by upstream and method, in file order: what concerns other upstreams is never looked at. */
export interface MatchIndex<Entry> {
  /** What concerns an upstream, whatever the method. */
  of(upstream: string): readonly Entry[];
  candidates(upstream: string, method: string): readonly Entry[];
}

export function indexMatches<Entry extends { readonly options: { readonly match: CallMatch } }>(
  entries: readonly Entry[],
  upstreams: readonly string[],
): MatchIndex<Entry> {
  const byUpstream = new Map(
    upstreams.map((name) => {
      const own = entries.filter(({ options }) => concerns(options.match, name));
      const methods = new Set(own.flatMap(({ options }) => options.match.methods ?? []));
      const forMethod = (method: string | undefined) =>
        own.filter(
          ({ options }) =>
            options.match.methods === undefined || (method !== undefined && options.match.methods.includes(method)),
        );
      const byMethod = new Map([...methods].map((method) => [method, forMethod(method)]));
      return [name, { own, byMethod, anyMethod: forMethod(undefined) }] as const;
    }),
  );
  return {
    of: (upstream) => byUpstream.get(upstream)?.own ?? [],
    candidates(upstream, method) {
      const entry = byUpstream.get(upstream);
      return entry === undefined ? [] : (entry.byMethod.get(method) ?? entry.anyMethod);
    },
  };
}
