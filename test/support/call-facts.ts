// Calls and holds as telemetry and audit see them: whole, with every place filled where a secret could hide.

import type { Action } from '../../src/domain/action.ts';
import type { CallFacts } from '../../src/domain/call-facts.ts';
import { sha256 } from '../../src/domain/canonical.ts';
import type { Credential } from '../../src/domain/credential.ts';
import type { Decision, Effect } from '../../src/domain/decision.ts';
import type { HoldBase, PendingHold, ReleasingHold, SettledHold, Vote } from '../../src/domain/hold.ts';
import type { Principal } from '../../src/domain/principal.ts';
import type { InboundRequest } from '../../src/domain/request.ts';
import { Secret } from '../../src/domain/secret.ts';
import type { HoldTrace } from '../../src/domain/trace.ts';
import { mcpOf } from './mcp-message.ts';

/** Literals that must be found nowhere outside the call itself. */
export const LITERALS = {
  token: 'eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJsaXRlcmFsIn0.c2lnbmF0dXJl',
  secret: 'upstream-secret-9f1c2b',
  argument: 'argument-literal-77aa',
  query: 'query-literal-31cd',
  cookie: 'cookie-literal-02be',
} as const;

const principal: Principal = {
  id: 'spiffe://prod.example.org/agent/billing',
  issuer: 'prod.example.org',
  subject: 'spiffe://prod.example.org/agent/billing',
  kind: 'spiffe',
  agentKey: 'spiffe://prod.example.org/agent/billing',
  issuerName: 'prod',
  trustDomain: 'prod.example.org',
  proof: 'jwt-svid',
  claims: { private: LITERALS.argument },
  onBehalfOf: [{ id: 'https://idp.example.org#alice', issuer: 'https://idp.example.org', subject: 'alice' }],
  expiresAt: Date.parse('2030-01-01T00:00:00Z'),
};

const bodyBytes = Buffer.from(JSON.stringify({ amount: LITERALS.argument }));

const action: Action = {
  protocol: 'http',
  upstream: 'ledger',
  authority: 'ledger.example.org:8443',
  method: 'POST',
  target: `/transfers?note=${LITERALS.query}`,
  path: '/transfers',
  query: `note=${LITERALS.query}`,
  contentType: 'application/json',
  boundHeaders: ['content-type', 'application/json'],
  args: { amount: LITERALS.argument },
  body: { bytes: bodyBytes, digest: sha256(bodyBytes) },
  streamed: false,
};

function decisionOf(effect: Effect): Decision {
  return {
    effect,
    rules: [{ id: 'transfers', effect, why: 'matched' }],
    reasons: ['rule:transfers'],
    requirements:
      effect === 'hold'
        ? [
            {
              tier: 'money',
              reviewers: ['group:finance'],
              count: 1,
              decideWithinMs: 900_000,
              useWithinMs: 120_000,
              stepUp: false,
              reasonRequired: false,
            },
          ]
        : [],
    credential: { name: 'ledger-token', scope: { scope: 'transfers:write' } },
    policyDigest: 'a'.repeat(64),
    decisionDigest: 'b'.repeat(64),
  };
}

function requestOf(method: string, headers: readonly string[]): InboundRequest {
  return {
    id: '5f0c7a52-0000-4000-8000-000000000001',
    receivedAt: Date.now(),
    method,
    target: `/ledger/transfers?note=${LITERALS.query}`,
    mount: 'ledger',
    path: '/transfers',
    query: `note=${LITERALS.query}`,
    headers: [
      'authorization',
      `Bearer ${LITERALS.token}`,
      'cookie',
      LITERALS.cookie,
      'baggage',
      `k=${LITERALS.cookie}`,
      ...headers,
    ],
    body: {
      empty: false,
      buffer: async () => bodyBytes,
      async *stream() {
        yield bodyBytes;
      },
    },
    peer: { address: '127.0.0.1' },
    onClosed: () => () => {},
  };
}

/** A call that came as far as its decision. */
export function callOf(effect: Effect, more: Partial<CallFacts> = {}, headers: readonly string[] = []): CallFacts {
  return {
    id: '5f0c7a52-0000-4000-8000-000000000001',
    receivedAt: Date.now(),
    method: 'POST',
    request: requestOf('POST', headers),
    principal,
    action,
    actionDigest: 'c'.repeat(64),
    decision: decisionOf(effect),
    ...more,
  };
}

/** The facts of an MCP tool call, for the fields that only those have. */
export function toolCall(tool: string): Pick<CallFacts, 'action'> {
  return { action: { ...action, protocol: 'mcp', mcp: mcpOf({ method: 'tools/call', id: 7 }), tool } };
}

export function credentialOf(more: Partial<Credential> = {}): Credential {
  return {
    id: 'cred_0123456789abcdef',
    name: 'ledger-token',
    provider: 'oauth-client-credentials',
    injection: { in: 'header', name: 'authorization', value: new Secret(`Bearer ${LITERALS.secret}`) },
    secrets: [new Secret(LITERALS.secret)],
    expiresAt: Date.now() + 60_000,
    revocability: 'token',
    granted: { scope: 'transfers:write' },
    exclusive: true,
    ...more,
  };
}

export function holdOf(trace: HoldTrace, more: Partial<HoldBase> = {}): PendingHold {
  const now = Date.now();
  const decision = decisionOf('hold');
  return {
    id: 'hold_AAAAAAAAAAAAAAAAAAAAAA',
    state: 'PENDING',
    version: 1,
    action: {
      protocol: 'http',
      upstream: 'ledger',
      authority: action.authority,
      method: 'POST',
      target: action.target,
      path: action.path,
      contentType: 'application/json',
      boundHeaders: action.boundHeaders,
      bodyDigest: sha256(bodyBytes),
      bodyLength: bodyBytes.length,
      ruleIds: ['transfers'],
    },
    actionDigest: 'c'.repeat(64),
    principal: {
      id: principal.id,
      issuer: principal.issuer,
      subject: principal.subject,
      kind: 'spiffe',
      trustDomain: 'prod.example.org',
      onBehalfOf: principal.onBehalfOf,
      owners: [],
    },
    rules: decision.rules,
    requirements: decision.requirements,
    policyDigest: decision.policyDigest,
    decisionDigest: decision.decisionDigest,
    nonce: 'nonce',
    bindingDigest: 'd'.repeat(64),
    requestDigest: 'e'.repeat(64),
    createdAt: now,
    deadline: now + 900_000,
    votes: [],
    trace,
    ...more,
  };
}

/** The same hold, approved and claimed for its release. */
export function releasing(hold: PendingHold, votes: readonly Vote[] = hold.votes): ReleasingHold {
  const { createdAt: at } = hold;
  return { ...hold, state: 'RELEASING', votes, approvedAt: at, useBy: at + 120_000, claim: 'claim', claimedBy: 'here' };
}

/** The same hold, sent and answered. */
export function executed(hold: ReleasingHold): SettledHold {
  return { ...hold, state: 'EXECUTED', sentAt: hold.approvedAt, outcomeStatus: 201, endedAt: hold.approvedAt };
}

export function voteOf(name: string, more: Partial<Omit<Vote, 'span'>> = {}): Omit<Vote, 'span'> {
  return {
    reviewer: {
      id: `https://idp.example.org#${name}`,
      issuer: 'https://idp.example.org',
      subject: name,
      name: `${name} Literal`,
      groups: ['finance'],
    },
    decision: 'approve',
    at: Date.now(),
    bindingDigest: 'd'.repeat(64),
    ...more,
  };
}
