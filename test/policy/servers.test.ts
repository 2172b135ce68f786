// Rules over servers that share a mount.

import { describe, expect, it } from 'vitest';
import type { McpMessage } from '../../src/domain/action.ts';
import { compilePolicy } from '../../src/policy/policy.ts';
import type { PolicyOptions, RuleOptions } from '../../src/policy/rules.ts';
import { mcpOf } from '../support/mcp-message.ts';
import { taskOf } from '../support/tasks.ts';
import { call, policyOf } from './inputs.ts';

type Rule = Omit<RuleOptions, 'id' | 'match'> & { readonly match?: RuleOptions['match'] };
const UPSTREAMS: PolicyOptions['upstreams'] = {
  all: { protocol: 'mcp', servers: {} },
  'all/a': { protocol: 'mcp', credential: 'key' },
  'all/b': { protocol: 'mcp', toolChanges: 'allow' },
  alone: { protocol: 'mcp' },
};
const policy = (...rules: readonly Rule[]) =>
  compilePolicy(
    policyOf(
      rules.map((rule, index) => ({ match: {}, ...rule, id: `r${index}` })),
      { upstreams: UPSTREAMS },
    ),
  );
const action = { protocol: 'mcp', method: 'POST', path: '/', target: '/mcp' } as const;
const tool = (upstream: string, name: string, more: Partial<McpMessage> = {}) =>
  call({ action: { ...action, upstream, mcp: mcpOf({ method: 'tools/call', ...more }), tool: name, args: {} } });
const sent = (upstream: string, method: string, args: object = {}) =>
  call({ action: { ...action, upstream, mcp: mcpOf({ method }), args: args as never } });

describe('a rule for a mount', () => {
  const rules = policy({ match: { upstream: 'all', tool: 'a__*' }, decide: 'allow' });

  it('stands for its servers, under the names that agents use', () => {
    expect(rules.decide(tool('all/a', 'read'))).toMatchObject({ effect: 'allow', credential: { name: 'key' } });
    expect(rules.decide(tool('all/b', 'read')).effect).toBe('deny');
    expect(rules.decide(tool('all/b', 'a__read')).effect).toBe('deny');
    expect(rules.decide(tool('alone', 'a__read')).effect).toBe('deny');
  });

  it('of the built-in kind lets every server’s sessions live', () => {
    for (const upstream of ['all', 'all/a', 'all/b'])
      expect(rules.decide(sent(upstream, 'tools/list')).rules.map(({ id }) => id)).toEqual(['mcp:lifecycle']);
  });
});

it('a rule that names a server is about that server alone, and not about what concerns them all', () => {
  const rules = policy({ match: { upstream: 'all', server: 'a' }, decide: 'deny' });
  expect(rules.decide(sent('all/a', 'tools/list')).effect).toBe('deny');
  expect(rules.decide(sent('all/b', 'tools/list')).effect).toBe('allow');
  expect(rules.decide(sent('all', 'tools/list')).effect).toBe('allow');
});

it('hold and deny rules mean a tool or prompt of a name wherever it is; allow rules do not', () => {
  const strict = policy(
    { match: { tool: 'pay' }, decide: 'deny' },
    { match: { prompt: 'p' }, decide: 'deny' },
    { match: { upstream: 'all' }, decide: 'allow' },
  );
  for (const upstream of ['all/a', 'all/b']) {
    expect(strict.decide(tool(upstream, 'pay')).effect).toBe('deny');
    expect(strict.decide(sent(upstream, 'prompts/get', { name: 'p' })).effect).toBe('deny');
  }
  expect(strict.decide(tool('all/a', 'read')).effect).toBe('allow');
  expect(policy({ match: { tool: 'pay' }, decide: 'allow' }).decide(tool('all/a', 'pay')).effect).toBe('deny');
});

it('resources are matched by the URI of their server, and by the one that agents see', () => {
  const read = (upstream: string, uri: string) => sent(upstream, 'resources/read', { uri });
  const allow = policy({ match: { upstream: 'all', resource: 'a+file:///docs/*' }, decide: 'allow' });
  expect(allow.decide(read('all/a', 'file:///docs/x')).effect).toBe('allow');
  for (const [upstream, uri] of [
    ['all/b', 'file:///docs/x'],
    ['all/a', 'file:///docs/../etc'],
    ['all/a', 'file:///docs/%2e%2e/etc'],
    ['alone', 'file:///docs/x'],
  ] as const)
    expect(allow.decide(read(upstream, uri)).effect).toBe('deny');
  const deny = policy(
    { match: { resource: 'a+file:///etc/*' }, decide: 'deny' },
    { match: { upstream: 'all' }, decide: 'allow' },
  );
  for (const uri of ['file:///etc/passwd', 'file:///docs/../etc/passwd', 'file:///docs/%2e%2e/etc/passwd']) {
    expect(deny.decide(read('all/a', uri)).reasons).toEqual(['rule:r0']);
    expect(deny.decide(read('all/b', uri)).effect).toBe('allow');
  }
});

it('conditions see the tool, and a task’s earlier calls, as agents name them', () => {
  const rules = policy({ match: { upstream: 'all' }, when: 'tool == "a__pay"', decide: 'allow' });
  expect(rules.decide(tool('all/a', 'pay')).effect).toBe('allow');
  expect(rules.decide(tool('all/b', 'pay')).effect).toBe('deny');
  const after = policy({ when: 'task.calls.exists(c, c.upstream == "all" && c.tool == "a__read")', decide: 'allow' });
  const task = taskOf();
  const earlier = { at: 0, upstream: 'all/a', method: 'POST', path: '/', tool: 'read', decision: 'allow' } as const;
  expect(after.decide({ ...tool('all/b', 'pay'), task, calls: [earlier] }).effect).toBe('allow');
  expect(after.decide({ ...tool('all/b', 'pay'), task, calls: [{ ...earlier, upstream: 'all/b' }] }).effect).toBe(
    'deny',
  );
});

it('what becomes of a changed tool is each server’s own', () => {
  const rules = policy({ match: { upstream: 'all' }, decide: 'allow' });
  const toolChange = { pinned: {}, now: {} };
  expect(rules.decide(tool('all/a', 'x', { toolChange })).reasons).toEqual(['rule:mcp:tool-changed']);
  expect(rules.decide(tool('all/b', 'x', { toolChange })).effect).toBe('allow');
});
