// Builds the gateway from a configuration file and takes it down again. Here every part is made and handed to the
// others; the parts themselves know only the ports in domain/. The order matters: the record and the store come first,
// listeners last.

import { randomUUID } from 'node:crypto';
import { dirname, join } from 'node:path';
import { actionDigest, formerActionDigest } from '../actions/digest.ts';
import { createAgentsApi } from '../agent-api/api.ts';
import { createApprovals } from '../approvals/approvals.ts';
import { closeHold } from '../approvals/closing.ts';
import { createChannel } from '../approvals/notify/channel-types.ts';
import { startNotifier } from '../approvals/notify/worker.ts';
import { openAuditLog } from '../audit/journal.ts';
import { credentialRecord, decisionRecord, outcomeRecord } from '../audit/records.ts';
import { loadConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { createBroker } from '../credentials/broker.ts';
import { createFileKeyRing, createGatewayIssuer, type GatewayIssuer } from '../credentials/gateway-issuer.ts';
import { createGeneratedKeyRing } from '../credentials/generated-keys.ts';
import { createSealer, type Sealer } from '../credentials/seal.ts';
import type { Clock } from '../domain/clock.ts';
import { createSteadyClock } from '../domain/steady-clock.ts';
import { parseStrictJson } from '../domain/strict-json.ts';
import { refuseSuspended } from '../domain/suspension.ts';
import { asGatewayError, type GatewayError } from '../errors.ts';
import { challenge } from '../identity/challenge.ts';
import { createIdentity } from '../identity/identity.ts';
import { createProofMemory } from '../identity/possession/dpop.ts';
import { openFileLimit, shareDescriptors } from '../listeners/descriptors.ts';
import { startOps } from '../listeners/ops-listener.ts';
import { createSharedRoute } from '../mcp/shared-mount/route.ts';
import { createSharedSessions } from '../mcp/shared-mount/session.ts';
import { createPipeline } from '../pipeline.ts';
import { checkPolicy } from '../policy/check.ts';
import { AgentCalls } from '../steps/call-slots.ts';
import { createOpenCalls } from '../steps/open-calls.ts';
import { createSteps } from '../steps/steps.ts';
import { startRetention } from '../store/retention-sweep.ts';
import { openSqliteStore, type Store } from '../store/sqlite.ts';
import { startTimeKeeper } from '../store/time-keeper.ts';
import { callLine } from '../telemetry/call-line.ts';
import { startTelemetry } from '../telemetry/start.ts';
import { createForwarder } from '../upstream/forward.ts';
import { fetchTrusting } from '../upstream/issuer-fetch.ts';
import { post } from '../upstream/post.ts';
import { createTargets } from '../upstream/targets.ts';
import { createWebSocketPass } from '../upstream/websocket.ts';
import { VERSION } from '../version.ts';
import { startAgentsPlane } from './agents-plane.ts';
import { answerCall } from './answer.ts';
import { certificateExpiries } from './certificate-files.ts';
import { compile, identityOptions } from './compile.ts';
import { createGatewaySvids, type GatewaySvids } from './gateway-svids.ts';
import { createLiveConfig } from './live-config.ts';
import { buildMcp } from './mcp.ts';
import { followConfig } from './reload.ts';
import { startReviewersPlane } from './reviewers-plane.ts';
import { Shutdown } from './shutdown.ts';

/** Attempts to deliver that are under way get this long; what is left is in the outbox. */
const NOTIFIER_CLOSE_MS = 2_000;

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

export interface GatewayOptions {
  /** Where log lines go; default: standard output. */
  readonly logTo?: { write(line: string): void };
}

/**
 * Runs the gateway of a configuration file. Throws ConfigError with every fault of the file, or what a part refuses.
 */
export async function startGateway(configPath: string, options: GatewayOptions = {}): Promise<Gateway> {
  const config = await loadConfig(configPath, checkPolicy);
  const ending = new Shutdown();
  try {
    return await build(configPath, config, options, ending);
  } catch (error) {
    await ending.run();
    throw error;
  }
}

async function build(
  configPath: string,
  config: Config,
  { logTo }: GatewayOptions,
  ending: Shutdown,
): Promise<Gateway> {
  const instance = randomUUID();
  const clock = createSteadyClock();
  const scheme = config.listeners.agents.tls === undefined ? 'http' : 'https';
  const telemetry = startTelemetry({
    env: process.env,
    version: VERSION,
    instance,
    scheme,
    clock,
    ...(logTo && { destination: logTo }),
  });
  ending.add(telemetry.shutdown);
  const { log, metrics, tracing } = telemetry;
  // The store first: a second gateway on it is refused here, before it writes into the record of the one that runs.
  const store = openSqliteStore({ path: config.store.path, clock, closeHold, log });
  ending.add(store.close);
  clock.atLeast(store.lastTime);
  const time = startTimeKeeper(clock, store.time, log);
  ending.add(time.close);
  const audit = await openAuditLog({ ...config.audit, instance, clock, log, metrics });
  ending.add(audit.close);
  metrics.observeHolds(store.holds.counts);
  ending.add(store.holds.subscribe(tracing.holdChanged));

  const seal = createSealer({ keyFile: join(dirname(config.store.path), 'seal.key') });
  const issuer = createIssuer(config, seal, clock);
  const svids = createGatewaySvids({ clock, log });
  ending.add(svids.close);
  const shares = shareDescriptors(openFileLimit(), config.listeners.agents.maxConnections);
  const agentCalls = new AgentCalls();
  const tools = { clock, fetchJwtSvid: svids.jwt, fetchTrusting, ...(issuer && { signer: issuer }) };
  const sessions = createSharedSessions(seal, store.once, clock);
  const route = createSharedRoute(sessions);
  const compiled = compile(config, { shares, tools, svids, route });
  const targets = createTargets(compiled.targets);
  const forwarder = createForwarder({ targets, metrics });
  ending.add(forwarder.close);
  const webSockets = createWebSocketPass({ targets, metrics });
  ending.add(webSockets.close);
  const proofs = createProofMemory(clock, store.once);
  const makeIdentity = (current: Config) => createIdentity(identityOptions(current), { clock, log, metrics, proofs });
  const live = createLiveConfig(config, compiled, { shares, targets, tools, svids, route, makeIdentity });
  ending.add(live.close);
  metrics.observeIssuers(() => live.runtime().identity.status(), clock.now);
  metrics.observeCertificates(() => certificateExpiries(live.config()), clock.now);

  const broker = createBroker({
    ...{ seal, clock, log, metrics },
    providers: live.provider,
    ledger: store.credentials,
    // The call's own outcome is not everything: what is revoked after a crash, or late, or never, is on record too.
    ended: (event, entry) =>
      void audit.append('credential', clock.now(), credentialRecord(event, entry), 'soon').catch(() => {}),
  });
  ending.add(broker.close);
  const approvals = createApprovals({
    ...{ audit, tracing, metrics, log, instance },
    store: store.holds,
    limits: () => live.config().limits,
    owners: (agentId) => live.config().identity.owners[agentId] ?? [],
    suspended: () => new Set(live.config().reviewers.suspended),
    refuseSuspended: (caller, taskId) => refuseSuspended(store.suspensions, caller, taskId),
  });
  ending.add(approvals.close);

  await audit.append('config', clock.now(), { version: VERSION, policyDigest: live.runtime().policy.digest }, 'fsync');
  await Promise.all([live.runtime().identity.start(), svids.ready(), broker.start(), approvals.start()]);

  const retention = startRetention({
    store: store.retention,
    audit,
    clock,
    log,
    periods: () => live.config().retention,
  });
  ending.add(retention.close);
  void retention.sweep();

  const challengeAgent = (error: GatewayError): string => challenge(error, { realm: 'countersign' });
  const mcp = buildMcp({
    ...{ approvals, audit, clock, forwarder, live, log, seal, sessions, scheme, store },
    run: (call) => run(call),
  });
  const openCalls = createOpenCalls(store.suspensions, clock);
  const steps = createSteps({
    ...{ agentCalls, approvals, audit, broker, clock, forwarder, log, metrics, openCalls, tracing, webSockets },
    ...{ decisionRecord, outcomeRecord, callLine },
    tasks: store.tasks,
    suspensions: store.suspensions,
    watch: store.watch,
    digests: { of: actionDigest, former: formerActionDigest },
    runtime: live.runtime,
    handler: mcp.handlerOf,
    answer: (failed) => answerCall(failed, mcp),
  });
  const run = createPipeline(steps);
  const api = createAgentsApi({
    ...{ agentCalls, approvals, audit, clock, log },
    tasks: store.tasks,
    parseJson: parseStrictJson,
    revokeForTask: async (taskId) => void (await broker.revokeFor({ taskId })),
    limits: () => live.config().limits,
    longestWaitMs: () => live.config().limits.waitMs,
    document: async (path) => issuer?.document(path),
  });

  let accepting = true;
  const reviewers = await startReviewersPlane(config, {
    ...{ approvals, audit, clock, log, metrics },
    ...{ holds: store.holds, passkeys: store.passkeys, once: store.once },
    maxConnections: shares.reviewers,
    current: () => ({ config: live.config(), policyDigest: live.runtime().policy.digest }),
    operations: {
      ...{
        audit,
        tasks: store.tasks,
        suspensions: store.suspensions,
        watch: store.watch,
        notifications: store.notifications,
      },
      revokeCredentials: (whose) => broker.revokeFor(whose),
      cutConnections: openCalls.cut,
      wakeNotifier: () => notifier.wake(),
    },
  });
  ending.add(() => reviewers.close(config.limits.drainMs));
  const pages = pagesUrl(config, reviewers.port);
  const notifier = startNotifier({
    ...{ clock, log, metrics },
    outbox: store.notifications,
    // Made at each delivery, so that a reload counts at once.
    channel(name) {
      const { channels } = live.config().notifications;
      const settings = Object.hasOwn(channels, name) ? channels[name] : undefined;
      return settings && createChannel(settings, { post, clock });
    },
    pages: () => pages,
  });
  ending.add(() => notifier.close(NOTIFIER_CLOSE_MS));
  ending.add(store.holds.subscribe(notifier.wake));
  const ops = await startOps({
    ...config.listeners.ops,
    maxConnections: shares.ops,
    metrics: telemetry.serveMetrics,
    outstanding: broker.outstanding,
    alive: audit.recovering,
    readiness: () => ({
      accepting,
      store: isUsable(store),
      clock: time.agrees(),
      audit: audit.healthy(),
      issuers: live.runtime().identity.status(),
      certificate: canShowItself(config, svids),
      svids: svids.status(),
    }),
  });
  ending.add(() => ops.close(0));
  ending.add(() => mcp.drain(config.limits.drainMs));
  const agents = await startAgentsPlane(config, {
    ...{ live, clock, log, api, run, svids },
    challenge: challengeAgent,
    metadata: mcp.metadata,
    maxConnections: shares.agents,
  });
  ending.add(() => agents.close(config.limits.drainMs));
  ending.add(approvals.drain);
  const following = followConfig(configPath, config, { live, audit, clock, log });
  ending.add(following.close);

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
      return ending.run();
    },
  };
}

