// A gateway over two MCP servers of the same tools, one for each protocol era: `tools` with sessions, `modern` without.
// Reading is allowed, paying is held for alice.

import { rule, type Section } from './config.ts';
import { type Environment, startEnvironment } from './environment.ts';
import { type McpUpstream, startMcpUpstream, startStatelessUpstream } from './mcp-upstream.ts';
import type { ReviewerClient } from './reviewer-client.ts';

export interface TwoBanks {
  readonly env: Environment;
  /** Behind `/tools`. */
  readonly bank: McpUpstream;
  /** Behind `/modern`. */
  readonly modernBank: McpUpstream;
  readonly alice: ReviewerClient;
  close(): Promise<void>;
}

export async function startTwoBanks(limits: Section<'limits'>): Promise<TwoBanks> {
  const [bank, modernBank] = await Promise.all([startMcpUpstream(), startStatelessUpstream()]);
  const env = await startEnvironment({
    upstreams: {
      tools: { url: bank.url, protocol: 'mcp' },
      modern: { url: modernBank.url, protocol: 'mcp' },
    },
    rules: [rule.allow('read', { tool: 'read_balance' }), rule.hold('pay', { tool: 'transfer_funds' })],
    limits,
  });
  return {
    ...{ env, bank, modernBank },
    alice: await env.reviewer('alice'),
    async close() {
      await env.close();
      await Promise.all([bank.close(), modernBank.close()]);
    },
  };
}
