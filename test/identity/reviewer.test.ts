// Who may come to the reviewers' API at all.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GatewayError } from '../../src/errors.ts';
import { createReviewerAuthenticator, type ReviewerAuthenticator, type ReviewerOptions } from '../../src/identity/reviewer.ts';
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
  createReviewerAuthenticator({ issuer: issuer.url, audience: AUDIENCE, agentAudiences: [AGENTS], groupsClaim: 'groups', ...options }, { clock, ...recorder });

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
    { iss: issuer.url, sub: 'alice', aud: AUDIENCE, client_id: 'cli', jti: '1', iat: now, exp: now + 300, ...changes },
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
    const raw = token({ groups: ['finance', 'ops'], name: 'Alice', auth_time: now - 60, acr: 'urn:mfa', amr: ['pwd', 'otp'] });
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
    ['a client that speaks for itself, as Auth0 says it', { gty: 'client-credentials' }, {}, 'token_claims/client_grant'],
    ['a client that speaks for itself, as Entra says it', { idtyp: 'app' }, {}, 'token_claims/client_grant'],
    ['an agent on behalf of a person', { act: { sub: 'agent' } }, {}, 'token_claims/act'],
    ['a token of another issuer', { iss: 'https://idp.example.org' }, {}, 'token_untrusted/iss'],
    ['an ID token', {}, { typ: 'JWT' }, 'token_claims/typ'],
    ['an expired token', { exp: now }, {}, 'token_expired/exp'],
    ['a token without client', { client_id: undefined }, {}, 'token_claims/client_id'],
    ['groups in one text', { groups: 'finance' }, {}, 'token_claims/groups'],
    ['groups with something else among them', { groups: ['finance', 1] }, {}, 'token_claims/groups'],
    ['methods that are no list', { amr: 'otp' }, {}, 'token_claims/amr'],
    ['a key binding', { cnf: { jkt: 'x' } }, {}, 'token_claims/cnf'],
    ['another algorithm', {}, { alg: 'none' }, 'token_algorithm/alg'],
  ])('refuses %s', async (_what, changes, header, expected) => {
    expect(await refused([`Bearer ${token(changes, header)}`])).toBe(`reviewer_unauthenticated: ${expected}`);
  });

  it('refuses a call without a credential, and one with two', async () => {
    expect(await refused([])).toBe('reviewer_unauthenticated: unauthenticated/credential');
    expect(await refused(['Basic YTpi'])).toBe('reviewer_unauthenticated: unauthenticated/scheme');
    expect(await refused([`Bearer ${token()}`, `Bearer ${token()}`])).toBe('bad_header: undefined/repeated');
  });

  it('says that the issuer is to blame when it is', async () => {
    const down = build({ issuer: 'http://127.0.0.1:1' });
    expect(await refused([`Bearer ${token({ iss: 'http://127.0.0.1:1' })}`], down)).toBe('issuer_unavailable: undefined/keys');
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
    expect(recorder.lines).toEqual([{ event: 'identity.refused', fields: { issuer: 'reviewers', check: 'aud', code: 'token_audience' } }]);
  });
});
