// Builds the gateway from a configuration file and takes it down again. Here every part is made and handed to the
// others; the parts themselves know only the ports in domain/. The order matters: the record and the store come first,
// listeners last.

import { createAgentsApi } from '../agent-api/api.ts';
import { loadConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { parseStrictJson } from '../domain/strict-json.ts';
import { asGatewayError } from '../errors.ts';
import { createIdentity } from '../identity/identity.ts';
import { createProofMemory } from '../identity/possession/dpop.ts';
import { openFileLimit, shareDescriptors } from '../listeners/descriptors.ts';
import { createSharedRoute } from '../mcp/shared-mount/route.ts';
import { createSharedSessions } from '../mcp/shared-mount/session.ts';
import { checkPolicy } from '../policy/check.ts';
import { countingDenials } from '../reactions/violations.ts';
import { readPrompt } from '../tasks/prompts.ts';
import { fetchTrusting } from '../upstream/issuer-fetch.ts';
import { VERSION } from '../version.ts';
import { createAgentAddresses } from './agent-addresses.ts';
import { startAgentsPlane } from './agents-plane.ts';
import { createCalls } from './calls.ts';
import { certificateExpiries } from './certificate-files.ts';
import { compile, identityOptions } from './compile.ts';
import { agentScheme, type FoundationOptions, openFoundation } from './foundation.ts';
import { openGatewayKeys } from './gateway-keys.ts';
import { createHolding, keepRetention, keyOfId, ownersOf, refuseUnknownUpstream } from './holding.ts';
import { LiveConfig } from './live-config.ts';
import { createMcp } from './mcp.ts';
import { startNotices } from './notices.ts';
import { startOpsPlane } from './ops-plane.ts';
import { followConfig } from './reload.ts';
import { openReviewersPlane } from './reviewers-plane.ts';
import { Shutdown } from './shutdown.ts';
import { createConnections, createCredentialBroker } from './upstream-side.ts';

export interface Gateway {
  /** The ports that the listeners took. */
  readonly ports: { readonly agents: number; readonly reviewers: number; readonly ops: number };
  /** Reads the configuration again, and puts it in force or refuses it. */
  reload(): void;
  /**
   * Something was thrown where nobody catches: it is logged, and /readyz fails from now on. What is left to do is
   * `close`.
   */
  fault(thrown: unknown): void;
  /**
   * Stops taking calls, answers those that wait (their holds stay), lets the others end within `limits.drain`, and
   * closes.
   */
  close(): Promise<void>;
}

export type GatewayOptions = FoundationOptions;

/**
 * Runs the gateway of a configuration file. Throws ConfigError with every fault of the file, or what a part refuses.
 */
export async function startGateway(configPath: string, options: GatewayOptions = {}): Promise<Gateway> {
  const config = await loadConfig(configPath, checkPolicy);
  const shutdown = new Shutdown();
  try {
    return await build(configPath, config, options, shutdown);
  } catch (error) {
    await shutdown.run();
    throw error;
  }
}

async function build(
  configPath: string,
  config: Config,
  options: GatewayOptions,
  shutdown: Shutdown,
): Promise<Gateway> {
  const { drainMs } = config.limits;
  // What everything stands on.
  const foundation = await openFoundation(config, options, shutdown);
  const { audit, clock, log, metrics, store } = foundation;
  const keys = openGatewayKeys(config, foundation, shutdown);
  const { issuer, seal, svids } = keys;
  const shares = shareDescriptors(openFileLimit(), config.listeners.agents.maxConnections);

  // The way of a call.
  const connections = createConnections(foundation, shutdown);
  const { forwarder, targets } = connections;
  const proofs = createProofMemory(clock, store.once);
  const live = new LiveConfig({
    targets,
    makeIdentity: (current) =>
      createIdentity(identityOptions(current), { clock, log, metrics, proofs, verified: store.agents.note }),
    identityInForce: (identity) => store.suspensions.rekey((id) => keyOfId(identity, store.agents, id)),
  });
  shutdown.add(() => live.close());
  const broker = createCredentialBroker(foundation, keys, live, shutdown);
  const approvals = createHolding(foundation, live, shutdown);
  const addresses = createAgentAddresses(live, agentScheme(config));
  const calls = createCalls(foundation, { ...connections, addresses, approvals, broker, live, seal }, shutdown);
  const sessions = createSharedSessions(seal, store.once, clock);
  const mcp = createMcp(foundation, { approvals, desk: calls.desk, forwarder, live, run: calls.run, seal, sessions });

  // The configuration in force.
  const tools = { clock, fetchJwtSvid: svids.jwt, fetchTrusting, ...(issuer && { signer: issuer }) };
  const route = createSharedRoute(sessions);
  live.begin(config, (next) => compile(next, { mcp, route, shares, svids, tools }));
  metrics.observeIssuers(() => live.runtime().identity.status(), clock.now);
  metrics.observeCertificates(() => certificateExpiries(live.config()), clock.now);
  await audit.append('config', clock.now(), { version: VERSION, policyDigest: live.runtime().policy.digest }, 'fsync');
  await Promise.all([live.runtime().identity.start(), svids.ready(), broker.start(), approvals.start()]);
  keepRetention(foundation, live, shutdown);

  // The listeners: people first, agents last.
  let accepting = true;
  const reviewers = await openReviewersPlane(config, foundation, shares.reviewers);
  shutdown.add(() => reviewers.close(drainMs));
  const notifier = startNotices(foundation, live, reviewers.url, shutdown);
  reviewers.serve({
    approvals: countingDenials(approvals, calls.violations),
    ...{ passkeys: store.passkeys, once: store.once },
    current: () => ({ config: live.config(), policyDigest: live.runtime().policy.digest }),
    operations: {
      audit,
      marks: store.marks,
      ...{ meters: store.meters, novelty: store.novelty, metersInForce: () => live.runtime().policy.meters },
      owners: (agent) => ownersOf({ id: agent }, live, store.agents),
      ...{ tasks: store.tasks, suspensions: store.suspensions, watch: store.watch, notifications: store.notifications },
      stopTasks: calls.stopTasks,
      promptOf: (task) => readPrompt(seal, store.tasks, task),
      refuseUnknown: (what) => refuseUnknownUpstream(what, live.config()),
      suspend: calls.suspend,
      wakeNotifier: () => notifier.wake(),
    },
  });
  const ops = await startOpsPlane(config, foundation, {
    ...{ broker, live, svids },
    maxConnections: shares.ops,
    accepting: () => accepting,
  });
  shutdown.add(() => ops.close(0));
  shutdown.add(() => mcp.drain(drainMs));
  const agents = await startAgentsPlane(config, {
    ...{ addresses, clock, live, log, svids },
    run: calls.run,
    api: createAgentsApi({
      ...{ approvals, log },
      agentCalls: calls.agentCalls,
      tasks: store.tasks,
      desk: calls.desk,
      parseJson: parseStrictJson,
      longestWaitMs: () => live.config().limits.waitMs,
      document: async (path) => issuer?.document(path),
    }),
    maxConnections: shares.agents,
  });
  shutdown.add(() => agents.close(drainMs));
  shutdown.add(approvals.drain);
  const following = followConfig(configPath, config, { audit, clock, live, log });
  shutdown.add(following.close);

  const ports = { agents: agents.port, reviewers: reviewers.port, ops: ops.port };
  log.info('ready', { ports, policy: live.runtime().policy.digest, version: VERSION });
  return {
    ports,
    reload: following.reload,
    fault(thrown) {
      accepting = false;
      log.error('countersign.process.fault', { cause: asGatewayError(thrown) });
    },
    close() {
      accepting = false;
      return shutdown.run();
    },
  };
}
