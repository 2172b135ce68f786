// From one configuration to what is in force: policy, mounts, upstream targets, credential providers. Here the
// names of configuration keys meet the options of the feature folders. Nothing here touches the network.

import { classify } from '../actions/classify.ts';
import type { Config } from '../config/schema.ts';
import type { BrokerProvider } from '../credentials/broker-provider.ts';
import type { CredentialTools } from '../credentials/credential-type.ts';
import { createProvider, requestSigning } from '../credentials/types.ts';
import { leftBehind } from '../domain/deciding-fields.ts';
import type { Policy } from '../domain/decision.ts';
import type { Mount, MountTasks, SharedMount, SingleMount } from '../domain/mount.ts';
import type { AnsweringHandler, ProtocolHandler } from '../domain/protocol-handler.ts';
import type { InboundRequest } from '../domain/request.ts';
import { readUpstreamName } from '../domain/server-names.ts';
import type { IdentityOptions } from '../identity/identity.ts';
import { callsPerAgent, type DescriptorShares, shareOut } from '../listeners/descriptors.ts';
import type { RouteShared } from '../mcp/shared-mount/route.ts';
import { compilePolicy } from '../policy/policy.ts';
import type { UpstreamOptions } from '../upstream/targets.ts';
import type { GatewaySvids } from './gateway-svids.ts';

type UpstreamEntry = Config['upstreams'][string];
/** An upstream with a URL. */
type UpstreamConfig = Extract<UpstreamEntry, { readonly url: string }>;
/** A mount that several servers share; each of them has an entry of its own. */
type SharedConfig = Exclude<UpstreamEntry, UpstreamConfig>;

/** The part of a runtime that every reload makes anew. */
export interface Compiled {
  readonly policy: Policy;
  readonly mounts: ReadonlyMap<string, Mount>;
  readonly targets: ReadonlyMap<string, UpstreamOptions>;
  readonly providers: ReadonlyMap<string, BrokerProvider>;
  readonly callsPerAgent: number;
  readonly taints: ReadonlyMap<string, number>;
}

/** What the whole process shares, whatever the configuration. */
export interface CompileParts {
  readonly shares: DescriptorShares;
  readonly tools: CredentialTools;
  readonly svids: GatewaySvids;
  readonly route: RouteShared;
  /** What MCP adds to the calls of a mount, by the mount's kind. */
  readonly mcp: { readonly single: ProtocolHandler; readonly shared: AnsweringHandler };
}

export function compile(config: Config, { shares, tools, svids, route, mcp }: CompileParts): Compiled {
  const entries = Object.entries(config.upstreams);
  const sizes = poolSizes(config, shares);
  return {
    callsPerAgent: config.limits.callsPerAgent ?? callsPerAgent(shares, config.limits.pendingPerAgent),
    policy: compilePolicy(config),
    taints: new Map(Object.entries(config.taints).map(([name, { forMs }]) => [name, forMs])),
    mounts: new Map(
      entries.map(([name, entry]) => {
        const tasks = mountTasks(name, config);
        return [
          name,
          'url' in entry
            ? { ...createMount(name, entry, sizes, config, mcp.single), tasks }
            : { ...createSharedMount(name, entry, config, route, mcp.shared), tasks },
        ];
      }),
    ),
    targets: new Map(
      entries.flatMap(([name, entry]) => ('url' in entry ? [[name, targetOptions(name, entry, svids)]] : [])),
    ),
    providers: new Map(
      Object.entries(config.credentials).map(([name, credential]) => [name, createProvider(credential, tools)]),
    ),
  };
}

/** How many connections each upstream gets. */
export function poolSizes({ upstreams }: Config, shares: DescriptorShares): ReadonlyMap<string, number> {
  const wanted = Object.entries(upstreams).flatMap(([name, entry]): [string, number | undefined][] =>
    'url' in entry ? [[name, entry.pool.connections]] : [],
  );
  return shareOut(shares.upstreams, new Map(wanted));
}

