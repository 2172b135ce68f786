// One rule, compiled: everything that does not depend on a call is computed when the policy is loaded.

import type { Action, Protocol } from '../domain/action.ts';
import type { Requirement } from '../domain/decision.ts';
import { isJsonObject } from '../domain/json.ts';
import { agentName, agentUriOf, readUpstreamName } from '../domain/server-names.ts';
import { asksOwner, needsOf } from '../domain/tier.ts';
import { type Condition, compileCondition } from './conditions.ts';
import { compileName } from './globs.ts';
import type { Language } from './language.ts';
import { isLifecycle } from '../domain/mcp-lifecycle.ts';
import { compilePath, NO_PARAMS, type PathParams, type PathPattern, type ReadPath } from './paths.ts';
import { compileResource } from './resources.ts';
import type { PolicyUpstream, RuleOptions, TierOptions } from './rules.ts';

export interface CompiledRule {
  readonly options: RuleOptions;
  /** Place in the file; the built-in rules come last. */
  readonly index: number;
  readonly condition?: Condition;
  /** What a hold rule's tier asks for; a seat for owners has nobody yet (seats.ts). Empty for other rules. */
  readonly requirements: readonly Requirement[];
  /** Channels of the rule and of its tier. */
  readonly notify: readonly string[];
  /** Whether the body must be parsed to tell if the rule matches. */
  readonly readsBody: boolean;
  /**
   * Compares the path: gives its parameters, or undefined when the rule does not match. `caseSensitive` says whether
   * the upstream tells letters apart by case.
   */
  matchPath(path: ReadPath, caseSensitive: boolean): PathParams | undefined;
  /** Compares the rest of `match`: whether the action opens a WebSocket, and its MCP part. `caseSensitive` as above. */
  matchRpc(action: Action, caseSensitive: boolean): boolean;
}

/** Throws TypeError for a path or condition that does not compile; checkPolicy has reported it before. */
export function compileRule(
  options: RuleOptions,
  index: number,
  tiers: Readonly<Record<string, TierOptions>>,
  language: Language,
): CompiledRule {
  const { match, decide, when } = options;
  const pattern: PathPattern | undefined = match.path === undefined ? undefined : compilePath(match.path);
  const condition = when === undefined ? undefined : compileCondition(when, language);
  return {
    options,
    index,
    ...(condition && { condition }),
    requirements: decide === 'hold' ? requirementsOf(options.tier, tiers) : [],
    notify: [...new Set([...(options.notify ?? []), ...(tierOf(options.tier, tiers)?.notify ?? [])])],
    readsBody:
      match.tool !== undefined ||
      match.mcp !== undefined ||
      match.resource !== undefined ||
      match.prompt !== undefined ||
      condition?.readsBody === true,
    matchPath: (path, caseSensitive) =>
      pattern === undefined
        ? NO_PARAMS
        : pattern.match(path, decide === 'allow' ? 'exact' : caseSensitive ? 'caseSensitive' : 'lenient'),
    matchRpc: compileRpcMatch(options, condition),
  };
}

