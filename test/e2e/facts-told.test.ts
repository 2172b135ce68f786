// What is told of facts to those who read them elsewhere: agents over MCP, reviewers in a terminal, and the SOC's traces. Kinds of fault: a refusal
// whose ground only an HTTP client learns; a trace from which nobody can tell what a decision rested on.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, vi } from 'vitest';
import { rule } from '../support/config.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';
import { connectV1, connectV2 } from '../support/mcp-clients.ts';
import { startMcpUpstream, startStatelessUpstream } from '../support/mcp-upstream.ts';
import { startOtlpReceiver } from '../support/otlp-receiver.ts';
import { get, newAgent, openTask, type ToolResult } from '../support/reads-and-sends.ts';
import { bankMounts } from '../support/two-banks.ts';

const PATIENCE = { timeout: 20_000 };

const it = gatewayTest
  .extend('receiver', file, ({ closes }) => closes(startOtlpReceiver()))
  .extend('bank', file, ({ closes }) => closes(startMcpUpstream()))
  .extend('modernBank', file, ({ closes }) => closes(startStatelessUpstream()))
  .extend('env', file, ({ receiver, bank, modernBank, environment }) =>
    environment(
      {
        taints: { 'customer-data': {} },
        resources: [
          {
            id: 'customers',
            match: { upstream: 'api', path: '/customers/*' },
            data: 'confidential',
            taints: ['customer-data'],
          },
          { id: 'sends', match: { upstream: 'api', path: '/send' }, operation: 'export', sendsTo: ['args.to'] },
        ],
        meters: {
          shares: { match: { upstream: 'api', path: '/shares' }, per: ['agent'], window: '1h' },
          sends: { match: { upstream: 'api', path: '/send' }, per: ['agent'], window: '1h' },
        },
        upstreams: bankMounts(bank, modernBank),
        limits: { wait: '0s' },
        rules: [
          rule.allow('all', { upstream: 'api' }),
          rule.allow('tools', { tool: '*' }),
          rule.deny('leak', { tool: 'transfer_funds' }, { when: '"customer-data" in tainted' }),
          rule.hold(
            'shares',
            { upstream: 'api', path: '/shares' },
            { when: '"customer-data" in tainted || meter.shares > 5 || novel.operation' },
          ),
          rule.deny(
            'leak-by-http',
            { upstream: 'api', path: '/send' },
            { when: '"customer-data" in tainted && action.destination == "external" && meter.sends > 0' },
          ),
        ],
      },
      {
        env: {
          OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
          OTEL_TRACES_SAMPLER: 'traceidratio',
          OTEL_TRACES_SAMPLER_ARG: '0',
        },
      },
    ),
  );

describe('an MCP agent that a mark stops', () => {
  it.for(['MCP SDK v1', 'MCP SDK v2'] as const)('is told the mark and its cause, over %s', async (sdk, { env }) => {
    const agent = newAgent();
    expect(await get(env, '/api/customers/1', agent)).toBe('sent');
    const client =
      sdk === 'MCP SDK v1' ? (await connectV1(env, 'tools', agent)).client : await connectV2(env, 'modern', agent);
    const result = (await client.callTool({ name: 'transfer_funds', arguments: { amount: 7 } })) as ToolResult & {
      readonly content: readonly { readonly text: string }[];
    };
    expect(result).toMatchObject({
      isError: true,
      _meta: {
        'countersign/code': 'denied',
        'countersign/because': [{ fact: 'tainted', value: 'customer-data', cause: { resources: ['customers'] } }],
      },
    });
    expect(result.content[0]?.text).toContain('customer-data');
  });
});

describe('a reviewer in a terminal', () => {
  it('sees what came before the call', async ({ env }) => {
    const agent = newAgent();
    expect(await get(env, '/api/customers/1', agent)).toBe('sent');
    const held = await env.call('/api/shares', { method: 'POST', as: agent.as, body: { with: 'x' } });
    const hold = held.headers.get('countersign-hold') ?? '';
    const { token } = await env.reviewer('alice');
    const { stdout } = await promisify(execFile)(process.execPath, ['src/main.ts', 'holds', 'show', hold], {
      env: {
        ...process.env,
        COUNTERSIGN_URL: `http://127.0.0.1:${env.ports.reviewers}`,
        COUNTERSIGN_TOKEN: token,
      },
    });
    // Long lines are folded.
    const told = stdout.replaceAll(/\n {14}/g, '');
    expect(told).toMatch(/^ {2}marked +customer-data, agent .+: customers was read at .+; until /m);
    expect(told).toMatch(/^ {2}counted +shares: 1 with this call$/m);
    expect(told).toMatch(/^ {2}first time +novel\.operation$/m);
  });
});

describe('the span of a refused call', () => {
  it('names what the decision rested on, and no text of the call', async ({ env, receiver }) => {
    const agent = await openTask(env, newAgent());
    const headers = { 'countersign-task': agent.task ?? '' };
    await (await env.call('/api/customers/1', { as: agent.as, headers })).text();
    const body = { to: 'eve@evil.example', text: 'a-literal-of-the-letter' };
    expect((await env.call('/api/send', { method: 'POST', as: agent.as, headers, body })).status).toBe(403);
    const span = await vi.waitFor(() => {
      const found = receiver.spans.find(
        ({ attributes }) =>
          attributes['countersign.task.id'] === agent.task && attributes['countersign.decision'] === 'deny',
      );
      if (found === undefined) throw new Error('no span yet');
      return found;
    }, PATIENCE);
    expect(span.attributes).toMatchObject({
      'countersign.agent.key': `${env.issuer.issuer}#${agent.as}`,
      'countersign.task.root': agent.task,
      'countersign.action.operation': 'export',
      'countersign.action.destination': 'external',
      'countersign.resource.ids': ['sends'],
      'countersign.tainted': ['customer-data'],
      'countersign.meters': ['sends=1'],
    });
    expect(JSON.stringify(receiver.spans)).not.toContain('a-literal-of-the-letter');
    expect(JSON.stringify(receiver.spans)).not.toContain('eve@');
  });
});
