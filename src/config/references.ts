// What must agree between sections: names that are used and defined, rules and what they act on. Works on the entries
// that are well-formed, so that a slip in one entry does not hide the faults of the others.

import { signedByGateway } from '../credentials/types.ts';
import { authorizationServer, checkIssuers } from '../identity/issuers.ts';
import type { Fault } from '../settings/faults.ts';
import type { Config } from './schema.ts';

type Entries<T> = Readonly<Record<string, T | undefined>>;
type RuleConfig = Config['rules'][number];

/**
 * The sections as far as they could be read; an entry that has faults of its own is undefined, a missing section empty.
 */
export interface Sections {
  readonly listeners: Config['listeners'] | undefined;
  readonly identity: Config['identity'] | undefined;
  readonly reviewers: Config['reviewers'] | undefined;
  readonly upstreams: Entries<Config['upstreams'][string]>;
  readonly credentials: Entries<Config['credentials'][string]>;
  readonly signing?: Config['signing'] | undefined;
  readonly tiers: Entries<Config['tiers'][string]>;
  readonly rules: readonly (RuleConfig | undefined)[];
  readonly notifications: Config['notifications'] | undefined;
}

export function checkReferences(sections: Sections): readonly Fault[] {
  return [
    ...checkUpstreams(sections),
    ...checkCredentials(sections),
    ...checkTiers(sections),
    ...sections.rules.flatMap((rule, index) => (rule === undefined ? [] : [...checkRule(rule, index, sections)])),
    ...checkIdentity(sections),
    ...checkVoters(sections),
    ...checkChannels(sections),
    ...checkConsole(sections),
  ];
}

function* checkUpstreams({ upstreams, credentials, tiers }: Sections): Generator<Fault> {
  for (const { path, credential, toolChanges } of destinations(upstreams)) {
    if (credential !== undefined && !Object.hasOwn(credentials, credential)) {
      yield { path: [...path, 'credential'], message: 'There is no credential of this name.' };
    }
    const toolTier = typeof toolChanges === 'object' ? toolChanges.hold : undefined;
    if (toolTier !== undefined && !Object.hasOwn(tiers, toolTier)) {
      yield { path: [...path, 'toolChanges', 'hold'], message: 'There is no tier of this name.' };
    }
  }
  for (const [name, upstream] of Object.entries(upstreams)) {
    if (upstream?.agentToken !== undefined && upstream.boundHeaders.includes(upstream.agentToken)) {
      yield {
        path: ['upstreams', name, 'boundHeaders'],
        message: 'The field that carries the agent’s token never travels upstream.',
      };
    }
    if (upstream?.protocol === 'mcp' && upstream.websocket)
      yield { path: ['upstreams', name, 'websocket'], message: 'An MCP upstream has no WebSocket.' };
  }
}

interface Destination {
  readonly path: readonly string[];
  readonly credential?: string;
  readonly toolChanges: 'allow' | 'deny' | { readonly hold: string };
}

/** Every upstream, and every server of a mount that several share, with its place in the file. */
function destinations(upstreams: Sections['upstreams']): readonly Destination[] {
  return Object.entries(upstreams).flatMap(([name, upstream]): Destination[] => {
    if (upstream === undefined) return [];
    if (!('servers' in upstream)) return [{ ...upstream, path: ['upstreams', name] }];
    return Object.entries(upstream.servers).map(([server, own]) => ({
      ...own,
      path: ['upstreams', name, 'servers', server],
    }));
  });
}

function* checkChannels({ notifications, tiers, rules }: Sections): Generator<Fault> {
  if (notifications === undefined) return;
  const unknown = (channels: readonly string[] = []): boolean =>
    channels.some((name) => !Object.hasOwn(notifications.channels, name));
  const message = 'There is no channel of this name under notifications.channels.';
  for (const [name, tier] of Object.entries(tiers))
    if (unknown(tier?.notify)) yield { path: ['tiers', name, 'notify'], message };
  for (const [index, rule] of rules.entries()) {
    if (unknown(rule?.notify)) yield { path: ['rules', index, 'notify'], message };
    if (rule?.decide === 'deny' && rule.notify !== undefined)
      yield {
        path: ['rules', index, 'notify'],
        message: 'A deny rule tells nobody: nothing waits and nothing passes.',
      };
  }
}

function* checkCredentials({ credentials, signing }: Sections): Generator<Fault> {
  if (signing !== undefined) return;
  const message = 'Set `signing.issuer`: this credential needs the gateway to sign tokens.';
  for (const [name, credential] of Object.entries(credentials)) {
    const places = credential === undefined ? [] : signedByGateway(credential);
    for (const place of places) yield { path: ['credentials', name, ...place], message };
  }
}

function* checkTiers({ tiers }: Sections): Generator<Fault> {
  for (const [name, tier] of Object.entries(tiers)) {
    if (tier?.escalate !== undefined && tier.escalate.afterMs >= tier.decideWithinMs) {
      yield {
        path: ['tiers', name, 'escalate', 'after'],
        message: 'It must be shorter than decideWithin, or nobody would have time to decide.',
      };
    }
    const voters = [...(tier?.reviewers ?? []), ...(tier?.escalate?.to ?? [])];
    if (tier === undefined || voters.some((reviewer) => reviewer.startsWith('group:'))) continue;
    const people = new Set(voters).size;
    if (tier.count > people)
      yield { path: ['tiers', name, 'count'], message: `${tier.count} must approve, but only ${people} may.` };
  }
}

