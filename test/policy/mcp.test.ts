// Matching on what MCP messages name, on hints, on changed tools; and what a caller may expect of a tool.

import { describe, expect, it } from 'vitest';
import type { McpMessage } from '../../src/domain/action.ts';
import { checkPolicy } from '../../src/policy/check.ts';
import { compilePolicy } from '../../src/policy/policy.ts';
import type { RuleOptions, ToolChanges } from '../../src/policy/rules.ts';
import { mcpOf } from '../support/mcp-message.ts';
import { call, policyOf } from './inputs.ts';

type Rule = Omit<RuleOptions, 'id' | 'match'> & { readonly match?: RuleOptions['match'] };
const policy = (rules: readonly Rule[], toolChanges?: ToolChanges) =>
  compilePolicy(
    policyOf(
      rules.map((rule, index) => ({ match: {}, ...rule, id: `r${index}` })),
      { upstreams: { tools: { protocol: 'mcp', ...(toolChanges && { toolChanges }) } } },
    ),
  );
const action = { protocol: 'mcp', upstream: 'tools', method: 'POST', path: '/', target: '/mcp' } as const;
const read = (uri: string) => call({ action: { ...action, mcp: mcpOf({ method: 'resources/read' }), args: { uri } } });
const tool = (name: string, more: Partial<McpMessage> = {}) =>
  call({ action: { ...action, mcp: mcpOf({ method: 'tools/call', ...more }), tool: name, args: {} } });
const unknownArgs = (name: string) => {
  const input = tool(name);
  const { args: _, ...rest } = input.action;
  return { ...input, action: { ...rest, body: { bytes: new Uint8Array(0), digest: '' } } };
};

describe('resources', () => {
  const allow = policy([{ match: { resource: 'file:///public/*' }, decide: 'allow' }]);

  it('are matched by URI', () => {
    expect(allow.decide(read('file:///public/a.txt')).effect).toBe('allow');
    expect(allow.decide(read('file:///private/a.txt')).effect).toBe('deny');
  });

  it('are never allowed by a URI that a server could resolve to another', () => {
    for (const rest of ['../etc/passwd', '..%2fetc', '%2e%2e/etc', 'a/./b', '..\\etc', 'a%00b', 'a%252e%252e', '..'])
      expect(allow.decide(read(`file:///public/${rest}`)).effect).toBe('deny');
  });

  it('are held or denied by what a URI resolves to as well', () => {
    const deny = policy([{ match: { resource: 'file:///etc/*' }, decide: 'deny' }, { decide: 'allow' }]);
    expect(deny.decide(read('file:///public/../etc/passwd')).reasons).toEqual(['rule:r0']);
    expect(deny.decide(read('file:///public/%2e%2e/etc/passwd')).reasons).toEqual(['rule:r0']);
  });
});

it('matches prompts by name', () => {
  const prompts = policy([{ match: { prompt: 'review-*' }, decide: 'allow' }]);
  const get = (name: string) =>
    prompts.decide(call({ action: { ...action, mcp: mcpOf({ method: 'prompts/get' }), args: { name } } })).effect;
  expect([get('review-code'), get('other')]).toEqual(['allow', 'deny']);
});

describe('hints', () => {
  const strict = policy([
    { match: { tool: '*' }, decide: 'allow' },
    { match: { tool: '*' }, when: 'hints.destructiveHint != false', decide: 'deny' },
  ]);

  it('make a decision stricter, also where none are known', () => {
    expect(strict.decide(tool('a', { hints: { destructiveHint: true } })).effect).toBe('deny');
    expect(strict.decide(tool('a')).effect).toBe('deny');
    expect(strict.decide(tool('a', { hints: { destructiveHint: false } })).effect).toBe('allow');
  });

  it('are refused in an allow rule', () => {
    const rule = { id: 'r', match: { tool: '*' }, when: 'hints.readOnlyHint == true', decide: 'allow' } as const;
    expect(checkPolicy(policyOf([rule]))).toMatchObject([{ path: ['rules', 0, 'when'] }]);
  });
});

describe('what a server asks of the agent’s side', () => {
  const asks = call({
    action: {
      ...action,
      mcp: mcpOf({ method: 'elicitation/create', fromServer: true }),
      args: { message: 'Your password?' },
    },
  });

  it('is let through by a rule that names the method, not by one that allows everything', () => {
    expect(policy([{ decide: 'allow' }]).decide(asks).effect).toBe('deny');
    const named = { match: { mcp: ['elicitation/create'] }, decide: 'allow' } as const;
    expect(policy([named]).decide(asks).effect).toBe('allow');
    expect(policy([named, { when: 'args.message.contains("password")', decide: 'deny' }]).decide(asks).effect).toBe(
      'deny',
    );
  });
});

describe('a tool whose definition is not the pinned one', () => {
  const changed = tool('a', { toolChange: { pinned: {}, now: { name: 'a' } } });
  const rules: Rule[] = [{ match: { tool: '*' }, decide: 'allow' }];

  it('is denied unless something else is said', () => {
    expect(policy(rules).decide(changed)).toMatchObject({ effect: 'deny', reasons: ['rule:mcp:tool-changed'] });
    expect(policy(rules).decide(tool('a')).effect).toBe('allow');
  });

  it('is held by the tier that is named, or let through', () => {
    expect(policy(rules, { hold: 'one' }).decide(changed)).toMatchObject({
      effect: 'hold',
      requirements: [{ tier: 'one' }],
    });
    expect(policy(rules, 'allow').decide(changed).effect).toBe('allow');
  });
});

describe('what a caller may expect of a tool', () => {
  it('is certain where no rule looks at arguments, and a possibility where one does', () => {
    const outlook = (rules: readonly Rule[]) => policy(rules).outlook(unknownArgs('a'));
    const hold = { decide: 'hold', tier: 'one' } as const;
    expect(outlook([])).toBe('deny');
    expect(outlook([{ decide: 'allow' }])).toBe('allow');
    expect(outlook([{ when: 'args.n > 1', decide: 'allow' }])).toBe('allow');
    expect(outlook([{ decide: 'allow' }, { when: 'args.n > 1', ...hold }])).toBe('may_hold');
    expect(outlook([{ decide: 'allow' }, hold])).toBe('hold');
    expect(outlook([{ when: 'args.n > 1', ...hold }])).toBe('hold');
    expect(outlook([{ decide: 'allow' }, { decide: 'deny' }])).toBe('deny');
    expect(outlook([{ decide: 'allow' }, { when: 'args.n > 1', decide: 'deny' }])).toBe('allow');
    expect(outlook([{ when: 'agent.id == "somebody else" && args.n > 1', decide: 'allow' }])).toBe('deny');
  });
});
