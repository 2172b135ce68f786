// The whole gateway under a real SPIRE: its SVIDs and bundles come from a real agent, callers come with what that agent
// and other trust domains' servers give them, and authorities rotate, the agent dies and registrations go while calls
// run. docs/identity.md says how to have SPIRE here.

import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { Agent } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { decodeProtectedHeader } from 'jose';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { GATEWAY_AUDIENCE, rule, type Section } from '../../support/config.ts';
import { type Environment, startEnvironment } from '../../support/environment.ts';
import { createAuthority } from '../../support/spiffe-authority.ts';
import { type Answer, call, connect, type SpiffeUpstream, startSpiffeUpstream } from './calls.ts';
import {
  findSpire,
  type SpireAgent,
  type SpireServer,
  startSpireAgent,
  startSpireServer,
  stopSpire,
  type X509Svid,
} from './spire.ts';

const GATEWAY = 'spiffe://prod.test/gateway';
const CALLER = 'spiffe://prod.test/agent';
const LEDGER = 'https://ledger.test';
const PATIENCE = { timeout: 120_000, interval: 250 };
const programs = findSpire();

/** No agent and no gateway know of it. */
let stranger: SpireServer;
/** Federated over its bundle endpoint, as itself. */
let partner: SpireServer;
/** Federated over its bundle endpoint, as a website. */
let lab: SpireServer;
/** Federated over its bundle endpoint, as itself; its authorities are intermediates of a company's. */
let deep: SpireServer;
/** The gateway's own. */
let prod: SpireServer;
let agent: SpireAgent;
let gatewayEntry: string;
let environment: Environment;
let upstream: SpiffeUpstream;
let folder: string;
let trust: string;

