// Who may come to the reviewers' API at all.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GatewayError } from '../../src/errors.ts';
import { DEFAULT_ALGORITHMS } from '../../src/identity/keys/algorithms.ts';
import {
  createReviewerAuthenticator,
  type ReviewerAuthenticator,
  type ReviewerOptions,
} from '../../src/identity/reviewer.ts';
import { createClock, createRecorder } from './calls.ts';
import { createSigningKey, signToken, startIssuer, type TestIssuer } from './issuer.ts';

const AGENTS = 'https://gateway.example.org';
const AUDIENCE = 'countersign-review';
const key = createSigningKey('k');
const clock = createClock();
const recorder = createRecorder();
let issuer: TestIssuer;
let reviewers: ReviewerAuthenticator;

const build = (options: Partial<ReviewerOptions> = {}) =>
  createReviewerAuthenticator(
    {
      ...{ issuer: issuer.url, audience: AUDIENCE, agentAudiences: [AGENTS], groupsClaim: 'groups' },
      ...{ algorithms: DEFAULT_ALGORITHMS, requireAccessTokenType: true },
      ...options,
    },
    { clock, ...recorder },
  );

beforeAll(async () => {
  issuer = await startIssuer([key]);
  reviewers = build();
  await reviewers.start();
});
afterAll(async () => {
  reviewers.close();
  await issuer.close();
});

const now = Math.floor(clock.time / 1000);
const token = (changes: object = {}, header: object = {}) =>
  signToken(
    { alg: 'ES256', kid: 'k', typ: 'at+jwt', ...header },
    {
      iss: issuer.url,
      sub: 'alice',
      aud: AUDIENCE,
      client_id: 'cli',
      jti: '1',
      iat: now,
      exp: now + 300,
      auth_time: now,
      ...changes,
    },
    key,
  );

/** The reason and the check of a refusal. */
async function refused(values: readonly string[], by = reviewers): Promise<string> {
  const error = await by.authenticate(values).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof GatewayError)) throw new Error('it was not refused');
  const { reason, check } = error.details.members ?? {};
  return `${error.code}: ${reason}/${check}`;
}

