// The kind: an upstream that reads two spellings as one, where a hold or deny rule means only the other. Allow rules
// stay exact.

import { describe, expect, test } from 'vitest';
import type { DecisionInput } from '../../src/domain/decision.ts';
import { compilePolicy } from '../../src/policy/policy.ts';
import type { PolicyOptions, RuleOptions } from '../../src/policy/rules.ts';
import { mcpOf } from '../support/mcp-message.ts';
import { call, policyOf, toolCall } from './inputs.ts';

const upstreams = (caseSensitive: boolean): PolicyOptions['upstreams'] => ({
  ledger: { protocol: 'http', caseSensitive },
  tools: { protocol: 'mcp', caseSensitive },
});

function effects(match: RuleOptions['match'], input: DecisionInput, when?: string) {
  const all: RuleOptions = { id: 'all', match: {}, decide: 'allow' };
  const decide = (effect: 'allow' | 'hold' | 'deny', caseSensitive: boolean) => {
    const rule: RuleOptions = {
      id: 'r',
      match,
      decide: effect,
      ...(effect === 'hold' && { tier: 'one' }),
      ...(when !== undefined && { when }),
    };
    return compilePolicy(
      policyOf(effect === 'allow' ? [rule] : [all, rule], { upstreams: upstreams(caseSensitive) }),
    ).decide(input).effect;
  };
  return [decide('allow', false), decide('hold', false), decide('deny', false), decide('deny', true)];
}

const PASSES_ONLY_AN_EXACT_RULE = ['deny', 'hold', 'deny', 'allow'];

describe('another case of letters', () => {
  test.each(['/Transfers', '/TRANSFERS', '/%54RANSFERS', '/tRANSFERS/'])('in a path: %s', (path) => {
    expect(effects({ path: '/transfers' }, call({ action: { path } }))).toEqual(PASSES_ONLY_AN_EXACT_RULE);
  });

  test.each(['Transfer_Funds', 'TRANSFER_FUNDS', 'tran\u017ffer_funds'])('in the name of a tool: %s', (tool) => {
    expect(effects({ tool: 'transfer_funds' }, toolCall(tool))).toEqual(PASSES_ONLY_AN_EXACT_RULE);
    expect(effects({ tool: 'transfer_*' }, toolCall(tool))).toEqual(PASSES_ONLY_AN_EXACT_RULE);
  });

  test('in the name of a prompt, or the URI of a resource', () => {
    const action = { protocol: 'mcp', upstream: 'tools', method: 'POST', path: '/', target: '/mcp' } as const;
    const prompt = call({ action: { ...action, mcp: mcpOf({ method: 'prompts/get' }), args: { name: 'Review' } } });
    expect(effects({ prompt: 'review' }, prompt)).toEqual(PASSES_ONLY_AN_EXACT_RULE);
    const resource = call({
      action: { ...action, mcp: mcpOf({ method: 'resources/read' }), args: { uri: 'FILE:///Private/x' } },
    });
    expect(effects({ resource: 'file:///private/*' }, resource)).toEqual(PASSES_ONLY_AN_EXACT_RULE);
  });

  test.each(['Force=true', 'FORCE=', 'for%43e=1', 'force[]=1', 'force[0]=x', '+force=1', '%20force=1'])(
    'in the name of a query parameter: %s',
    (query) => {
      const input = call({ action: { query } });
      const [allow, hold, deny] = effects({}, input, 'has(request.query.force)');
      expect([allow, hold, deny]).toEqual(['deny', 'hold', 'deny']);
      expect(effects({}, input, '!has(request.query.force)')[0]).toBe('deny');
      expect(effects({}, input, '"force" in request.query').slice(1, 3)).toEqual(['hold', 'deny']);
    },
  );

  test('in two query parameters: neither has a value', () => {
    const input = call({ action: { query: 'force=0&Force=1' } });
    for (const when of ['request.query.force == "1"', 'request.query.Force == "0"'])
      expect(effects({}, input, when).slice(0, 3)).toEqual(['deny', 'hold', 'deny']);
    expect(effects({}, input, 'request.query.force == "1"')[3]).toBe('allow');
  });

  test('in the name of an argument: whether it is there, nobody can tell', () => {
    for (const args of [{ Force: true }, { FORCE: 1 }, { 'f\u00f6rce': 1, forc\u00e9: 1, Force: null }]) {
      expect(effects({}, toolCall('t', args), 'has(args.force)')).toEqual(PASSES_ONLY_AN_EXACT_RULE);
      expect(effects({}, toolCall('t', args), '!has(args.force)').slice(0, 3)).toEqual(['deny', 'hold', 'deny']);
      expect(effects({}, toolCall('t', args), '"force" in args').slice(1, 3)).toEqual(['hold', 'deny']);
    }
    expect(effects({}, toolCall('t', { other: 1 }), '!has(args.force)')[0]).toBe('allow');
  });
});