function compileRpcMatch({ match, decide }: RuleOptions, condition: Condition | undefined): CompiledRule['matchRpc'] {
  const way = decide === 'allow' ? 'exact' : 'lenient';
  const tool = match.tool === undefined ? undefined : compileAgentName(match.tool, way);
  const methods = match.mcp?.map((method) => compileName(method, way));
  const resource = match.resource === undefined ? undefined : compileResource(match.resource, way);
  const prompt = match.prompt === undefined ? undefined : compileAgentName(match.prompt, way);
  // An allow rule without `mcp` does not allow what servers ask of agents: its author thought of the agent's own calls.
  const namesMethods = decide !== 'allow' || methods !== undefined;
  // A hold rule that names nothing, and a deny rule that reads arguments, do not match the messages that open and keep
  // a session.
  const namesNothing = tool === undefined && methods === undefined && resource === undefined && prompt === undefined;
  const meansCalls =
    namesNothing &&
    (decide === 'hold' ||
      (decide === 'deny' && condition !== undefined && (condition.readsBody || condition.readsHints)));
  // An allow rule without `upgrade` allows no WebSocket: anything may be said over one.
  const upgrade = match.upgrade ?? (decide === 'allow' ? false : undefined);
  return (action, caseSensitive) =>
    (upgrade === undefined || upgrade === (action.upgrade !== undefined)) &&
    (namesMethods || action.mcp?.fromServer !== true) &&
    !(meansCalls && isLifecycle(action)) &&
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

function requirementsOf(
  tier: string | undefined,
  tiers: Readonly<Record<string, TierOptions>>,
): readonly Requirement[] {
  const options = tierOf(tier, tiers);
  if (tier === undefined || options === undefined) throw new TypeError('a hold rule needs a tier that exists');
  const { decideWithinMs, useWithinMs, stepUp, reasonRequired, tellAgent, requireTask } = options;
  return needsOf(options).map(({ from, count, escalate }) => ({
    tier,
    ...(asksOwner({ from }) ? { reviewers: [], owner: true as const } : { reviewers: from }),
    ...{ count, decideWithinMs, useWithinMs, stepUp, reasonRequired },
    ...(tellAgent && { tellAgent }),
    ...(requireTask && { requireTask }),
    ...(escalate && { escalate }),
  }));
}

function tierOf(tier: string | undefined, tiers: Readonly<Record<string, TierOptions>>): TierOptions | undefined {
  return tier !== undefined && Object.hasOwn(tiers, tier) ? tiers[tier] : undefined;
}

/** A rule for a shared mount applies to each of its servers; a rule that names a server applies to that server only. */
function concerns({ upstream, server }: RuleOptions['match'], name: string): boolean {
  const member = readUpstreamName(name);
  return (
    (upstream === undefined || upstream === name || upstream === member.mount) &&
    (server === undefined || server === member.server)
  );
}

/** The candidates for a call, by upstream and method, in file order: other upstreams' rules are never looked at. */
export interface RuleIndex {
  candidates(upstream: string, method: string): readonly CompiledRule[];
  /** The rules that could treat the call more strictly under another method. */
  byMethod(upstream: string, method: string): readonly CompiledRule[];
  protocol(upstream: string): Protocol | undefined;
  caseSensitive(upstream: string): boolean;
}

export function indexRules(
  rules: readonly CompiledRule[],
  upstreams: Readonly<Record<string, Pick<PolicyUpstream, 'protocol' | 'caseSensitive'>>>,
): RuleIndex {
  const byUpstream = new Map(
    Object.entries(upstreams).map(([name, { protocol, caseSensitive = false }]) => {
      const own = rules.filter(({ options }) => concerns(options.match, name));
      const methods = new Set(own.flatMap(({ options }) => options.match.methods ?? []));
      const forMethod = (method: string | undefined) =>
        own.filter(
          ({ options }) =>
            options.match.methods === undefined || (method !== undefined && options.match.methods.includes(method)),
        );
      const byMethod = new Map([...methods].map((method) => [method, forMethod(method)]));
      return [name, { protocol, caseSensitive, own, byMethod, anyMethod: forMethod(undefined) }] as const;
    }),
  );
  const tellingApart = new Map<string, readonly CompiledRule[]>();
  return {
    candidates(upstream, method) {
      const entry = byUpstream.get(upstream);
      return entry === undefined ? [] : (entry.byMethod.get(method) ?? entry.anyMethod);
    },
    byMethod(upstream, method) {
      const key = `${method} ${upstream}`;
      const known =
        tellingApart.get(key) ?? byUpstream.get(upstream)?.own.filter((rule) => tellsApart(rule.options, method)) ?? [];
      // Methods come from a closed list, and upstreams from the configuration.
      tellingApart.set(key, known);
      return known;
    },
    protocol: (upstream) => byUpstream.get(upstream)?.protocol,
    caseSensitive: (upstream) => byUpstream.get(upstream)?.caseSensitive === true,
  };
}

/**
 * Whether a rule treats methods differently: it allows this method and not every other one, stops another method and
 * not this one, or has a condition that reads the method.
 */
function tellsApart({ match: { methods }, decide, when }: RuleOptions, method: string): boolean {
  if (when?.includes('method')) return true;
  if (methods === undefined) return false;
  return decide === 'allow' ? methods.includes(method) : !methods.includes(method);
}
