// The reviewers' plane as tests call it: the real API on a real socket, over the real approvals and a real SQLite file,
// believing tokens of the real local issuer of the quickstart.

import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type QuickstartIssuer, startQuickstartIssuer, type TokenHolder } from '../../config/quickstart/issuer.ts';
import { requirementsOf } from '../../src/approvals/escalation.ts';
import { isEligible } from '../../src/approvals/quorum.ts';
import { conflictOf } from '../../src/approvals/separation.ts';
import { systemClock } from '../../src/domain/clock.ts';
import type { Hold, HoldState } from '../../src/domain/hold.ts';
import { silentLog } from '../../src/domain/log.ts';
import { noMetrics } from '../../src/domain/metrics.ts';
import { parseStrictJson } from '../../src/domain/strict-json.ts';
import { DEFAULT_ALGORITHMS } from '../../src/identity/keys/algorithms.ts';
import { createReviewerAuthenticator } from '../../src/identity/reviewer.ts';
import { createSuspending } from '../../src/reactions/suspend.ts';
import { reviewListener } from '../../src/review/app.ts';
import { type Bench, type BenchOptions, openBench, openHoldBy } from './holds/bench.ts';
import { actionOf, type ManualClock, type RequestOptions } from './holds/values.ts';

const AGENT_AUDIENCE = 'https://gateway.test';

export interface ReviewPlane {
  readonly url: string;
  readonly issuer: QuickstartIssuer;
  readonly bench: Bench;
  /** A token, had once and kept. */
  token(holder: TokenHolder): Promise<string>;
  /** Calls the API; `as` undefined sends no token. */
  call(as: TokenHolder | undefined, path: string, init?: RequestInit): Promise<Response>;
  /** POSTs JSON. */
  post(as: TokenHolder, path: string, body: unknown): Promise<Response>;
  /** A new hold, of an action that no other hold of this plane has unless the options say so. */
  newHold(options?: RequestOptions): Promise<Hold>;
  stateOf(hold: Hold): Promise<HoldState | undefined>;
  /** What the gateway does when it drains. */
  drain(): void;
  close(): Promise<void>;
}

/** By the bench's own clock the issuer's tokens, which are made by the real time, are old. */
export async function openReviewPlane(options: BenchOptions = {}, clock?: ManualClock): Promise<ReviewPlane> {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-review-'));
  const bench = openBench(options, clock);
  const issuer = await startQuickstartIssuer({
    port: 0,
    dataDir: folder,
    gatewayAudience: AGENT_AUDIENCE,
    ledgerAudience: 'https://ledger.test',
  });
  const authenticator = createReviewerAuthenticator(
    {
      ...{ issuer: issuer.issuer, audience: 'countersign-review', agentAudiences: [AGENT_AUDIENCE] },
      ...{ algorithms: DEFAULT_ALGORITHMS, requireAccessTokenType: true, groupsClaim: 'groups' },
    },
    { clock: systemClock, log: silentLog, metrics: noMetrics },
  );
  await authenticator.start();
  let amount = 0;
  const closing = new AbortController();
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  server.on(
    'request',
    reviewListener({
      hosts: new Set([new URL(url).host]),
      approvals: bench.approvals,
      holds: bench.store.holds,
      eligibility: { isEligible, conflictOf, requirementsOf: (hold) => requirementsOf(hold, bench.clock.now()) },
      operations: {
        powersOf: (reviewer) => ({
          killSwitch: reviewer.groups.includes('soc'),
          watch: reviewer.groups.includes('soc'),
          declassify: false,
        }),
        audit: bench.options.audit,
        marks: bench.store.marks,
        ...{ meters: bench.store.meters, novelty: bench.store.novelty, metersInForce: () => [] },
        owners: () => [],
        tasks: bench.store.tasks,
        suspensions: bench.store.suspensions,
        watch: bench.store.watch,
        notifications: bench.store.notifications,
        suspend: createSuspending({
          suspensions: bench.store.suspensions,
          audit: bench.options.audit,
          clock: bench.clock,
          revokeCredentials: async () => true,
          cutConnections: () => 0,
        }),
        stopTasks: async () => true,
        promptOf: async () => undefined,
        refuseUnknown: () => {},
        wakeNotifier: () => {},
      },
      propose: () => undefined,
      authenticate: authenticator.authenticate,
      parseJson: parseStrictJson,
      log: silentLog,
      closing: closing.signal,
    }),
  );
  const tokens = new Map<TokenHolder, Promise<string>>();
  const token = (holder: TokenHolder) => {
    const known = tokens.get(holder) ?? issuer.token(holder);
    tokens.set(holder, known);
    return known;
  };
  const call = async (as: TokenHolder | undefined, path: string, init: RequestInit = {}) => {
    const headers = new Headers(init.headers);
    if (as !== undefined) headers.set('authorization', `Bearer ${await token(as)}`);
    return fetch(url + path, { ...init, headers });
  };
  return {
    url,
    issuer,
    bench,
    token,
    call,
    post: (as, path, body) =>
      call(as, path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    newHold: (more = {}) => openHoldBy(bench, { action: actionOf({}, `{"amount":${++amount}}`), ...more }),
    stateOf: async ({ id }) => (await bench.store.holds.get(id))?.state,
    drain: () => closing.abort(),
    async close() {
      closing.abort();
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
      authenticator.close();
      await bench.close();
      await issuer.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