describe('reviewers', () => {
  it('knows the person by issuer and subject, with groups and the strength of the sign-in', async () => {
    const raw = token({
      groups: ['finance', 'ops'],
      name: 'Alice',
      auth_time: now - 60,
      acr: 'urn:mfa',
      amr: ['pwd', 'otp'],
    });
    expect(await reviewers.authenticate([`Bearer ${raw}`])).toEqual({
      id: `${issuer.url}#alice`,
      issuer: issuer.url,
      subject: 'alice',
      name: 'Alice',
      groups: ['finance', 'ops'],
      authenticatedAt: (now - 60) * 1000,
      acr: 'urn:mfa',
      amr: ['pwd', 'otp'],
    });
  });

  it('gives a person without the claim no groups', async () => {
    expect((await reviewers.authenticate([`Bearer ${token()}`])).groups).toEqual([]);
  });

  it.each<[string, object, object, string]>([
    ['a workload token of the agents’ audience', { aud: AGENTS }, {}, 'token_audience/aud'],
    ['a token addressed to both sides', { aud: [AUDIENCE, AGENTS] }, {}, 'token_audience/agent_audience'],
    ['a SPIFFE ID', { sub: 'spiffe://prod.example.org/a' }, {}, 'token_claims/workload_subject'],
    ['a SPIFFE ID in other case', { sub: 'SPIFFE://prod.example.org/a' }, {}, 'token_claims/workload_subject'],
    ['a Kubernetes service account', { sub: 'system:serviceaccount:a:b' }, {}, 'token_claims/workload_subject'],
    ['a client that speaks for itself', { sub: 'cli' }, {}, 'token_claims/client_subject'],
    ['a client that speaks for itself, named by azp', { azp: 'alice' }, {}, 'token_claims/client_subject'],
    [
      'a client that speaks for itself, as Auth0 says it',
      { gty: 'client-credentials' },
      {},
      'token_claims/client_grant',
    ],
    ['a client that speaks for itself, as Entra says it', { idtyp: 'app' }, {}, 'token_claims/client_grant'],
    ['an agent on behalf of a person', { act: { sub: 'agent' } }, {}, 'token_claims/act'],
    ['a token of another issuer', { iss: 'https://idp.example.org' }, {}, 'token_untrusted/iss'],
    ['an ID token', {}, { typ: 'JWT' }, 'token_claims/typ'],
    ['an expired token', { exp: now }, {}, 'token_expired/exp'],
    ['a token without client', { client_id: undefined }, {}, 'token_claims/client_id'],
    ['a client that speaks for itself, as Okta says it', { cid: 'alice' }, {}, 'token_claims/client_subject'],
    [
      'a client that speaks for itself, by its subject at Auth0',
      { sub: 'abc@clients', client_id: 'abc' },
      {},
      'token_claims/client_subject',
    ],
    [
      'a service account of Keycloak, with a session',
      { preferred_username: 'service-account-agent', sid: 's' },
      {},
      'token_claims/client_grant',
    ],
    ['a token that nobody signed in for', { auth_time: undefined }, {}, 'token_claims/sign_in'],
    [
      'a token whose sign-in is no time and whose session is empty',
      { auth_time: 'now', sid: '' },
      {},
      'token_claims/sign_in',
    ],
    ['a token whose sign-in is null', { auth_time: null, sid: null }, {}, 'token_claims/sign_in'],
    // Kind: another kind of token of the same issuer for the same audience.
    ['an ID token, as Keycloak marks it', { typ: 'ID' }, {}, 'token_claims/typ'],
    ['a refresh token, as Keycloak marks it', { typ: 'Refresh' }, {}, 'token_claims/typ'],
    ['an ID token, as Cognito marks it', { token_use: 'id' }, {}, 'token_claims/token_use'],
    ['an ID token with a nonce', { nonce: 'n' }, {}, 'token_claims/nonce'],
    ['an ID token with the hash of an access token', { at_hash: 'h' }, {}, 'token_claims/at_hash'],
    ['an ID token with the hash of a code', { c_hash: 'h' }, {}, 'token_claims/c_hash'],
    [
      'a logout token',
      { events: { 'http://schemas.openid.net/event/backchannel-logout': {} } },
      {},
      'token_claims/events',
    ],
    // Kind: two people who look like one.
    ['a subject with a zero-width space', { sub: 'alice\u200b' }, {}, 'token_claims/sub'],
    ['a subject with a bidi override', { sub: '\u202ealice' }, {}, 'token_claims/sub'],
    ['a subject with a variation selector', { sub: 'alice\ufe0f' }, {}, 'token_claims/sub'],
    ['a subject with a Hangul filler', { sub: 'alice\u3164' }, {}, 'token_claims/sub'],
    ['a subject with a tag character', { sub: 'alice\u{e0061}' }, {}, 'token_claims/sub'],
    ['a subject with a no-break space', { sub: 'alice\u00a0a' }, {}, 'token_claims/sub'],
    ['a subject with a blank at its end', { sub: 'alice ' }, {}, 'token_claims/sub'],
    ['a subject with two blanks in it', { sub: 'alice  archer' }, {}, 'token_claims/sub'],
    ['a subject in decomposed letters', { sub: 'alic\u0065\u0301' }, {}, 'token_claims/sub'],
    ['groups in a tree', { groups: { finance: true } }, {}, 'token_claims/groups'],
    ['groups with something else among them', { groups: ['finance', 1] }, {}, 'token_claims/groups'],
    ['methods that are no texts', { amr: [1] }, {}, 'token_claims/amr'],
    ['a key binding', { cnf: { jkt: 'x' } }, {}, 'token_claims/cnf'],
    ['another algorithm', {}, { alg: 'none' }, 'token_algorithm/alg'],
  ])('refuses %s', async (_what, changes, header, expected) => {
    expect(await refused([`Bearer ${token(changes, header)}`])).toBe(`reviewer_unauthenticated: ${expected}`);
  });

  it('takes one text for a list of one, and fractions of a second in the time of the sign-in', async () => {
    const raw = token({ groups: 'owners', amr: 'pwd', auth_time: now - 60.25 });
    expect(await reviewers.authenticate([`Bearer ${raw}`])).toMatchObject({
      groups: ['owners'],
      amr: ['pwd'],
      authenticatedAt: (now - 60.25) * 1000,
    });
    expect(await reviewers.authenticate([`Bearer ${token({ groups: '', amr: null })}`])).toMatchObject({ groups: [] });
  });

  it('finds groups and name by a path, the exact name first', async () => {
    const nested = build({ groupsClaim: 'realm_access.roles', displayClaim: 'profile.names.full' });
    const claims = { realm_access: { roles: ['owners'] }, profile: { names: { full: 'Alice A.' } } };
    expect(await nested.authenticate([`Bearer ${token(claims)}`])).toMatchObject({
      groups: ['owners'],
      name: 'Alice A.',
    });
    expect(
      (await nested.authenticate([`Bearer ${token({ ...claims, 'realm_access.roles': ['exact'] })}`])).groups,
    ).toEqual(['exact']);
    expect((await nested.authenticate([`Bearer ${token({ realm_access: ['roles'] })}`])).groups).toEqual([]);
    nested.close();
  });

  it('takes tokens of the listed clients only, in whatever claims they are named', async () => {
    const listed = build({ clients: ['cli'] });
    expect(await listed.authenticate([`Bearer ${token()}`])).toBeDefined();
    expect(await listed.authenticate([`Bearer ${token({ azp: 'cli' })}`])).toBeDefined();
    for (const named of [
      { client_id: 'agent' },
      { azp: 'agent' },
      { cid: 'agent' },
      { appid: 'agent' },
      { client_id: 'CLI' },
      { client_id: 'cli ' },
    ]) {
      expect(await refused([`Bearer ${token(named)}`], listed)).toBe('reviewer_unauthenticated: token_claims/client');
    }
    listed.close();
  });

  it('keeps no time of a sign-in that is too weak for step-up', async () => {
    const strong = build({ stepUp: { acr: ['phr'], amr: ['hwk'] } });
    const at = async (claims: object) => (await strong.authenticate([`Bearer ${token(claims)}`])).authenticatedAt;
    expect(await at({ acr: 'phr', amr: ['pwd', 'hwk'] })).toBe(now * 1000);
    for (const claims of [
      {},
      { acr: '0', amr: ['pwd'] },
      { acr: 'phr' },
      { amr: ['hwk'] },
      { acr: ['phr'], amr: ['hwk'] },
    ])
      expect(await at(claims)).toBeUndefined();
    strong.close();
  });

  it('refuses a call without a credential, and one with two', async () => {
    expect(await refused([])).toBe('reviewer_unauthenticated: unauthenticated/credential');
    expect(await refused(['Basic YTpi'])).toBe('reviewer_unauthenticated: unauthenticated/scheme');
    expect(await refused([`Bearer ${token()}`, `Bearer ${token()}`])).toBe('bad_header: undefined/repeated');
  });

  it('says that the issuer is to blame when it is', async () => {
    const down = build({ issuer: 'http://127.0.0.1:1' });
    expect(await refused([`Bearer ${token({ iss: 'http://127.0.0.1:1' })}`], down)).toBe(
      'issuer_unavailable: undefined/keys',
    );
    expect(down.status()).toMatchObject({ name: 'reviewers', ready: false });
    down.close();
  });

  it('accepts plain JWTs where the profile is not demanded', async () => {
    const lax = build({ requireAccessTokenType: false, groupsClaim: 'https://example.org/groups' });
    const raw = token({ client_id: undefined, jti: undefined, 'https://example.org/groups': ['ops'] }, { typ: 'JWT' });
    expect((await lax.authenticate([`Bearer ${raw}`])).groups).toEqual(['ops']);
    lax.close();
  });

  it('refuses to run with the agents’ audience', () => {
    expect(() => build({ audience: AGENTS })).toThrow(TypeError);
  });

  it('counts and logs refusals by name of the check only', async () => {
    recorder.refusals.length = 0;
    recorder.lines.length = 0;
    await refused([`Bearer ${token({ aud: AGENTS })}`]);
    expect(recorder.refusals).toEqual([{ issuer: 'reviewers', code: 'token_audience' }]);
    expect(recorder.lines).toEqual([
      { event: 'identity.refused', fields: { issuer: 'reviewers', check: 'aud', code: 'token_audience' } },
    ]);
  });
});
