// Many ids, one agent: limits and suspensions count the agent by the key that its issuer's `agentKey` makes, whatever its
// pods are called. Kinds: a new id escapes a limit or a suspension; two agents share a key; a subject is made to look like
// a key.

import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { describe, expect } from 'vitest';
import { GATEWAY_AUDIENCE, rule, type WholeConfig } from '../support/config.ts';
import { countFrom } from '../support/count.ts';
import type { CallOptions, Environment } from '../support/environment.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';
import { bundleDocument, createAuthority } from '../support/spiffe-authority.ts';
import { answered } from './held.ts';

const KEY = { kid: 'pods', use: 'jwt-svid' };
const { publicKey, privateKey } = await generateKeyPair('ES256');
const jwk = { ...(await exportJWK(publicKey)), ...KEY };
const bundles = await Promise.all(
  ['prod.test', 'other.test'].map(async (domain) => [domain, await createAuthority(domain)] as const),
);
const MAIN = join(import.meta.dirname, '../../src/main.ts');
const serial = countFrom(0);

const spiffe = (trustDomain: string) => ({
  ...{
    name: trustDomain.replace('.', '-'),
    type: 'spiffe' as const,
    trustDomain,
    bundle: { file: `./${trustDomain}.json` },
  },
  agentKey: { path: '/ns/:ns/sa/:sa/*' },
});

const it = gatewayTest
  .extend('env', file, async ({ environment }) =>
    environment(({ issuer, folder }) => {
      for (const [domain, authority] of bundles)
        writeFileSync(join(folder, `${domain}.json`), bundleDocument([authority], {}, [jwk]));
      return {
        testIssuer: { agentKey: { claim: 'client_id' } },
        identity: {
          issuers: [spiffe('prod.test'), spiffe('other.test')],
          owners: { 'spiffe://prod.test/ns/shop/sa/owned/pod/1': ['olga'], [`${issuer}?client_id=owned`]: ['olga'] },
        },
        limits: { wait: '0s', pendingPerAgent: 2, callsPerAgent: 2 },
        rules: [
          rule.allow('reads', { methods: ['GET'] }),
          rule.hold('transfers', { methods: ['POST'], path: '/transfers' }),
        ],
        reviewers: { killSwitch: ['group:soc'] },
      };
    }),
  )
  .extend('sam', file, ({ env }) => env.reviewer('sam', ['soc', 'finance']));

/** As a pod of a service account. */
async function pod(account: string, name: string, domain = 'prod.test'): Promise<CallOptions> {
  const token = await new SignJWT({ sub: podId(account, name, domain) })
    .setProtectedHeader({ alg: 'ES256', kid: 'pods', typ: 'JWT' })
    .setAudience(GATEWAY_AUDIENCE)
    .setIssuedAt()
    .setExpirationTime('5m')
    .sign(privateKey);
  return { headers: { authorization: `Bearer ${token}` } };
}
const podId = (account: string, name: string, domain = 'prod.test') =>
  account.startsWith('/')
    ? `spiffe://${domain}${account}/${name}`
    : `spiffe://${domain}/ns/shop/sa/${account}/pod/${name}`;
const account = () => `account-${serial()}`;
/** As one of the subjects of a client. */
const subject = (name: string, client: string | undefined): CallOptions => ({
  claims: { sub: name, client_id: client },
});

const hold = (env: Environment, as: CallOptions) => answered(env.transfer({ n: serial() }, as));
const read = (env: Environment, as: CallOptions) => answered(env.call('/api/accounts', as));

