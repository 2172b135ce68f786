import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Hold } from '../../src/domain/hold.ts';
import { classified } from '../support/classified.ts';
import { openHoldBy } from '../support/holds/bench.ts';
import { actionOf, decisionOf, principalOf, requirementOf } from '../support/holds/values.ts';
import { openReviewPlane, type ReviewPlane } from '../support/review-plane.ts';

let plane: ReviewPlane;
beforeAll(async () => {
  plane = await openReviewPlane();
});
afterAll(() => plane.close());

const json = async (response: Response) => (await response.json()) as Record<string, never>;
const vote = (hold: Hold, decision = 'approve', extra = {}) => ({
  decision,
  bindingDigest: hold.bindingDigest,
  ...extra,
});

describe('who is let in', () => {
  it.each(['agent', 'agent-for-alice'] as const)('refuses the workload token of %s as a voter', async (holder) => {
    const hold = await plane.newHold();
    const response = await plane.post(holder, `/api/v1/holds/${hold.id}/votes`, vote(hold));
    expect(response.status).toBe(401);
    expect(response.headers.get('www-authenticate')).toMatch(/^Bearer /);
    expect(await json(response)).toMatchObject({
      code: 'reviewer_unauthenticated',
      type: '/countersign/problems/reviewer_unauthenticated',
    });
    expect(await plane.stateOf(hold)).toBe('PENDING');
  });

  it('refuses a call without a token', async () => {
    expect((await plane.call(undefined, '/api/v1/holds')).status).toBe(401);
  });

  it.each(['/api/v1/holds', '/api/v1/events', '/api/v1/none'])(
    'asks for a token before it says anything about %s',
    async (path) => {
      expect((await plane.call(undefined, path)).status).toBe(401);
    },
  );

  it('hides a hold from people whom it does not name', async () => {
    const hold = await plane.newHold();
    for (const path of [`/api/v1/holds/${hold.id}`, `/api/v1/holds/hold_none`]) {
      expect(await json(await plane.call('mallory', path))).toMatchObject({ status: 404, code: 'hold_not_found' });
    }
    expect(await json(await plane.call('mallory', '/api/v1/holds?state=all'))).toEqual({ holds: [] });
    expect((await plane.post('mallory', `/api/v1/holds/${hold.id}/votes`, vote(hold))).status).toBe(404);
    expect((await plane.post('mallory', `/api/v1/holds/${hold.id}/revoke`, {})).status).toBe(404);
    expect(await plane.stateOf(hold)).toBe('PENDING');
  });

  it('shows a hold to someone whom it names by subject', async () => {
    const hold = await plane.newHold({
      decision: decisionOf({ requirements: [requirementOf({ reviewers: ['user:mallory'] })] }),
    });
    expect((await plane.call('mallory', `/api/v1/holds/${hold.id}`)).status).toBe(200);
    expect((await plane.call('alice', `/api/v1/holds/${hold.id}`)).status).toBe(404);
  });
});

const PLACE = { value: 'evil.example', host: 'evil.example', trust: 'external', role: 'target' } as const;

