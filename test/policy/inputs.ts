// Calls for policy tests: a plain one, and changes to it.

import type { Action } from '../../src/domain/action.ts';
import type { Approval, DecisionInput } from '../../src/domain/decision.ts';
import type { Principal } from '../../src/domain/principal.ts';
import type { Task } from '../../src/domain/task.ts';
import type { ClassificationOptions, PolicyOptions, RuleOptions, TierOptions } from '../../src/policy/rules.ts';
import { CallVariables } from '../../src/policy/variables/variables.ts';
import { Vocabulary } from '../../src/policy/vocabulary.ts';
import { classified } from '../support/classified.ts';
import { mcpOf } from '../support/mcp-message.ts';
import { taskOf } from '../support/tasks.ts';

export const agent: Principal = {
  id: 'spiffe://prod.example.org/agents/a',
  issuer: 'spiffe://prod.example.org',
  subject: 'spiffe://prod.example.org/agents/a',
  kind: 'spiffe',
  agentKey: 'spiffe://prod.example.org/agents/a',
  issuerName: 'prod',
  trustDomain: 'prod.example.org',
  proof: 'jwt-svid',
  claims: { team: 'billing', roles: ['reader'] },
  onBehalfOf: [{ id: 'https://idp.example.org#alice', issuer: 'https://idp.example.org', subject: 'alice' }],
  expiresAt: 2_000_000_000_000,
};

/** What a configuration without classification says. */
export const NOTHING_CLASSIFIED: ClassificationOptions = {
  sensitivity: ['public', 'internal', 'confidential', 'restricted'],
  destinations: {},
  taints: {},
  resources: [],
};

export const variablesOf = (input: DecisionInput, caseSensitive = false): CallVariables =>
  new CallVariables(input, new Vocabulary({ ...NOTHING_CLASSIFIED, upstreams: {} }), caseSensitive);

const plainAction: Action = {
  protocol: 'http',
  upstream: 'ledger',
  authority: 'ledger.example.org',
  method: 'GET',
  target: '/accounts',
  path: '/accounts',
  boundHeaders: [],
  streamed: false,
};

export const task: Task = taskOf({ agentKey: agent.id, objective: 'pay the bills', labels: ['routine'] });

interface Call extends Partial<Omit<DecisionInput, 'action'>> {
  readonly action?: Partial<Action>;
}

export const call = ({ action, ...rest }: Call = {}): DecisionInput => ({
  principal: agent,
  headers: [],
  calls: [],
  now: 1_800_000_000_000,
  facts: { classification: classified() },
  ...rest,
  action: { ...plainAction, ...action },
});

const body = { bytes: new Uint8Array(1), digest: 'd' };

/** A JSON POST to the ledger. */
export const post = (args: Action['args'], path = '/transfers'): DecisionInput =>
  call({
    action: {
      method: 'POST',
      path,
      target: path,
      body,
      contentType: 'application/json',
      ...(args !== undefined && { args }),
    },
  });

/** A `tools/call`. */
export const toolCall = (tool: string, args: Action['args'] = {}): DecisionInput =>
  call({
    action: {
      protocol: 'mcp',
      upstream: 'tools',
      method: 'POST',
      path: '/',
      target: '/mcp',
      mcp: mcpOf({ method: 'tools/call' }),
      tool,
      args,
      body,
    },
  });

export const tierOf = (reviewers: readonly string[] = ['group:finance'], count = 1): TierOptions => ({
  reviewers,
  count,
  decideWithinMs: 900_000,
  useWithinMs: 120_000,
  stepUp: false,
  reasonRequired: false,
});

export const approval = (satisfied: boolean, ageMs = 1000): Approval => ({
  count: 1,
  reviewers: ['https://idp.example.org#bob'],
  ageMs,
  satisfies: () => satisfied,
});

export const policyOf = (rules: readonly RuleOptions[], rest: Partial<PolicyOptions> = {}): PolicyOptions => ({
  ...NOTHING_CLASSIFIED,
  rules,
  tiers: { one: tierOf(), two: tierOf(['group:legal'], 2) },
  upstreams: {
    ledger: { protocol: 'http', credential: 'ledger-token' },
    tools: { protocol: 'mcp' },
    other: { protocol: 'http' },
  },
  ...rest,
});
