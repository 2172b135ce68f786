// A gateway over two MCP servers of the same tools, one for each protocol era: `tools` with sessions, `modern` without.
// Reading is allowed, paying is held for alice.

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

/** `limits` is the YAML of that section. */
export async function startTwoBanks(limits: string): Promise<TwoBanks> {
  const [bank, modernBank] = await Promise.all([startMcpUpstream(), startStatelessUpstream()]);
  const env = await startEnvironment({
    upstreams: `
  tools: { url: "${bank.url}", protocol: mcp }
  modern: { url: "${modernBank.url}", protocol: mcp }`,
    rules: `
  - { id: read, match: { tool: read_balance }, decide: allow }
  - { id: pay, match: { tool: transfer_funds }, decide: hold, tier: payment }
`,
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
