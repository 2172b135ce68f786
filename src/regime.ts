// From one configuration to what is in force: policy, mounts, upstream targets, credential providers. Here and in
// credential-options.ts the names of configuration keys meet the options of the feature folders. Nothing here touches the network.

import { classify } from './actions/classify.ts';
import type { Config } from './config/schema.ts';
import { type CredentialTools, providerOptions } from './credential-options.ts';
import type { BrokerProvider } from './credentials/broker-provider.ts';
import { createProvider } from './credentials/provider.ts';
import type { Policy } from './domain/decision.ts';
import type { Mount } from './domain/stages.ts';
import type { IdentityOptions } from './identity/options.ts';
import type { OwnSvids } from './own-svids.ts';
import { compilePolicy } from './policy/policy.ts';
import type { UpstreamOptions } from './upstream/targets.ts';

type UpstreamConfig = Config['upstreams'][string];

/** The part of a regime that every reload makes anew. */
export interface Compiled {
  readonly policy: Policy;
  readonly mounts: ReadonlyMap<string, Mount>;
  readonly targets: ReadonlyMap<string, UpstreamOptions>;
  readonly providers: ReadonlyMap<string, BrokerProvider>;
}

/** What the whole process shares, whatever the configuration. */
export interface CompileParts {
  readonly tools: CredentialTools;
  readonly svids: OwnSvids;
}

export function compile(config: Config, { tools, svids }: CompileParts): Compiled {
  const each = <T>(make: (name: string, upstream: UpstreamConfig) => T): Map<string, T> =>
    new Map(Object.entries(config.upstreams).map(([name, upstream]) => [name, make(name, upstream)]));
  return {
    policy: compilePolicy(config),
    mounts: each((name, upstream) => createMount(name, upstream, config)),
    targets: each((name, upstream) => targetOptions(name, upstream, svids)),
    providers: new Map(Object.entries(config.credentials).map(([name, credential]) => [name, createProvider(providerOptions(credential, tools))])),
  };
}

function createMount(name: string, upstream: UpstreamConfig, { limits, credentials }: Pick<Config, 'limits' | 'credentials'>): Mount {
  const { host, pathname } = new URL(upstream.url);
  const { protocol, boundHeaders, websocket, traceContext, agentToken, allowedOrigins } = upstream;
  const descriptor = {
    name,
    authority: host,
    basePath: pathname.replace(/\/$/, ''),
    protocol,
    boundHeaders,
    allowedOrigins,
    ...(agentToken !== undefined && { withheldHeaders: [agentToken] }),
  };
  const credential = upstream.credential === undefined ? undefined : credentials[upstream.credential];
  // What is signed must be known whole before the first byte leaves.
  const signsBodies = credential?.type === 'aws-sts' && !credential.unsignedPayload;
  return {
    name,
    protocol,
    url: upstream.url,
    webSocket: websocket,
    traceContext,
    classify: (request, need) => classify(request, descriptor, need === 'stream' && signsBodies ? 'bytes' : need, limits),
  };
}

function targetOptions(name: string, upstream: UpstreamConfig, svids: OwnSvids): UpstreamOptions {
  const { url, allowPlaintext, allowPrivateAddresses, tls, timeouts, websocket, agentToken } = upstream;
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
    ...(agentToken !== undefined && { agentToken }),
  };
}

function targetTls({ ca, clientCertificate }: NonNullable<UpstreamConfig['tls']>, svids: OwnSvids): NonNullable<UpstreamOptions['tls']> {
  const own = clientCertificate && { name: clientCertificate.workloadApi, feed: svids.at(clientCertificate.workloadApi) };
  return { ...(ca !== undefined && { ca }), ...(own && { clientCertificate: own }) };
}

export function identityOptions({ identity, upstreams, listeners }: Config): IdentityOptions {
  const { url } = listeners.agents;
  return { ...identity, tokenHeaderFor: (mount) => upstreams[mount]?.agentToken, ...(url !== undefined && { gatewayUrl: url }) };
}