describe.each([
  ['pods of a service account', (who: string, name: string) => pod(who, name)],
  ['subjects of a client', async (who: string, name: string) => subject(`${who}-${name}`, who)],
] as const)('%s', (_, named) => {
  it('have one number of holds that wait', async ({ env }) => {
    const [who, other] = [account(), account()];
    for (const name of ['a', 'b']) expect((await hold(env, await named(who, name))).status).toBe(409);
    expect(await hold(env, await named(who, 'c'))).toMatchObject({ status: 429, code: 'too_many_pending' });
    expect((await hold(env, await named(other, 'a'))).status).toBe(409);
  });

  it('have one number of calls under way', async ({ env }) => {
    const who = account();
    const open: (() => void)[] = [];
    env.upstream.respond((_request, response) => open.push(() => response.end('{}')));
    const calls = [read(env, await named(who, 'a')), read(env, await named(who, 'b'))];
    await expect.poll(() => open.length).toBe(2);
    expect(await read(env, await named(who, 'c'))).toMatchObject({ status: 429, code: 'too_many_calls' });
    env.upstream.respond((_request, response) => response.end('{}'));
    for (const end of open) end();
    expect((await Promise.all(calls)).map(({ status }) => status)).toEqual([200, 200]);
    expect((await read(env, await named(who, 'c'))).status).toBe(200);
  });

  it('all stop when one of them is suspended, and what they opened is revoked', async ({ env, sam }) => {
    const [who, other] = [account(), account()];
    const waiting = await hold(env, await named(who, 'b'));
    const first = await hold(env, await named(who, 'a'));
    const { principal } = (await sam.show(first.hold)) as unknown as { principal: { id: string; agentKey: string } };
    expect(principal.agentKey).not.toBe(principal.id);
    const suspended = await sam.post('/suspensions', { principal: principal.id, reason: 'odd' });
    expect(suspended.status).toBe(201);
    const { id } = (await suspended.json()) as { id: string };
    expect(await sam.show(waiting.hold)).toMatchObject({ state: 'REVOKED' });
    for (const name of ['a', 'b', 'new'])
      expect(await read(env, await named(who, name))).toMatchObject({ status: 403, code: 'principal_suspended' });
    expect((await read(env, await named(other, 'a'))).status).toBe(200);
    await env.kill();
    await env.start();
    expect(await read(env, await named(who, 'newer'))).toMatchObject({ status: 403, code: 'principal_suspended' });
    expect((await sam.request(`/suspensions/${id}`, { method: 'DELETE' })).status).toBe(200);
    for (const name of ['a', 'b', 'new']) expect((await read(env, await named(who, name))).status).toBe(200);
  });

  it('all stop when their key is suspended', async ({ env, sam }) => {
    const who = account();
    const { hold: id } = await hold(env, await named(who, 'a'));
    const { principal } = (await sam.show(id)) as unknown as { principal: { agentKey: string } };
    expect((await sam.post('/suspensions', { agent: principal.agentKey, reason: 'odd' })).status).toBe(201);
    expect(await read(env, await named(who, 'b'))).toMatchObject({ status: 403, code: 'principal_suspended' });
  });

  it('have the owners that one of them, or their key, has', async ({ env }) => {
    const { hold: id } = await hold(env, await named('owned', 'z'));
    const olga = await env.reviewer('olga');
    expect(await answered(olga.vote(id, 'approve'))).toMatchObject({ code: 'separation_of_duties' });
  });
});