describe('what is shown', () => {
  it('shows the whole action, byte for byte, and nothing secret', async () => {
    const body = JSON.stringify({ memo: `${'x'.repeat(200_000)}\u202e tail` });
    const hold = await plane.newHold({
      action: actionOf({ boundHeaders: ['accept', 'text/plain', 'x-two', 'b'] }, body),
      decision: decisionOf({ dataWords: ['names'] }),
      facts: {
        classification: classified({
          ...{ data: 'restricted', reversible: false, operation: 'transfer', environment: 'production' },
          ...{ resources: ['payouts'], owners: [['user:cfo']] },
        }),
        destinations: { targets: [PLACE], mentions: [], trust: 'external' },
      },
    });
    const shown = await json(await plane.call('alice', `/api/v1/holds/${hold.id}`));
    expect(shown).toMatchObject({
      id: hold.id,
      state: 'PENDING',
      bindingDigest: hold.bindingDigest,
      actionDigest: hold.actionDigest,
      action: {
        method: 'POST',
        target: '/transfers',
        authority: 'ledger.example.org',
        bodyText: body,
        bodyLength: Buffer.byteLength(body),
        bodyDigest: hold.action.bodyDigest,
        headers: [
          { name: 'accept', value: 'text/plain' },
          { name: 'x-two', value: 'b' },
        ],
      },
      credential: { name: 'ledger-key', scope: {} },
      principal: { id: 'spiffe://prod.example.org/agent', onBehalfOf: [], owners: [] },
      requirements: [{ tier: 'finance', reviewers: ['group:finance'], count: 1, decideWithinSeconds: 900 }],
      deadline: new Date(hold.deadline).toISOString(),
      data: 'restricted, names',
      reversible: false,
      facts: {
        ...{ data: 'restricted', reversible: false, operation: 'transfer', environment: 'production' },
        ...{ resources: ['payouts'], owners: [['user:cfo']], destination: 'external', destinations: [PLACE] },
      },
      youMay: { vote: true, approve: true, deny: true, revoke: true },
    });
    expect(Object.keys(shown)).not.toEqual(expect.arrayContaining(['nonce']));
    expect(JSON.stringify(shown)).not.toContain(hold.nonce);
  });

  it('shows a hold to the person behind it, who may not decide on it', async () => {
    const issuer = plane.issuer.issuer;
    const hold = await plane.newHold({
      principal: principalOf({ onBehalfOf: [{ id: `${issuer}#alice`, issuer, subject: 'alice' }] }),
    });
    expect(await json(await plane.call('alice', `/api/v1/holds/${hold.id}`))).toMatchObject({
      youMay: { vote: false, approve: false, revoke: false, why: expect.stringMatching(/someone else/) },
    });
    expect(await json(await plane.post('alice', `/api/v1/holds/${hold.id}/votes`, vote(hold)))).toMatchObject({
      status: 403,
      code: 'separation_of_duties',
    });
    expect((await plane.post('bob', `/api/v1/holds/${hold.id}/votes`, vote(hold))).status).toBe(200);
  });

  it('lists by state and page, without the holds of others', async () => {
    const own = await openReviewPlane();
    try {
      const finance = [];
      for (let i = 0; i < 3; i++) {
        finance.unshift((await openHoldBy(own.bench, { action: actionOf({}, `${i}`) })).id);
        await openHoldBy(own.bench, {
          action: actionOf({}, `[${i}]`),
          decision: decisionOf({ requirements: [requirementOf({ reviewers: ['user:mallory'] })] }),
        });
        own.bench.clock.advance(1000);
      }
      const ids: string[] = [];
      let after: string | undefined;
      let pages = 0;
      do {
        const page = (await (
          await own.call('alice', `/api/v1/holds?limit=2${after ? `&after=${after}` : ''}`)
        ).json()) as {
          holds: { id: string }[];
          next?: string;
        };
        expect(page.holds.length).toBeLessThanOrEqual(2);
        ids.push(...page.holds.map((hold) => hold.id));
        after = page.next;
        pages++;
      } while (after !== undefined && pages < 10);
      expect(ids).toEqual(finance);
      expect(await json(await own.call('alice', '/api/v1/holds?state=approved,denied'))).toEqual({ holds: [] });
    } finally {
      await own.close();
    }
  });

  it.each(['state=nonsense', 'limit=0', 'limit=201', 'limit=x', 'limit=1&limit=2', 'colour=red'])(
    'refuses the query %s',
    async (query) => {
      expect(await json(await plane.call('alice', `/api/v1/holds?${query}`))).toMatchObject({
        status: 400,
        code: 'bad_request',
      });
    },
  );
});

