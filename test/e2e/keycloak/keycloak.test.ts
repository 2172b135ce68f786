// The whole gateway with a real Keycloak as the only issuer: agents, DPoP, token exchange, pairwise subjects, the
// console, step-up there and in the terminal, the device flow, signing out, and keys that rotate.
// docs/providers/keycloak.md says how to run it; it is the page's proof.

import { createHash, generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import { decodeJwt } from 'jose';
import { describe, expect } from 'vitest';
import { freePort } from '../../../config/quickstart/layout.ts';
import { run } from '../../../src/cli/holds.ts';
import { openTerminal } from '../../cli/terminal-io.ts';
import { rule } from '../../support/config.ts';
import type { Environment } from '../../support/environment.ts';
import { file, gatewayTest } from '../../support/gateway-test.ts';
import { createVisitor, type Visitor } from '../../support/visitor.ts';
import { fillForms, findKeycloak, type Keycloak, startKeycloak } from './keycloak.ts';
import { createRealm, REALM } from './realm.ts';

const GATEWAY = 'https://gateway.test';
const home = findKeycloak();

const bearer = (token: string | undefined) => ({ authorization: `Bearer ${token}` });
const call = (env: Environment, token: string | undefined, more: Readonly<Record<string, string>> = {}) =>
  env.call('/api/ledger', { headers: { ...bearer(token), ...more } });
const codeOf = async (response: Response) => ((await response.json()) as { code?: string }).code;

async function hold(keycloak: Keycloak, env: Environment, path = '/api/transfers'): Promise<string> {
  const headers = { ...bearer(await keycloak.clientToken('agent-ledger')), prefer: 'wait=0' };
  const response = await env.call(path, { method: 'POST', headers, body: { amount: Math.random() } });
  return response.headers.get('countersign-hold') ?? `${response.status} ${await response.text()}`;
}

/** A person's token as the terminal has it, by the device flow. */
async function deviceToken(keycloak: Keycloak, user: string): Promise<string> {
  const started = (await (
    await fetch(`${keycloak.issuer}/protocol/openid-connect/auth/device`, {
      method: 'POST',
      body: new URLSearchParams({ client_id: 'countersign-cli', scope: 'openid' }),
    })
  ).json()) as { device_code: string; verification_uri_complete: string };
  await fillForms(createVisitor(user), user, started.verification_uri_complete, (_url, page) =>
    /device login successful/i.test(page ?? ''),
  );
  const grant = {
    grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
    client_id: 'countersign-cli',
    device_code: started.device_code,
  };
  return String((await keycloak.token(grant)).access_token);
}

const api = (env: Environment, token: string, path: string) =>
  fetch(`http://127.0.0.1:${env.ports.reviewers}/api/v1${path}`, { headers: bearer(token) });

/** Signs in at the console; gives its last answer. */
async function signIn(desk: string, visitor: Visitor, user: string, query = ''): Promise<Response> {
  return visitor.fetch(
    await fillForms(
      visitor,
      user,
      `${desk}/sign-in${query}`,
      ({ origin, pathname }) => origin === desk && pathname === '/sign-in/callback',
    ),
  );
}

const it = gatewayTest
  .extend('port', file, () => freePort())
  .extend('desk', file, ({ port }) => `http://localhost:${port}`)
  .extend('keycloak', file, ({ closes }) => closes(startKeycloak(home ?? '')))
  .extend('env', file, async ({ desk, keycloak, port, environment }) => {
    await createRealm(keycloak.admin, desk);
    const { issuer } = keycloak;
    return environment(
      ({ origin }) => ({
        listeners: { agents: { url: GATEWAY }, reviewers: { address: `127.0.0.1:${port}`, url: desk } },
        identity: {
          issuers: [
            { name: 'keycloak', type: 'oidc', issuer, algorithms: ['RS256'], displayClaim: 'preferred_username' },
          ],
        },
        upstreams: { exchanged: { url: origin, credential: 'exchange' } },
        credentials: {
          exchange: {
            type: 'token-exchange',
            issuer,
            clientId: 'countersign',
            clientSecret: { env: 'KC_SECRET' },
            scope: 'ledger:write',
            audience: 'ledger-api',
          },
        },
        tiers: {
          payment: { reviewers: ['group:/finance'] },
          proven: { reviewers: ['group:/finance'], stepUp: true },
        },
        rules: [
          rule.allow('reads', { upstream: 'api', methods: ['GET'] }),
          rule.allow('exchanged', { upstream: 'exchanged' }),
          rule.hold('proven', { upstream: 'api', methods: ['POST'], path: '/proven' }, { tier: 'proven' }),
          rule.hold('transfers', { upstream: 'api', methods: ['POST'], path: '/transfers' }),
        ],
        reviewers: {
          api: { issuer },
          login: {
            issuer,
            clientId: 'countersign-console',
            clientSecret: { env: 'KC_DESK' },
            acrValues: ['phr'],
            stepUp: { acr: ['phr'] },
          },
          cli: { clientId: 'countersign-cli' },
        },
        limits: { wait: '0s' },
      }),
      {
        env: { KC_SECRET: 'secret-of-countersign', KC_DESK: 'secret-of-countersign-console' },
      },
    );
  });

describe.skipIf(home === undefined)(
  'with a real Keycloak (skipped where KEYCLOAK_HOME names none)',
  { timeout: 120_000 },
  () => {
    // A Keycloak takes its time to start.
    it.beforeAll(({ env: _started }) => {}, 600_000);

    it('takes an agent’s token that an audience mapper addressed to it, and no other', async ({ keycloak, env }) => {
      expect((await call(env, await keycloak.clientToken('agent-ledger'))).status).toBe(200);
      expect(await codeOf(await call(env, await keycloak.clientToken('agent-elsewhere')))).toMatch(
        /^token_(audience|claims)$/,
      );
    });

    it('shows reviewers the client and the name beside the UUID', async ({ keycloak, env }) => {
      const response = await api(env, await deviceToken(keycloak, 'alice'), `/holds/${await hold(keycloak, env)}`);
      expect(((await response.json()) as { principal: unknown }).principal).toMatchObject({
        subject: expect.stringMatching(/^[0-9a-f-]{36}$/),
        client: 'agent-ledger',
        name: 'service-account-agent-ledger',
      });
    });

    it('takes DPoP tokens with their proof, and only so', async ({ keycloak, env }) => {
      const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
      const proof = (htm: string, htu: string, token?: string) => {
        const ath = token === undefined ? {} : { ath: createHash('sha256').update(token).digest('base64url') };
        const claims = { htm, htu, iat: Math.floor(Date.now() / 1000), jti: randomUUID(), ...ath };
        const text = `${encode({ typ: 'dpop+jwt', alg: 'ES256', jwk: publicKey.export({ format: 'jwk' }) })}.${encode(claims)}`;
        return `${text}.${sign('sha256', Buffer.from(text), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
      };
      const grant = {
        grant_type: 'client_credentials',
        client_id: 'agent-dpop',
        client_secret: 'secret-of-agent-dpop',
      };
      const { access_token: token = '' } = await keycloak.token(grant, {
        dpop: proof('POST', `${keycloak.issuer}/protocol/openid-connect/token`),
      });
      expect(decodeJwt(token).cnf).toMatchObject({ jkt: expect.any(String) });
      const answer = await call(env, token, {
        authorization: `DPoP ${token}`,
        dpop: proof('GET', `${GATEWAY}/api/ledger`, token),
      });
      expect(answer.status).toBe(200);
      expect(await codeOf(await call(env, token))).toBe('proof_required');
    });

    it('exchanges the agent’s token for one of the ledger’s, and sends no other', async ({ keycloak, env }) => {
      const before = env.upstream.requests.length;
      const mine = await keycloak.clientToken('agent-ledger');
      const answer = await env.call('/exchanged/x', { headers: bearer(mine) });
      expect(answer.status, await answer.text()).toBe(200);
      const sent = env.upstream.requests[before]?.headers.authorization?.replace('Bearer ', '') ?? '';
      expect(sent).not.toBe(mine);
      expect(decodeJwt(sent)).toMatchObject({ aud: 'ledger-api', azp: 'countersign', sub: decodeJwt(mine).sub });
    });

    it('knows one person as two with pairwise subjects, as the page warns', async ({ keycloak, env }) => {
      const subjectFor = async (client: string) => {
        const grant = {
          grant_type: 'password',
          client_id: client,
          client_secret: `secret-of-${client}`,
          username: 'alice',
          password: 'alice-password',
        };
        const { access_token: token } = await keycloak.token({ ...grant, scope: 'openid' });
        expect((await call(env, token)).status).toBe(200);
        return decodeJwt(token ?? '').sub;
      };
      expect(await subjectFor('agent-pairwise')).not.toBe(await subjectFor('agent-of-people'));
    });

    it('lets no service account and no ID token vote', async ({ keycloak, env }) => {
      const bot = await keycloak.clientToken('bot-reviewer');
      expect(decodeJwt(bot)).toMatchObject({ groups: ['/finance'] });
      expect(await codeOf(await api(env, bot, '/holds'))).toBe('reviewer_unauthenticated');
      expect((await api(env, await deviceToken(keycloak, 'alice'), '/holds')).status).toBe(200);
      const kept = await createVisitorWithIdToken(keycloak);
      expect(await codeOf(await api(env, kept, '/holds'))).toBe('reviewer_unauthenticated');
    });

    /** An ID token of the terminal's client, by the code flow. */
    async function createVisitorWithIdToken(keycloak: Keycloak): Promise<string> {
      const verifier = randomUUID() + randomUUID();
      const challenge = createHash('sha256').update(verifier).digest('base64url');
      const redirect = 'http://127.0.0.1/callback';
      const query = new URLSearchParams({
        ...{ client_id: 'countersign-cli', response_type: 'code', scope: 'openid', redirect_uri: redirect, nonce: 'n' },
        ...{ code_challenge: challenge, code_challenge_method: 'S256' },
      });
      const start = `${keycloak.issuer}/protocol/openid-connect/auth?${query}`;
      const back = await fillForms(
        createVisitor('alice'),
        'alice',
        start,
        ({ hostname, pathname }) => hostname === '127.0.0.1' && pathname === '/callback',
      );
      const code = back.searchParams.get('code') ?? '';
      const grant = {
        grant_type: 'authorization_code',
        client_id: 'countersign-cli',
        code,
        redirect_uri: redirect,
        code_verifier: verifier,
      };
      return String((await keycloak.token(grant)).id_token);
    }

    it('signs people in at the console, with the groups as Keycloak spells them, and tells those whom nothing names', async ({
      desk,
    }) => {
      const [alice, bob] = [createVisitor('alice'), createVisitor('bob')];
      expect((await signIn(desk, alice, 'alice')).status).toBe(303);
      expect(await (await alice.fetch(desk)).text()).not.toContain('Nothing here names you');
      await signIn(desk, bob, 'bob');
      const page = await (await bob.fetch(desk)).text();
      expect(page).toContain('Nothing here names you');
      expect(page).toContain('/soc');
    });

    it('asks for the one-time code when the console wants a fresh, strong sign-in', async ({ desk }) => {
      const alice = createVisitor('alice');
      await signIn(desk, alice, 'alice');
      expect(await (await alice.fetch(`${desk}/passkeys`)).text()).not.toContain('id="add-passkey"');
      await signIn(desk, alice, 'alice', '?fresh=1&to=%2Fpasskeys');
      expect(await (await alice.fetch(`${desk}/passkeys`)).text()).toContain('id="add-passkey"');
    });

    it('steps up in the terminal: by the device flow first, then afresh with the one-time code', async ({
      keycloak,
      env,
    }) => {
      // A person whose one-time code nobody has used in this half minute.
      const id = await hold(keycloak, env, '/api/proven');
      const browser = createVisitor('carol');
      const faults: unknown[] = [];
      const go = (
        start: string,
        done: (url: URL, page: string | undefined) => boolean,
        last?: (url: URL) => unknown,
      ) => {
        fillForms(browser, 'carol', start, done)
          .then((url) => last?.(url))
          .catch((thrown: unknown) => faults.push(thrown));
        return '';
      };
      const io = openTerminal({}, [
        [
          /To sign in, open (\S+)\n/,
          ([, start = '']) => go(start, (_url, page) => /device login successful/i.test(page ?? '')),
        ],
        [
          /afresh, open (\S+)\n/,
          ([, start = '']) =>
            go(
              start,
              ({ pathname }) => pathname === '/callback',
              (url) => fetch(url),
            ),
        ],
      ]);
      const args = [
        'approve',
        id,
        '--yes',
        '--url',
        `http://127.0.0.1:${env.ports.reviewers}`,
        '--issuer',
        keycloak.issuer,
        '--client-id',
        'countersign-cli',
      ];
      expect([await run(args, io), faults, io.err()]).toEqual([0, [], expect.stringContaining('afresh')]);
    });

    it('signs out at Keycloak without its question', async ({ desk }) => {
      const alice = createVisitor('alice');
      await signIn(desk, alice, 'alice');
      const csrf = /name="csrf" value="([^"]+)"/.exec(await (await alice.fetch(desk)).text())?.[1] ?? '';
      const page = await (await alice.fetch(`${desk}/sign-out`, { csrf })).text();
      const forward = (/http-equiv="refresh" content="0; url=([^"]+)"/.exec(page)?.[1] ?? '').replaceAll('&amp;', '&');
      const left = await alice.fetch(forward);
      expect([left.status, left.headers.get('location')]).toEqual([302, `${desk}/signed-out`]);
    });

    it('takes up keys that are rotated twice within moments', async ({ keycloak, env }) => {
      const before = (await keycloak.clientToken('agent-ledger')).split('.')[0];
      for (const priority of ['200', '300']) {
        const config = {
          priority: [priority],
          enabled: ['true'],
          active: ['true'],
          keySize: ['2048'],
          algorithm: ['RS256'],
        };
        const { id: parentId } = (await keycloak.admin('GET', `/${REALM}`)) as { id: string };
        await keycloak.admin('POST', `/${REALM}/components`, {
          ...{
            name: `rotated-${priority}`,
            providerId: 'rsa-generated',
            providerType: 'org.keycloak.keys.KeyProvider',
            parentId,
            config,
          },
        });
        const token = await keycloak.clientToken('agent-ledger');
        expect(token.split('.')[0]).not.toBe(before);
        // Until the minimum interval between two questions is over the answer is 503 with Retry-After, never 401.
        const seen = new Set<number>();
        await expect
          .poll(
            async () => {
              const { status } = await call(env, token);
              seen.add(status);
              return status;
            },
            { timeout: 30_000, interval: 500 },
          )
          .toBe(200);
        if (priority === '300') expect([...seen].sort()).not.toContain(401);
      }
    });
  },
);
