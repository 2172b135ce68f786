// Step-up in the terminal, with the whole gateway: an issuer whose device flow knows nothing but an old and weak
// sign-in (as Keycloak's), and whose code flow signs in as asked. Kind: a tier that wants a fresh, strong sign-in, and
// a client that cannot get one or is not asked for one.

import { describe, expect } from 'vitest';
import { run } from '../../src/cli/holds.ts';
import { type ClaimsIssuer, startClaimsIssuer } from '../support/claims-issuer.ts';
import { REVIEW_AUDIENCE, rule } from '../support/config.ts';
import type { Environment } from '../support/environment.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';
import { openTerminal } from './terminal-io.ts';

const asked: URLSearchParams[] = [];
const seconds = () => Math.floor(Date.now() / 1000);

const it = gatewayTest
  .extend('theirs', file, ({ closes }) => closes(startClaimsIssuer('countersign-cli')))
  .extend('env', file, ({ theirs, environment }) =>
    environment({
      tiers: {
        payment: { reviewers: ['group:finance'], stepUp: true },
        strong: { reviewers: ['group:finance'], assurance: { acr: ['phrh'] } },
        signed: { reviewers: ['group:finance'], assurance: { passkey: true } },
      },
      rules: ['payment', 'strong', 'signed'].map((tier) =>
        rule.hold(tier, { upstream: 'api', path: tier === 'payment' ? '/transfers' : `/${tier}` }, { tier }),
      ),
      reviewers: { login: { issuer: theirs.url, clientId: 'desk', stepUp: { acr: ['phr', 'phrh'] } } },
      limits: { wait: '0s' },
    }),
  );

/**
 * What the issuer says of the person: in the device flow an hour ago and by password, in the code flow as `afresh`
 * says.
 */
function peopleSignIn(theirs: ClaimsIssuer, env: Environment, afresh: Readonly<Record<string, unknown>>): void {
  const claims = { sub: 'rita', aud: REVIEW_AUDIENCE, client_id: 'countersign-cli', groups: ['finance'] };
  asked.length = 0;
  theirs.accessToken = async (request) => {
    if (request !== undefined) asked.push(request);
    return env.issuer.sign({
      ...claims,
      ...(request === undefined ? { auth_time: seconds() - 3600, acr: '0' } : afresh),
    });
  };
}

async function hold(env: Environment): Promise<string> {
  return (await env.transfer({ amount: Math.random() })).headers.get('countersign-hold') ?? '';
}

/** A browser on this machine: goes where the terminal says. */
const browse = (): readonly [RegExp, (asked: RegExpExecArray) => string] => [
  /afresh, open (\S+)\n/,
  ([, page = '']) => {
    void fetch(page);
    return '';
  },
];

const argsFor = (theirs: ClaimsIssuer, env: Environment, id: string) => [
  ...['approve', id, '--yes', '--url', `http://127.0.0.1:${env.ports.reviewers}`],
  ...['--issuer', theirs.url, '--client-id', 'countersign-cli'],
];

describe('a tier that asks for a fresh sign-in', () => {
  it('is met in the terminal by the code flow on the loopback, which asks for the strength that counts', async ({
    theirs,
    env,
  }) => {
    peopleSignIn(theirs, env, { auth_time: seconds(), acr: 'phr' });
    const id = await hold(env);
    const io = openTerminal({}, [browse()]);
    expect(await run(argsFor(theirs, env, id), io)).toBe(0);
    const [request] = asked;
    expect(Object.fromEntries(request ?? [])).toMatchObject({
      prompt: 'login',
      max_age: '0',
      acr_values: 'phr phrh',
      code_challenge_method: 'S256',
    });
    expect(request?.get('redirect_uri')).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/callback$/);
    expect((await (await env.reviewer('rita')).show(id)).state).toBe('APPROVED');
  });

  it.for<[string, () => Readonly<Record<string, unknown>>]>([
    ['is too weak', () => ({ auth_time: seconds(), acr: '1' })],
    ['is of another kind', () => ({ auth_time: seconds(), acr: 'PHR' })],
    ['says nothing of its strength', () => ({ auth_time: seconds() })],
    ['is as old as before', () => ({ auth_time: seconds() - 3600, acr: 'phr' })],
  ] as const)(
    'is not met by a sign-in that %s: the terminal names the page',
    async ([_what, claims], { theirs, env }) => {
      peopleSignIn(theirs, env, claims());
      const id = await hold(env);
      const io = openTerminal({}, [browse()]);
      expect(await run(argsFor(theirs, env, id), io)).toBe(1);
      expect(io.err()).toContain(`decide on the page: http://127.0.0.1:${env.ports.reviewers}/holds/${id}`);
      expect((await (await env.reviewer('rita')).show(id)).state).toBe('PENDING');
    },
  );

  it('cannot be met with a token from the environment: the terminal names the page', async ({ theirs, env }) => {
    const id = await hold(env);
    const { token } = await env.reviewer('rita', ['finance'], { acr: '0', amr: ['pwd'] });
    const io = openTerminal({ COUNTERSIGN_TOKEN: token });
    expect(await run(argsFor(theirs, env, id), io)).toBe(1);
    expect(io.err()).toContain(`/holds/${id}`);
  });

  it('is met in the terminal by the acr that the tier itself asks for', async ({ theirs, env }) => {
    peopleSignIn(theirs, env, { auth_time: seconds(), acr: 'phrh' });
    const answer = await env.call('/api/strong', { method: 'POST', body: { amount: Math.random() } });
    const id = answer.headers.get('countersign-hold') ?? '';
    const io = openTerminal({}, [browse()]);
    expect(await run(argsFor(theirs, env, id), io)).toBe(0);
    expect(asked[0]?.get('acr_values')).toBe('phrh');
    expect(io.out()).toContain('a sign-in with acr phrh');
  });

  it('is sent to the page for a passkey, and not to a sign-in that would not help', async ({ theirs, env }) => {
    peopleSignIn(theirs, env, { auth_time: seconds(), acr: 'phr' });
    const answer = await env.call('/api/signed', { method: 'POST', body: { amount: Math.random() } });
    const id = answer.headers.get('countersign-hold') ?? '';
    const io = openTerminal();
    expect(await run(argsFor(theirs, env, id), io)).toBe(1);
    expect(asked).toEqual([]);
    expect(io.err()).toContain(`decide on the page: http://127.0.0.1:${env.ports.reviewers}/holds/${id}`);
    expect(io.err()).toContain('assurance_required');
  });

  it('takes no answer but its own at the loopback', async ({ theirs, env }) => {
    peopleSignIn(theirs, env, { auth_time: seconds(), acr: 'phr' });
    const id = await hold(env);
    const statuses: number[] = [];
    const visit = async (page: string) => {
      const { searchParams } = new URL(page);
      const back = searchParams.get('redirect_uri') ?? '';
      for (const guess of [back, `${back}?code=x&state=guess`, back.replace('/callback', '/favicon.ico')])
        statuses.push((await fetch(guess)).status);
      statuses.push((await fetch(page)).status);
    };
    const io = openTerminal({}, [
      [
        /afresh, open (\S+)\n/,
        ([, page = '']) => {
          void visit(page);
          return '';
        },
      ],
    ]);
    expect(await run(argsFor(theirs, env, id), io)).toBe(0);
    expect(statuses).toEqual([404, 404, 404, 200]);
  });
});