/** Where links lead: `listeners.reviewers.url`, or the listener's own address. */
function pagesUrl({ listeners: { reviewers } }: Config, port: number): string {
  const { url, tls, address } = reviewers;
  const host = address.host.includes(':') ? `[${address.host}]` : address.host;
  return (url ?? `${tls === undefined ? 'http' : 'https'}://${host}:${port}`).replace(/\/$/, '');
}

function createIssuer({ signing, store }: Config, seal: Sealer, clock: Clock): GatewayIssuer | undefined {
  if (signing === undefined) return undefined;
  const { issuer, keys, rotateEveryMs, overlapMs } = signing;
  const path = join(dirname(store.path), 'signing-keys.json');
  return createGatewayIssuer(
    issuer,
    keys === undefined
      ? createGeneratedKeyRing({ path, seal, clock, rotateEveryMs, overlapMs })
      : createFileKeyRing(keys),
    clock,
  );
}

/** False while the agents' listener waits for its SVID, and so refuses every connection. */
function canShowItself({ listeners }: Config, svids: GatewaySvids): boolean {
  const { tls } = listeners.agents;
  return tls === undefined || !('workloadApi' in tls) || svids.at(tls.workloadApi).current() !== undefined;
}

function isUsable(store: Store): boolean {
  try {
    store.check();
    return true;
  } catch {
    return false;
  }
}