function* checkRule(rule: RuleConfig, index: number, { rules, tiers, upstreams }: Sections): Generator<Fault> {
  const at = (...path: (string | number)[]) => ['rules', index, ...path];
  const first = rules.findIndex((other) => other?.id === rule.id);
  if (first !== index) yield { path: at('id'), message: `rules[${first}] has this id already.` };

  if (rule.decide === 'hold' && rule.tier === undefined)
    yield { path: at('tier'), message: 'A hold rule needs a tier.' };
  if (rule.decide !== 'hold' && rule.tier !== undefined)
    yield { path: at('tier'), message: 'Only hold rules have a tier.' };
  if (rule.tier !== undefined && !Object.hasOwn(tiers, rule.tier))
    yield { path: at('tier'), message: 'There is no tier of this name.' };
  if (rule.decide === 'deny' && rule.credential !== undefined)
    yield { path: at('credential'), message: 'A deny rule never has a credential minted.' };

  const { upstream: name, server, tool, mcp, resource, prompt } = rule.match;
  if (name === undefined) {
    if (server !== undefined)
      yield { path: at('match', 'server'), message: 'A server is named together with its upstream.' };
    return;
  }
  if (!Object.hasOwn(upstreams, name))
    yield { path: at('match', 'upstream'), message: 'There is no upstream of this name.' };
  const upstream = Object.hasOwn(upstreams, name) ? upstreams[name] : undefined;
  if (upstream === undefined) return;
  if (upstream.protocol === 'http' && tool !== undefined)
    yield { path: at('match', 'tool'), message: 'This upstream is not MCP: it has no tools.' };
  if (upstream.protocol === 'http' && (resource ?? prompt) !== undefined)
    yield { path: at('match', resource === undefined ? 'prompt' : 'resource'), message: 'This upstream is not MCP.' };
  if (upstream.protocol === 'http' && mcp !== undefined)
    yield { path: at('match', 'mcp'), message: 'This upstream is not MCP.' };
  if (server !== undefined && !('servers' in upstream && Object.hasOwn(upstream.servers, server))) {
    yield { path: at('match', 'server'), message: 'This upstream has no server of this name.' };
    return;
  }
  const meant = destinations({ [name]: upstream }).filter(({ path }) => server === undefined || path.at(-1) === server);
  if (
    meant.every(({ credential }) => credential === undefined) &&
    rule.decide !== 'deny' &&
    rule.credential !== undefined
  ) {
    yield { path: at('credential'), message: 'This upstream has no credential to narrow.' };
  }
}

function* checkIdentity({ identity, reviewers }: Sections): Generator<Fault> {
  for (const fault of checkIssuers(identity?.issuers ?? []))
    yield { ...fault, path: ['identity', 'issuers', ...fault.path] };
  if (reviewers?.api !== undefined && workloadAudiences(identity).includes(reviewers.api.audience)) {
    yield {
      path: ['reviewers', 'api', 'audience'],
      message: 'Workload tokens have this audience: reviewers need one of their own.',
    };
  }
  const api = reviewers?.api;
  const shared =
    api !== undefined && (identity?.issuers ?? []).find((issuer) => authorizationServer(issuer) === api.issuer);
  if (shared && api.clients === undefined) {
    yield {
      path: ['reviewers', 'api', 'clients'],
      message: `Set it to the clients through which people sign in, for example [${reviewers?.cli?.clientId ?? 'countersign-cli'}]: agents’ tokens come from the same issuer (${shared.name}).`,
    };
  }
  if (reviewers?.cli !== undefined && reviewers.api === undefined)
    yield { path: ['reviewers', 'cli'], message: 'The terminal signs in at reviewers.api, which is missing.' };
}

const workloadAudiences = (identity: Sections['identity']): readonly string[] => [
  ...(identity?.audience ?? []),
  ...(identity?.issuers ?? []).flatMap(({ audience }) => audience ?? []),
];

function* checkVoters({ rules, reviewers, upstreams }: Sections): Generator<Fault> {
  const nobody = reviewers !== undefined && reviewers.api === undefined && reviewers.login === undefined;
  for (const { path, toolChanges } of destinations(upstreams)) {
    if (nobody && typeof toolChanges === 'object')
      yield { path: [...path, 'toolChanges'], message: 'Nobody could ever decide: reviewers.api is missing.' };
  }
  const held = rules.findIndex((rule) => rule?.decide === 'hold');
  if (held !== -1 && nobody) {
    yield {
      path: ['rules', held, 'decide'],
      message: 'Nobody could ever decide: reviewers.login and reviewers.api are missing.',
    };
  }
}

/**
 * Sessions, sign-ins and passkeys belong to one origin, which has to be known, and which others must not read along.
 */
function* checkConsole({ listeners, reviewers }: Sections): Generator<Fault> {
  if (reviewers?.login === undefined || listeners === undefined) return;
  const { url, address } = listeners.reviewers;
  if (url === undefined && !['127.0.0.1', '::1', 'localhost'].includes(address.host)) {
    yield {
      path: ['listeners', 'reviewers', 'url'],
      message: 'The pages of reviewers.login need it: how reviewers reach them.',
    };
  }
}
