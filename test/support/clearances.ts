// Cleared calls for tests: a principal, an action and the clearance of an allowed or a released call.

import { randomUUID } from 'node:crypto';
import type { Action } from '../../src/domain/action.ts';
import { type Clearance, clearAllowed, clearReleased } from '../../src/domain/clearance.ts';
import type { CredentialPlan, Decision } from '../../src/domain/decision.ts';
import type { ReleasingHold } from '../../src/domain/hold.ts';
import type { Identified } from '../../src/domain/identity.ts';
import type { Principal } from '../../src/domain/principal.ts';
import { Secret } from '../../src/domain/secret.ts';

export function principalNamed(subject: string, more: Partial<Principal> = {}): Principal {
  const issuer = 'https://idp.example.org';
  return {
    id: `${issuer}#${subject}`,
    issuer,
    subject,
    kind: 'oidc',
    agentKey: `${issuer}#${subject}`,
    issuerName: 'corp',
    proof: 'jwt',
    claims: {},
    onBehalfOf: [],
    expiresAt: Date.now() + 3_600_000,
    ...more,
  };
}

export function callerNamed(subject: string, token?: string): Identified {
  return { principal: principalNamed(subject), ...(token !== undefined && { token: new Secret(token) }) };
}

export const transferAction: Action = {
  protocol: 'http',
  upstream: 'ledger',
  authority: 'ledger.example.org',
  method: 'POST',
  target: '/transfers',
  path: '/transfers',
  boundHeaders: [],
  streamed: false,
};

function allowDecision(credential?: CredentialPlan): Decision {
  return {
    effect: 'allow',
    rules: [{ id: 'reads', effect: 'allow', why: 'matched' }],
    reasons: ['rule:reads'],
    requirements: [],
    ...(credential !== undefined && { credential }),
    policyDigest: '0'.repeat(64),
    decisionDigest: '1'.repeat(64),
  };
}

export function allowed(credential?: CredentialPlan): Clearance {
  return clearAllowed(allowDecision(credential));
}

export function released(credential?: CredentialPlan, taskId?: string): Clearance {
  const claim = randomUUID();
  return clearReleased(allowDecision(credential), releasingHold(claim, taskId), claim);
}

function releasingHold(claim: string, taskId?: string): ReleasingHold {
  const digest = '2'.repeat(64);
  const span = { traceId: '3'.repeat(32), spanId: '4'.repeat(16), sampled: true };
  const { id, issuer, subject, kind, onBehalfOf } = principalNamed('agent');
  return {
    id: `hold_${randomUUID()}`,
    state: 'RELEASING',
    version: 3,
    action: { ...transferAction, ruleIds: ['pay'], bodyDigest: digest, bodyLength: 0 },
    actionDigest: digest,
    principal: { id, issuer, subject, kind, onBehalfOf, owners: [] },
    ...(taskId !== undefined && { task: { id: taskId, revision: 1, heading: 'test' } }),
    rules: [],
    requirements: [],
    policyDigest: digest,
    decisionDigest: digest,
    nonce: randomUUID(),
    bindingDigest: digest,
    requestDigest: digest,
    createdAt: Date.now(),
    deadline: Date.now() + 60_000,
    votes: [],
    approvedAt: Date.now(),
    useBy: Date.now() + 60_000,
    claim,
    claimedBy: 'test',
    trace: { admit: span, approval: span },
  };
}
