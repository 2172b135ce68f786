// What the record of a call says, and what it never says.

import { describe, expect, test } from 'vitest';
import { decisionRecord, outcomeRecord } from '../../src/audit/records.ts';
import { callOf, credentialOf, holdOf, LITERALS, releasing, toolCall, voteOf } from '../support/call-facts.ts';

const span = { traceId: '1'.repeat(32), spanId: '2'.repeat(16), sampled: true };
const hold = releasing(holdOf({ admit: span, approval: span }), [{ ...voteOf('alice'), span }]);

function whole() {
  return callOf('allow', { hold, credential: credentialOf(), status: 201, upstreamStatus: 201 });
}

describe('a decision record', () => {
  test('says who, on whose behalf, what, by which rules and with whose approval', () => {
    expect(JSON.parse(decisionRecord(whole(), span))).toMatchObject({
      principal: {
        id: 'spiffe://prod.example.org/agent/billing',
        proof: 'jwt-svid',
        onBehalfOf: ['https://idp.example.org#alice'],
      },
      action: { digest: 'c'.repeat(64), upstream: 'ledger', method: 'POST', path: '/transfers' },
      decision: {
        effect: 'allow',
        rules: [{ id: 'transfers', effect: 'allow', why: 'matched' }],
        policyDigest: 'a'.repeat(64),
        credential: 'ledger-token',
      },
      hold: {
        id: hold.id,
        bindingDigest: 'd'.repeat(64),
        votes: [{ reviewer: 'https://idp.example.org#alice', decision: 'approve', bindingDigest: 'd'.repeat(64) }],
      },
      trace: { traceId: span.traceId, spanId: span.spanId },
    });
  });

  test('names the tool of an MCP call', () => {
    expect(JSON.parse(decisionRecord(callOf('allow', toolCall('transfer_funds'))))).toMatchObject({
      action: { rpc: 'tools/call', tool: 'transfer_funds' },
    });
  });

  test('gives the same body another digest in each record', () => {
    const [a, b] = [decisionRecord(whole()), decisionRecord(whole())];
    expect(a).toMatch(/"body":\{"length":\d+,"salt":"[0-9a-f-]{36}","digest":"[0-9a-f]{64}"\}/);
    expect(a).not.toBe(b);
    expect(a).not.toContain(whole().action?.body?.digest);
  });
});

test('an outcome record says how it ended and with which credential', () => {
  expect(outcomeRecord(whole(), { sent: true, revoked: true, span })).toMatchObject({
    sent: true,
    status: 201,
    upstreamStatus: 201,
    hold: { id: hold.id, state: 'RELEASING' },
    credential: {
      id: 'cred_0123456789abcdef',
      provider: 'oauth-client-credentials',
      revocability: 'token',
      granted: { scope: 'transfers:write' },
      revoked: true,
    },
  });
});

test('no record holds a token, a secret, an argument, a query or a cookie', () => {
  const text = JSON.stringify([
    decisionRecord(whole(), span),
    outcomeRecord(whole(), { sent: true, revoked: true, span }),
  ]);
  for (const literal of Object.values(LITERALS)) expect(text).not.toContain(literal);
});