/** Servers that share a mount share its sessions; the tool that opens a task for one is listed once, by the mount. */
function mountTasks(name: string, { upstreams, tiers, resources, rules }: Config): MountTasks {
  const { mount, server } = readUpstreamName(name);
  const { protocol, requireTask: required, autoTask } = upstreams[name] ?? {};
  const auto = autoTask === 'session';
  const needed =
    required !== undefined ||
    rules.some(({ tier, match }) => tiers[tier ?? '']?.requireTask && (match.upstream ?? mount) === mount) ||
    resources.some(({ requireTask, match }) => requireTask && (match.upstream ?? mount) === mount);
  const offered = protocol === 'mcp' && needed;
  return {
    ...(required && { required }),
    auto,
    offered: offered && server === undefined,
    sessions: auto || offered,
  };
}

function createMount(
  name: string,
  upstream: UpstreamConfig,
  sizes: ReadonlyMap<string, number>,
  { limits, credentials }: Pick<Config, 'limits' | 'credentials'>,
  mcp: ProtocolHandler,
): Omit<SingleMount, 'tasks'> {
  const { host, pathname } = new URL(upstream.url);
  const { protocol, boundHeaders, forwardHeaders, websocket, traceContext, agentToken, allowedOrigins } = upstream;
  const credential = upstream.credential === undefined ? undefined : credentials[upstream.credential];
  const signing = credential && requestSigning(credential);
  const descriptor = {
    name,
    authority: host,
    basePath: pathname.replace(/\/$/, ''),
    protocol,
    boundHeaders: [...boundHeaders, ...forwardHeaders, ...(signing?.boundFields ?? [])],
    withheldHeaders: [...(agentToken === undefined ? [] : [agentToken]), ...(signing?.ownFields ?? [])],
    allowedOrigins,
    armed: credential !== undefined,
    signsBodies: signing?.signsBodies ?? false,
  };
  return {
    kind: 'single',
    name,
    protocol,
    url: upstream.url,
    webSocket: websocket,
    ...(protocol === 'mcp' && { allowedOrigins, handler: mcp }),
    pool: { ...upstream.pool, connections: sizes.get(name) ?? 1 },
    traceContext,
    leftBehind: (headers, bound) => leftBehind(headers, bound, agentToken, credential !== undefined),
    classify: (request, need) => classify(request, descriptor, need, limits),
  };
}

function createSharedMount(
  name: string,
  { agentToken, allowedOrigins, boundHeaders, servers }: SharedConfig,
  { limits }: Config,
  route: RouteShared,
  handler: AnsweringHandler,
): Omit<SharedMount, 'tasks'> {
  const descriptor = {
    ...({ name, authority: '', basePath: '', protocol: 'mcp', boundHeaders, allowedOrigins } as const),
    ...(agentToken !== undefined && { withheldHeaders: [agentToken] }),
  };
  const read: Mount['classify'] = (request) => classify(request, descriptor, 'json', limits);
  const shared = { name, servers: Object.keys(servers), read: (request: InboundRequest) => read(request, 'json') };
  return {
    kind: 'shared',
    name,
    protocol: 'mcp',
    allowedOrigins,
    handler,
    classify: read,
    route: (request, principal) => route(shared, request, principal),
  };
}

function targetOptions(name: string, upstream: UpstreamConfig, svids: GatewaySvids): UpstreamOptions {
  const { url, allowPlaintext, allowPrivateAddresses, tls, timeouts, websocket, agentToken, forwardHeaders } = upstream;
  return {
    name,
    url,
    allowPlaintext,
    allowPrivateAddresses,
    ...(tls && { tls: targetTls(tls, svids) }),
    connectTimeoutMs: timeouts.connectMs,
    headersTimeoutMs: timeouts.headersMs,
    bodyTimeoutMs: timeouts.idleMs,
    websocket,
    forwardHeaders,
    ...(agentToken !== undefined && { agentToken }),
  };
}

function targetTls(
  { ca, clientCertificate }: NonNullable<UpstreamConfig['tls']>,
  svids: GatewaySvids,
): NonNullable<UpstreamOptions['tls']> {
  const own = clientCertificate && {
    name: clientCertificate.workloadApi,
    feed: svids.at(clientCertificate.workloadApi),
  };
  return { ...(ca !== undefined && { ca }), ...(own && { clientCertificate: own }) };
}

export function identityOptions({ identity, upstreams, listeners }: Config): IdentityOptions {
  const { url } = listeners.agents;
  const bound = { staleMs: identity.staleAfterMs };
  return {
    ...identity,
    refresh: bound,
    workloadApi: bound,
    tokenHeaderFor: (mount) => upstreams[mount]?.agentToken,
    ...(url !== undefined && { gatewayUrl: url }),
  };
}