describe('a key', () => {
  const keyOf = async (env: Environment, sam: { show(id: string): Promise<unknown> }, as: CallOptions) => {
    const { hold: id } = await hold(env, as);
    return ((await sam.show(id)) as { principal: { agentKey?: string } }).principal.agentKey;
  };

  it('names the trust domain and the named segments', async ({ env, sam }) => {
    const name = account();
    const key = await keyOf(env, sam, await pod(name, 'a'));
    expect(key).toBe(`spiffe://prod.test/ns/shop/sa/${name}/*`);
    expect(await keyOf(env, sam, await pod(name, 'a', 'other.test'))).not.toBe(key);
    expect(await keyOf(env, sam, await pod(`/ns/shop/sa`, name))).toBe(key);
  });

  it('of an id that the pattern does not match is the id', async ({ env, sam }) => {
    const name = account();
    const { hold: id } = await hold(env, await pod(`/jobs/${name}`, 'a'));
    const { principal } = (await sam.show(id)) as unknown as { principal: object };
    expect(principal).toMatchObject({ id: podId(`/jobs/${name}`, 'a') });
    // Absent: the id is the key.
    expect(principal).not.toHaveProperty('agentKey');
  });

  it('is made of the issuer and the claim, so that no subject can spell it', async ({ env, sam }) => {
    const client = account();
    const key = `${env.issuer.issuer}?client_id=${client}`;
    expect(await keyOf(env, sam, subject('s', client))).toBe(key);
    expect(await keyOf(env, sam, subject(key, `${client}-2`))).toBe(`${key}-2`);
    const odd = await keyOf(env, sam, subject('s', `${client}#&=?ü`));
    expect(odd).toBe(`${key}%23%26%3D%3F%C3%BC`);
  });

  it('is missing where the token lacks the claim: the token is refused', async ({ env }) => {
    for (const client of [undefined, '', 7, 'bot\u200b'])
      expect(await read(env, { claims: { sub: 's', client_id: client } })).toMatchObject({
        status: 401,
        code: 'token_claims',
      });
  });

  it('of an actor is read from `act`, and the client of the token is the actor’s where `act` names none', async ({
    env,
    sam,
  }) => {
    const key = (client: string) => `${env.issuer.issuer}?client_id=${client}`;
    const act = { sub: 'bot', client_id: 'its-own' };
    expect(await keyOf(env, sam, { claims: { sub: 'alice', client_id: 'broker', act } })).toBe(key('its-own'));
    expect(await keyOf(env, sam, { claims: { sub: 'alice', client_id: 'broker', act: { sub: 'bot' } } })).toBe(
      key('broker'),
    );
  });

  it('follows a reload: the ids are one agent from then on, and a suspension of an id goes on', async ({
    env,
    sam,
  }) => {
    const change = (agentKey: { path: string } | undefined) => (config: WholeConfig) => {
      const issuer = config.identity.issuers.find(({ name }) => name === 'prod-test');
      if (issuer?.type !== 'spiffe') throw new Error('no issuer');
      if (agentKey === undefined) delete issuer.agentKey;
      else issuer.agentKey = agentKey;
    };
    const [suspended, limited] = [account(), account()];
    expect(await env.edit(change(undefined))).toBe('config.reloaded');
    const posted = await sam.post('/suspensions', { principal: podId(suspended, 'a'), reason: 'odd' });
    expect(posted.status).toBe(201);
    expect((await read(env, await pod(suspended, 'b'))).status).toBe(200);
    for (const name of ['a', 'b']) expect((await hold(env, await pod(limited, name))).status).toBe(409);
    expect((await hold(env, await pod(limited, 'c'))).status).toBe(409);
    expect(await env.edit(change({ path: '/ns/:ns/sa/:sa/*' }))).toBe('config.reloaded');
    expect(await read(env, await pod(suspended, 'b'))).toMatchObject({ status: 403, code: 'principal_suspended' });
  });
});

describe('an issuer that shows more than 100 new agents in a day', { timeout: 120_000 }, () => {
  it('is named by a line of the log and by check, while the gateway runs, until agentKey makes them one', async ({
    environment,
  }) => {
    const env = await environment();
    const call = (n: number) => env.call('/api/accounts', { as: `session-${n}` });
    for (let n = 0; n < 100; n++) expect((await call(n)).status).toBe(200);
    // Once more after a restart: who was seen before is not new.
    await env.terminate();
    await env.start();
    for (let n = 0; n < 100; n++) await call(n);
    const told = env.logged('identity.many_new_agents');
    await call(100);
    expect(await told).toMatchObject({ level: 'warn', issuer: 'test', moreThan: 100 });
    expect(await checkOf(env)).toMatch(/identity\.issuers\[0\].*test showed more than 100 new agents/);
    const keyed = env.variant('keyed', (config) => {
      Object.assign(config.identity.issuers[0] ?? {}, { agentKey: { claim: 'client_id' } });
      config.store.path = './data/store.db';
    });
    expect(await checkOf(env, keyed)).not.toContain('new agents');
  });
});

const checkOf = async (env: Environment, path = env.configPath): Promise<string> =>
  (await promisify(execFile)(process.execPath, [MAIN, 'check', path], { env: { ...process.env, E2E_SECRET: 'x' } }))
    .stdout;