describe.skipIf(programs === undefined)(
  'under a real SPIRE (skipped where spire-server and spire-agent are not on PATH)',
  () => {
    beforeAll(async () => {
      if (programs === undefined) return;
      console.log(`SPIRE ${programs.version}`);
      folder = mkdtempSync(join(tmpdir(), 'countersign-spire-'));
      const web = await createAuthority('web.test');
      const site = await web.issue({ uris: [], dns: ['localhost'] });
      writeFileSync(join(folder, 'web.pem'), web.pem);
      const company = await createAuthority('deep.test');
      [prod, partner, lab, deep, stranger] = await Promise.all([
        startSpireServer(programs, 'prod.test', folder),
        startSpireServer(programs, 'partner.test', folder, { endpoint: { profile: 'https_spiffe' } }),
        startSpireServer(programs, 'lab.test', folder, {
          endpoint: { profile: 'https_web', cert: site.pem, key: site.keyPem },
        }),
        startSpireServer(programs, 'deep.test', folder, {
          endpoint: { profile: 'https_spiffe' },
          above: { cert: company.pem, key: company.keyPem },
        }),
        startSpireServer(programs, 'stranger.test', folder),
      ]);
      agent = await startSpireAgent(programs, prod, folder);
      await prod.register({ path: '/agent', program: programs.agent });
      gatewayEntry = await registerGateway();
      trust = await prod.bundle('pem');
      upstream = await startSpiffeUpstream(site, GATEWAY, trust);
      await vi.waitFor(() => agent.fetchJwt(GATEWAY_AUDIENCE), PATIENCE);

      const workloadApi = agent.address;
      environment = await startEnvironment(
        {
          listeners: { agents: { tls: { workloadApi, clientCertificates: 'accept' } } },
          identity: {
            issuers: [
              { name: 'prod', type: 'spiffe', trustDomain: 'prod.test', bundle: { workloadApi } },
              await entryOf(partner),
              await entryOf(deep),
              {
                name: 'lab',
                type: 'spiffe',
                trustDomain: 'lab.test',
                bundle: { endpoint: `https://localhost:${lab.endpointPort}`, profile: 'https_web' },
              },
            ],
          },
          upstreams: {
            ledger: {
              url: upstream.origin,
              credential: 'own',
              tls: { ca: join(folder, 'web.pem'), clientCertificate: { workloadApi } },
            },
          },
          credentials: { own: { type: 'spiffe-jwt', workloadApi, audience: LEDGER } },
          rules: [
            rule.allow('reads', { upstream: 'api', methods: ['GET'], path: '/things' }),
            rule.allow(
              'own',
              { upstream: 'api', methods: ['GET'], path: '/own' },
              { when: `agent.id == "${CALLER}" && agent.trustDomain == "prod.test"` },
            ),
            rule.allow('ledger', { upstream: 'ledger', methods: ['GET'] }, { credential: { audience: [LEDGER] } }),
          ],
        },
        { env: { NODE_EXTRA_CA_CERTS: join(folder, 'web.pem') } },
      );
    }, 300_000);
    afterAll(async () => {
      await environment?.close();
      await stopSpire();
      await upstream?.close();
      if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
    }, 60_000);

    const nameOf = ({ trustDomain }: SpireServer): string => trustDomain.replace('.test', '');

    /** The issuer entry of a trust domain whose endpoint proves itself by its SPIFFE ID. */
    async function entryOf(server: SpireServer): Promise<Section<'identity'>['issuers'][number]> {
      const { trustDomain, endpointPort } = server;
      const bootstrap = join(folder, `${trustDomain}.json`);
      writeFileSync(bootstrap, await server.bundle('spiffe'));
      const spiffeId = `spiffe://${trustDomain}/spire/server`;
      const endpoint = `https://127.0.0.1:${endpointPort}`;
      return {
        name: nameOf(server),
        type: 'spiffe',
        trustDomain,
        bundle: { endpoint, profile: 'https_spiffe', spiffeId, bootstrap },
      };
    }

    /** The gateway's process and this one run the same program. */
    const registerGateway = () => prod.register({ path: '/gateway', program: process.execPath, dns: 'gateway.test' });

    interface By {
      readonly as?: X509Svid;
      readonly token?: string;
      /** Instead of a new connection. */
      readonly over?: Agent;
    }
    const get = (path: string, { token, over, ...by }: By): Promise<Answer> =>
      call(environment.ports.agents, path, over ?? connect({ trust, gateway: GATEWAY, ...by }, { keep: false }), token);

    async function authoritiesOf(
      name: string,
    ): Promise<{ readonly keys: number; readonly authorities: number; readonly lastError?: string }> {
      const response = await fetch(`http://127.0.0.1:${environment.ports.ops}/readyz`);
      const { issuers } = (await response.json()) as {
        readonly issuers: readonly { readonly name: string; readonly keys: number; readonly authorities: number }[];
      };
      return issuers.find((issuer) => issuer.name === name) ?? { keys: 0, authorities: 0 };
    }

    it('lets a JWT-SVID in that is addressed to the gateway, and refuses one that is not', async () => {
      expect(await get('/api/things', { token: await agent.fetchJwt(GATEWAY_AUDIENCE) })).toMatchObject({
        status: 200,
      });
      expect(await get('/api/own', { token: await agent.fetchJwt(GATEWAY_AUDIENCE) })).toMatchObject({ status: 200 });
      expect(await get('/api/own', { token: await prod.mintJwt('/other', GATEWAY_AUDIENCE) })).toMatchObject({
        status: 403,
      });
      const elsewhere = await agent.fetchJwt('https://elsewhere.test');
      expect(await get('/api/things', { token: elsewhere })).toMatchObject({
        status: 401,
        body: { code: 'token_audience', check: 'aud' },
      });
      const unknown = await stranger.mintJwt('/agent', GATEWAY_AUDIENCE);
      expect(await get('/api/things', { token: unknown })).toMatchObject({
        status: 401,
        body: { code: 'token_untrusted', check: 'issuer' },
      });
      const [head, payload, signature] = (await agent.fetchJwt(GATEWAY_AUDIENCE)).split('.');
      const forged = `${head}.${payload}.${[...(signature ?? '')].reverse().join('').replace(/.$/, 'A')}`;
      expect(await get('/api/things', { token: forged })).toMatchObject({
        status: 401,
        body: { code: 'token_signature' },
      });
    });

    it('explains to its operator what it makes of a JWT-SVID', async () => {
      const explain = async (audience: string): Promise<string> => {
        const env = { ...process.env, E2E_SECRET: 'unused', COUNTERSIGN_TOKEN: await agent.fetchJwt(audience) };
        const args = ['src/main.ts', 'whoami', '--config', environment.configPath];
        // A refusal is exit code 1.
        const { stdout } = await promisify(execFile)(process.execPath, args, { env }).catch(
          (ended: { readonly stdout: string }) => ended,
        );
        expect(stdout).not.toContain(env.COUNTERSIGN_TOKEN);
        return stdout;
      };
      expect(await explain(GATEWAY_AUDIENCE)).toContain(CALLER);
      expect(await explain('https://elsewhere.test')).toContain('refused: token_audience (aud)');
    });

    it('lets an X.509-SVID in over mTLS, and refuses one of another SPIRE, whatever name it has', async () => {
      const svid = await agent.fetchX509();
      expect(await get('/api/own', { as: svid })).toMatchObject({ status: 200 });
      expect(await get('/api/own', { as: await prod.mintX509('/other') })).toMatchObject({ status: 403 });
      expect(await get('/api/own', { as: svid, token: await agent.fetchJwt(GATEWAY_AUDIENCE) })).toMatchObject({
        status: 200,
      });
      const minted = await prod.mintJwt('/somebody-else', GATEWAY_AUDIENCE);
      expect(await get('/api/things', { as: svid, token: minted })).toMatchObject({
        status: 401,
        body: { code: 'identity_conflict' },
      });
      const foreign = await stranger.mintX509('/agent');
      expect(await get('/api/things', { as: foreign })).toMatchObject({
        status: 401,
        body: { code: 'certificate_untrusted', check: 'trust_domain' },
      });
      expect(await get('/api/things', {})).toMatchObject({ status: 401, body: { code: 'unauthenticated' } });
    });

    it('shows its own SVIDs to an upstream that takes nobody else, and the agent knows the JWT-SVID for the gateway’s', async () => {
      expect(await get('/ledger/accounts', { as: await agent.fetchX509() })).toMatchObject({
        status: 200,
        body: { ok: true },
      });
      const token = upstream.authorizations.at(-1)?.replace('Bearer ', '') ?? '';
      expect(await agent.validateJwt(token, LEDGER)).toBe(GATEWAY);
      await expect(agent.validateJwt(token, GATEWAY_AUDIENCE)).rejects.toThrow();
      expect(JSON.stringify(environment.log)).not.toContain(token.split('.')[2]);
    });

    it.each<[string, () => SpireServer]>([
      ['https_spiffe', () => partner],
      ['https_web', () => lab],
    ])(
      'lets workloads of a trust domain in that is federated by %s, and follows its authorities',
      async (_profile, federated) => {
        const name = nameOf(federated());
        const proven = async (): Promise<readonly number[]> => {
          const answers = [
            await get('/api/things', { as: await federated().mintX509('/agent') }),
            await get('/api/things', { token: await federated().mintJwt('/agent', GATEWAY_AUDIENCE) }),
          ];
          return answers.map(({ status }) => status);
        };
        expect(await proven()).toEqual([200, 200]);
        const old = await federated().mintX509('/agent');
        for (const kind of ['x509', 'jwt'] as const) await federated().prepare(kind);
        await expect.poll(() => authoritiesOf(name), PATIENCE).toMatchObject({ keys: 2, authorities: 2 });
        for (const kind of ['x509', 'jwt'] as const) await federated().activate(kind);
        expect(await proven()).toEqual([200, 200]);
        for (const kind of ['x509', 'jwt'] as const) await federated().taint(kind);
        for (const kind of ['x509', 'jwt'] as const) await federated().revoke(kind);
        await expect.poll(() => authoritiesOf(name), PATIENCE).toMatchObject({ keys: 1, authorities: 1 });
        expect(await proven()).toEqual([200, 200]);
        expect(await get('/api/things', { as: old })).toMatchObject({
          status: 401,
          body: { code: 'certificate_untrusted' },
        });
      },
      120_000,
    );

    it('lets workloads in whose SPIRE signs with an intermediate authority, and believes its bundle endpoint', async () => {
      const certificates = ({ cert }: X509Svid): readonly string[] =>
        cert.split(/(?<=-----END CERTIFICATE-----\n)/).filter((pem) => pem !== '');
      const svid = await deep.mintX509('/agent');
      const [leaf = '', intermediate = '', ...more] = certificates(svid);
      expect(more).toEqual([]);
      expect(await get('/api/things', { as: svid })).toMatchObject({ status: 200 });
      expect(await get('/api/things', { as: { ...svid, cert: leaf } })).toMatchObject({
        status: 401,
        body: { check: 'authority_unknown' },
      });
      await deep.prepare('x509');
      await deep.activate('x509');
      const next = await deep.mintX509('/agent');
      expect(await get('/api/things', { as: next })).toMatchObject({ status: 200 });
      const mixed = `${certificates(next)[0]}${intermediate}`;
      expect(await get('/api/things', { as: { ...next, cert: mixed } })).toMatchObject({
        status: 401,
        body: { check: 'authority_unknown' },
      });
      expect(await authoritiesOf('deep')).toMatchObject({ authorities: 1 });
    });

    it('loses no call while SPIRE rotates SVIDs every few seconds and both authorities once', async () => {
      const load = await startLoad();
      const before = { gateway: (await get('/ledger/accounts', load.svid())).signedBy, token: load.tokenKey() };
      await prod.prepare('x509');
      await prod.prepare('jwt');
      await expect.poll(() => authoritiesOf('prod'), PATIENCE).toMatchObject({ keys: 2, authorities: 2 });
      // Everybody learns of the new authority before anything is signed by it.
      trust = await prod.bundle('pem');
      upstream.trust(trust);
      await prod.activate('x509');
      await prod.activate('jwt');
      const renewed = async (): Promise<boolean> => {
        const { signedBy } = await get('/ledger/accounts', load.svid());
        const everybody = [upstream.signedBy.at(-1), new X509Certificate(load.svid().as.cert).issuer];
        return signedBy !== before.gateway && everybody.every((issuer) => issuer === signedBy);
      };
      await expect.poll(renewed, PATIENCE).toBe(true);
      await prod.taint('x509');
      await prod.taint('jwt');
      await expect.poll(load.tokenKey, PATIENCE).not.toBe(before.token);
      await load.further({ calls: 30, svids: 2 });
      await prod.revoke('x509');
      await prod.revoke('jwt');
      await expect.poll(() => authoritiesOf('prod'), PATIENCE).toMatchObject({ keys: 1, authorities: 1 });
      trust = await prod.bundle('pem');
      upstream.trust(trust);
      await load.further({ calls: 30, svids: 2 });
      const { statuses, svids, reused } = await load.end();
      const lost = statuses.filter((status) => status !== 200);
      console.log(
        `${statuses.length} calls, ${reused} of them over kept connections, with ${svids} SVIDs of the caller’s; ${lost.length} lost`,
      );
      expect(svids).toBeGreaterThan(4);
      expect(reused).toBeGreaterThan(30);
      expect([...new Set(lost)]).toEqual([]);
    }, 300_000);

    it('is itself again after an authority was tainted in use, for which the SPIRE agent takes everybody’s SVID away for a moment', async () => {
      const caller = async () => (await get('/ledger/accounts', { as: await agent.fetchX509() })).signedBy;
      const before = await caller();
      await prod.prepare('x509');
      await expect.poll(() => authoritiesOf('prod'), PATIENCE).toMatchObject({ authorities: 2 });
      trust = await prod.bundle('pem');
      upstream.trust(trust);
      await prod.activate('x509');
      await prod.taint('x509');
      await expect
        .poll(async () => ![before, undefined].includes(await caller().catch(() => undefined)), PATIENCE)
        .toBe(true);
      await prod.revoke('x509');
      await expect.poll(() => authoritiesOf('prod'), PATIENCE).toMatchObject({ authorities: 1 });
      trust = await prod.bundle('pem');
      upstream.trust(trust);
      expect(await get('/ledger/accounts', { as: await agent.fetchX509() })).toMatchObject({ status: 200 });
    }, 300_000);

    it('goes on with what it has while the SPIRE agent is dead, and follows it again when it is back', async () => {
      const [svid, token] = [await agent.fetchX509(), await agent.fetchJwt(GATEWAY_AUDIENCE)];
      await agent.kill();
      await expect.poll(async () => (await authoritiesOf('prod')).lastError, PATIENCE).toBeDefined();
      for (let round = 0; round < 5; round++) {
        expect(await get('/api/things', { as: svid })).toMatchObject({ status: 200 });
        expect(await get('/api/things', { token })).toMatchObject({ status: 200 });
      }
      expect(await authoritiesOf('prod')).toMatchObject({ keys: 1, authorities: 1 });
      await agent.start();
      await expect.poll(async () => (await authoritiesOf('prod')).lastError, PATIENCE).toBeUndefined();
      const fresh = async (): Promise<number> =>
        (await get('/ledger/accounts', { as: await agent.fetchX509() })).status;
      await expect.poll(fresh, PATIENCE).toBe(200);
    }, 300_000);

    it('uses nothing that SPIRE gave it once its registration is gone, and everything again when it is back', async () => {
      const token = await agent.fetchJwt(GATEWAY_AUDIENCE);
      const kept = connect({ trust, gateway: GATEWAY }, { keep: true });
      expect(await get('/api/things', { token, over: kept })).toMatchObject({ status: 200 });
      await prod.command('entry', 'delete', '-entryID', gatewayEntry);
      const denied = async () => (await get('/api/things', { token, over: kept })).body.code;
      await expect.poll(denied, PATIENCE).toBe('issuer_unavailable');
      await expect(get('/api/things', { token })).rejects.toThrow();
      expect(await authoritiesOf('prod')).toMatchObject({
        keys: 0,
        authorities: 0,
        lastError: 'grpc_permission_denied',
      });
      expect((await fetch(`http://127.0.0.1:${environment.ports.ops}/readyz`)).status).toBe(503);
      kept.destroy();

      gatewayEntry = await registerGateway();
      const back = async () =>
        (await get('/ledger/accounts', { token: await agent.fetchJwt(GATEWAY_AUDIENCE) }).catch(() => undefined))
          ?.status;
      await expect.poll(back, PATIENCE).toBe(200);
    }, 300_000);

    interface Load {
      svid(): { readonly as: X509Svid };
      /** The key that signed the caller's present JWT-SVID. */
      tokenKey(): string | undefined;
      /**
       * Resolves when each kind of call was made so many times more, and the caller's SVID has been renewed so often.
       */
      further(more: { readonly calls: number; readonly svids: number }): Promise<void>;
      end(): Promise<{ readonly statuses: readonly unknown[]; readonly svids: number; readonly reused: number }>;
    }

    /**
     * Calls without pause: over kept connections, over a new one each, and with JWT-SVIDs; all are renewed as a
     * workload would.
     */
    async function startLoad(): Promise<Load> {
      const statuses: unknown[][] = [[], [], []];
      let svid = await agent.fetchX509();
      let token = await agent.fetchJwt(GATEWAY_AUDIENCE);
      let svids = 1;
      let reused = 0;
      let done = false;
      const renewal = (async () => {
        while (!done) {
          const next = await agent.fetchX509();
          token = await agent.fetchJwt(GATEWAY_AUDIENCE);
          if (next.cert === svid.cert) continue;
          svid = next;
          svids += 1;
        }
      })();
      const loop = async (into: unknown[], make: () => Promise<Answer>): Promise<void> => {
        while (!done) {
          const answer = await make().catch(String);
          into.push(typeof answer === 'string' ? answer : answer.status);
          if (typeof answer !== 'string' && answer.kept) reused += 1;
        }
      };
      const keep = () => ({ svid, connections: connect({ trust, gateway: GATEWAY, as: svid }, { keep: true }) });
      let mine = keep();
      const kept = (): Agent => {
        if (mine.svid !== svid) {
          mine.connections.destroy();
          mine = keep();
        }
        return mine.connections;
      };
      const [overKept = [], overNew = [], withToken = []] = statuses;
      const running = [
        renewal,
        loop(overKept, () => get('/api/things', { over: kept() })),
        loop(overNew, () => get('/ledger/accounts', { as: svid })),
        loop(withToken, () => get('/api/things', { token })),
      ];
      return {
        svid: () => ({ as: svid }),
        tokenKey: () => decodeProtectedHeader(token).kid,
        async further(more) {
          const from = { calls: statuses.map(({ length }) => length), svids };
          const enough = () =>
            svids >= from.svids + more.svids &&
            statuses.every(({ length }, i) => length >= (from.calls[i] ?? 0) + more.calls);
          await expect.poll(enough, PATIENCE).toBe(true);
        },
        async end() {
          done = true;
          await Promise.all(running);
          mine.connections.destroy();
          return { statuses: statuses.flat(), svids, reused };
        },
      };
    }
  },
);
