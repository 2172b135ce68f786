// A certified issuer (panva's oidc-provider, as the quickstart runs it) over HTTP: its discovery document, keys and JWT
// access tokens are those of real life.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type QuickstartIssuer, startQuickstartIssuer } from '../../config/quickstart/issuer.ts';
import { systemClock } from '../../src/domain/clock.ts';
import type { Identity } from '../../src/domain/identity.ts';
import { DEFAULT_ALGORITHMS } from '../../src/identity/keys/algorithms.ts';
import { createReviewerAuthenticator, type ReviewerAuthenticator } from '../../src/identity/reviewer.ts';
import { identityOf } from '../support/identities.ts';
import { bearer, createRecorder, refusalOf } from './calls.ts';

const GATEWAY = 'https://gateway.example.org';
const LEDGER = 'https://ledger.example.org';
const REVIEW = 'countersign-review';
const parts = { clock: systemClock, ...createRecorder() };
let dataDir: string;
let provider: QuickstartIssuer;
let identity: Identity;
let reviewers: ReviewerAuthenticator;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'countersign-issuer-'));
  provider = await startQuickstartIssuer({
    port: 0,
    dataDir,
    gatewayAudience: GATEWAY,
    ledgerAudience: LEDGER,
    reviewAudience: REVIEW,
  });
  const { issuer } = provider;
  identity = identityOf(
    {
      audience: [GATEWAY],
      issuers: [{ name: 'idp', type: 'oidc', issuer, algorithms: ['ES256'], requireAccessTokenType: true }],
    },
    parts,
  );
  reviewers = createReviewerAuthenticator(
    {
      ...{ issuer, audience: REVIEW, agentAudiences: [GATEWAY], groupsClaim: 'groups' },
      ...{ algorithms: DEFAULT_ALGORITHMS, requireAccessTokenType: true },
    },
    parts,
  );
  await Promise.all([identity.start(), reviewers.start()]);
});
afterAll(async () => {
  identity.close();
  reviewers.close();
  await provider.close();
  await rm(dataDir, { recursive: true });
});

const authenticate = async (holder: Parameters<QuickstartIssuer['token']>[0]) =>
  reviewers.authenticate([`Bearer ${await provider.token(holder)}`]);

describe('a real OIDC provider', () => {
  it('vouches for an agent by its RFC 9068 access tokens', async () => {
    const { principal } = await identity.identify(bearer(await provider.token('agent')));
    expect(principal).toMatchObject({
      id: `${provider.issuer}#agent`,
      issuerName: 'idp',
      proof: 'jwt',
      onBehalfOf: [],
      claims: { client_id: 'agent' },
    });
  });

  it('says for whom an agent acts', async () => {
    const { principal } = await identity.identify(bearer(await provider.token('agent-for-alice')));
    expect(principal.id).toBe(`${provider.issuer}#agent`);
    expect(principal.onBehalfOf.map(({ id }) => id)).toEqual([`${provider.issuer}#alice`]);
  });

  it('vouches for reviewers by name, groups and time of sign-in', async () => {
    expect(await authenticate('alice')).toMatchObject({
      id: `${provider.issuer}#alice`,
      groups: ['finance'],
      authenticatedAt: expect.any(Number),
    });
    expect(await authenticate('mallory')).toMatchObject({ id: `${provider.issuer}#mallory`, groups: [] });
  });

  it('keeps the two sides apart: no agent is a reviewer, no reviewer is an agent', async () => {
    expect(await refusalOf(() => authenticate('agent'))).toBe('reviewer_unauthenticated/aud');
    expect(await refusalOf(() => authenticate('agent-for-alice'))).toBe('reviewer_unauthenticated/aud');
    expect(await refusalOf(async () => identity.identify(bearer(await provider.token('alice'))))).toBe(
      'token_audience/aud',
    );
  });
});
