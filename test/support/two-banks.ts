// A gateway over two MCP servers of the same tools, one for each protocol era: `tools` with sessions, `modern` without.
// Reading is allowed and paying is held for alice, unless the test gives other rules.

import type { GivenConfig, Upstream } from './config.ts';
import { rule } from './config.ts';
import { file, gatewayTest } from './gateway-test.ts';
import { type McpUpstream, startMcpUpstream, startStatelessUpstream } from './mcp-upstream.ts';

/** The test function over such a gateway: fixtures `bank`, `modernBank`, `env` and `alice`. `tools` adds to that mount. */
export function twoBanksTest(given: GivenConfig, tools: Partial<Upstream> = {}) {
  return gatewayTest
    .extend('bank', file, ({ closes }) => closes(startMcpUpstream()))
    .extend('modernBank', file, ({ closes }) => closes(startStatelessUpstream()))
    .extend('env', file, ({ bank, modernBank, environment }) =>
      environment({
        upstreams: bankMounts(bank, modernBank, tools),
        rules: [rule.allow('read', { tool: 'read_balance' }), rule.hold('pay', { tool: 'transfer_funds' })],
        ...given,
      }),
    )
    .extend('alice', file, ({ env }) => env.reviewer('alice'));
}

/** The two banks as upstreams. */
export function bankMounts(
  bank: McpUpstream,
  modernBank: McpUpstream,
  tools: Partial<Upstream> = {},
): Record<string, Upstream> {
  return {
    tools: { url: bank.url, protocol: 'mcp', ...tools } as Upstream,
    modern: { url: modernBank.url, protocol: 'mcp' },
  };
}