describe('deciding', () => {
  it('counts a vote on exactly what was shown', async () => {
    const hold = await plane.newHold();
    const response = await plane.post(
      'alice',
      `/api/v1/holds/${hold.id}/votes`,
      vote(hold, 'approve', { reason: 'as agreed' }),
    );
    expect(response.status).toBe(200);
    expect(await json(response)).toMatchObject({
      state: 'APPROVED',
      votes: [
        {
          reviewer: { id: `${plane.issuer.issuer}#alice`, name: 'Alice Archer' },
          decision: 'approve',
          reason: 'as agreed',
        },
      ],
      useBy: expect.any(String),
      youMay: { vote: false, revoke: true },
    });
  });

  it('refuses a vote on another digest than the one in force', async () => {
    const hold = await plane.newHold();
    const response = await plane.post('alice', `/api/v1/holds/${hold.id}/votes`, {
      ...vote(hold),
      bindingDigest: '0'.repeat(64),
    });
    expect(await json(response)).toMatchObject({ status: 412, code: 'stale_digest' });
    expect(await plane.stateOf(hold)).toBe('PENDING');
  });

  it('lets one deny end it', async () => {
    const hold = await plane.newHold();
    await plane.post('bob', `/api/v1/holds/${hold.id}/votes`, vote(hold, 'deny'));
    expect(await plane.stateOf(hold)).toBe('DENIED');
    expect(await json(await plane.post('alice', `/api/v1/holds/${hold.id}/votes`, vote(hold)))).toMatchObject({
      status: 409,
      code: 'hold_closed',
    });
  });

  it('lets another reviewer take an approval back', async () => {
    const hold = await plane.newHold();
    await plane.post('alice', `/api/v1/holds/${hold.id}/votes`, vote(hold));
    expect(
      await json(await plane.post('bob', `/api/v1/holds/${hold.id}/revoke`, { reason: 'wrong account' })),
    ).toMatchObject({ state: 'REVOKED' });
  });

  it.each([
    ['unknown members', '{"decision":"approve","bindingDigest":"DIGEST","extra":1}', 422, 'bad_vote'],
    ['no decision', '{"bindingDigest":"DIGEST"}', 422, 'bad_vote'],
    ['another word', '{"decision":"allow","bindingDigest":"DIGEST"}', 422, 'bad_vote'],
    ['a reason that is no text', '{"decision":"approve","bindingDigest":"DIGEST","reason":7}', 422, 'bad_vote'],
    ['two decisions', '{"decision":"deny","bindingDigest":"DIGEST","decision":"approve"}', 400, 'bad_json'],
    ['something that is no JSON', 'decision=approve', 400, 'bad_json'],
    [
      '17 KiB',
      `{"decision":"approve","bindingDigest":"DIGEST","reason":"${'x'.repeat(17_000)}"}`,
      413,
      'payload_too_large',
    ],
  ])('refuses a vote with %s, and counts nothing', async (_, text, status, code) => {
    const hold = await plane.newHold();
    const body = text.replace('DIGEST', hold.bindingDigest);
    const response = await plane.call('alice', `/api/v1/holds/${hold.id}/votes`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    });
    expect(await json(response)).toMatchObject({ status, code });
    expect(await plane.stateOf(hold)).toBe('PENDING');
  });

  it.each(['text/plain', 'application/x-www-form-urlencoded', 'application/json; charset=utf-16', ''])(
    'refuses a vote as %j, which a web page could send',
    async (type) => {
      const hold = await plane.newHold();
      const body = new Blob([JSON.stringify(vote(hold))]);
      const response = await plane.call('alice', `/api/v1/holds/${hold.id}/votes`, {
        method: 'POST',
        headers: { 'content-type': type },
        body,
      });
      expect(await json(response)).toMatchObject({ status: 415, code: 'unsupported_media_type' });
      expect(await plane.stateOf(hold)).toBe('PENDING');
    },
  );

  it('says how to sign in again where a tier asks for a fresh sign-in', async () => {
    // The bench's clock is far from the issuer's, so no sign-in is fresh.
    const hold = await plane.newHold({ decision: decisionOf({ requirements: [requirementOf({ stepUp: true })] }) });
    const response = await plane.post('alice', `/api/v1/holds/${hold.id}/votes`, vote(hold));
    expect(await json(response)).toMatchObject({ status: 401, code: 'step_up_required' });
    expect(response.headers.get('www-authenticate')).toContain('error="insufficient_user_authentication", max_age=300');
  });
});

describe('what a web page elsewhere can do', () => {
  const raw = (headers: Record<string, string>, method = 'GET') =>
    new Promise<{ status: number | undefined; body: string }>((resolve, reject) => {
      request(`${plane.url}/api/v1/holds`, { method, headers }, (response) => {
        let body = '';
        response.on('data', (chunk) => (body += chunk));
        response.on('end', () => resolve({ status: response.statusCode, body }));
      })
        .on('error', reject)
        .end();
    });

  it.each(['evil.example', 'localhost', '127.0.0.1:1'])('answers nothing to the Host %s', async (host) => {
    const answer = await raw({ host, authorization: `Bearer ${await plane.token('alice')}` });
    expect(answer.status).toBe(400);
    expect(JSON.parse(answer.body)).toMatchObject({ code: 'bad_host' });
  });

  it('offers no CORS, and tells browsers to keep and embed nothing', async () => {
    for (const response of [
      await plane.call('alice', '/api/v1/holds'),
      await plane.call(undefined, '/api/v1/holds'),
      await plane.call('alice', '/nothing'),
    ]) {
      expect(response.headers.get('access-control-allow-origin')).toBeNull();
      expect(response.headers.get('cache-control')).toBe('no-store');
      expect(response.headers.get('x-content-type-options')).toBe('nosniff');
      expect(response.headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
      expect(response.headers.get('set-cookie')).toBeNull();
    }
    expect((await raw({}, 'OPTIONS')).status).toBe(405);
  });
});
